"""The checks of each asset: what they promise, and how a manifest or a file answers. A file a stage."""
