"""`healthsweep triage`: what happened, to whom, and whose fault it was, read from the log alone."""
