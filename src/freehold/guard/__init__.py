"""Finds and redacts in a stream. Decides; does no I/O."""
