"""What a data root no longer needs, and its removal."""
