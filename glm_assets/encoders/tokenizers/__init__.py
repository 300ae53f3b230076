"""Tokenizers: how sequences become ids, by name, and whether those ids are a model's."""
