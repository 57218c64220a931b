"""`healthsweep doctor`: everything that this host needs, each with a mark, and what mends it."""
