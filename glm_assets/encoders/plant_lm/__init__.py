"""A causal language model of k-mers with local attention and a memory of 4^k rows: its network and its files."""
