"""Hostile inputs, at least 10,000 of each kind: whatever a file holds, the only errors are ours."""
