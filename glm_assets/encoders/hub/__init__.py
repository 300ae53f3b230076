"""Repositories on Hugging Face: which files, of which commit, brought here whole."""
