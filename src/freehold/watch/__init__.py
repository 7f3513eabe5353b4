"""Extraction attacks across exchanges. Decides; does no I/O."""
