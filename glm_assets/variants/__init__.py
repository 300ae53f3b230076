"""From ClinVar records to labelled reference and variant windows."""
