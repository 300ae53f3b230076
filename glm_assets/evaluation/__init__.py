"""Figures, and what they are drawn from."""
