"""Where plugins come from: `local`, `github`, and what third parties add by an entry point."""

from api.sources.base import Limits, Resolved, Source
from api.sources.registry import Sources

__all__ = ["Limits", "Resolved", "Source", "Sources"]
