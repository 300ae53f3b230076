"""The training loop and its checkpoints, shared by heads and studies."""
