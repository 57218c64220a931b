"""`healthsweep why`: what a workspace is, since when, by which observation, and what would change it."""
