"""Causal language models of DNA: what they are asked, how they are trained, how sequences are scored and drawn."""
