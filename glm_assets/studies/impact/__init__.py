"""Regression of a variant's impact from one person's reads."""
