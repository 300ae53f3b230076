"""A Dagster asset platform for genomic language models."""
