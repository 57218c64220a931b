"""The HTTP side: plugin requests, heartbeats, workspace state."""
