"""Where data comes from: NCBI-like trees, ClinVar releases and the reference genome."""
