"""Freehold: AI you own outright. Run it, guard it, prove it, account for it."""

__version__ = "0.1.0"
