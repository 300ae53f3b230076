"""Profiles: everything a run needs, the same keys in each. A profile changes values, never the code path."""
