"""Evo2: its configurations, its forwards, and what they cost."""
