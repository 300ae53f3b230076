"""How products are kept: atomic files, manifests, tables, vectors and the warehouse."""
