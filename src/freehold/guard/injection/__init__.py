"""Finds instructions in what tools and files bring into a conversation. Decides; does no I/O."""
