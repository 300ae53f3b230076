"""What the platform must not do for whoever writes a file, a name or a page that it reads."""
