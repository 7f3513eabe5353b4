"""Finds weaknesses in generated code, by CWE. Decides; does no I/O."""
