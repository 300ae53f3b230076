"""Study `plant`: a language model of 6-mers, from scratch, for several plants."""
