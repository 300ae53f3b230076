"""Classification of DNA and RNA reads, by taxon or any other label."""
