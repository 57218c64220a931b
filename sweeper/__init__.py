"""The daemon that keeps `workspaces.status` true."""
