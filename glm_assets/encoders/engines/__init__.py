"""Who computes shards: worker processes with a queue of their own, or actors on a Ray cluster."""
