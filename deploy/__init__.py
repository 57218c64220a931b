"""What an operator touches: run, test, the embedded PostgreSQL and the `healthsweep` command."""
