"""A small synthetic copy of the directories of NCBI, made deterministically."""
