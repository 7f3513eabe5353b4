"""Judges what tool calls would do, by policy on their effects. Decides; does no I/O."""
