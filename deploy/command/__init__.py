"""The `healthsweep` command."""
