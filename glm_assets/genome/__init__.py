"""Bytes, contigs, windows and intervals: numpy in, numpy out."""
