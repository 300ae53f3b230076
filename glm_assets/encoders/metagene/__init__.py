"""METAGENE-1: a Llama over reads of waste water, and a tiny model of the same form."""
