"""The Siamese heads: networks, losses, recipes, warm starts and soups."""
