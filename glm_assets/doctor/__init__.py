"""Whether this machine has what the settings and the profile need, and how to mend what is lacking."""
