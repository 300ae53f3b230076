"""Studies beside the main one: each a package that shares its sources, encoders, training and evaluation."""
