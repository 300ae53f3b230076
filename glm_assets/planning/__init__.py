"""What would have to be done, and what it would take; nothing is done here."""
