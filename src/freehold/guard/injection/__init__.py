"""Finds instructions in what is not the user's: tool results, retrieved text, files. Decides; does no I/O."""
