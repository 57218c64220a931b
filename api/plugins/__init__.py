"""Plugins inside a workspace's container: put in, listed, taken out."""
