"""Reading the test sequences and writing the submission."""
