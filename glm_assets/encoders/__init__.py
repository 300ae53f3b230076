"""Genomic language models as encoders of windows."""
