"""Evo-1: its configurations, its weights, and its demo."""
