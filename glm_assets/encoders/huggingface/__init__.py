"""DNA models in the format of transformers."""
