"""The assets, a file a stage."""
