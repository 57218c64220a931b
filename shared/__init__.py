"""What the sweeper, the api and the command must agree on, and no more."""

__version__ = "0.1.0"
