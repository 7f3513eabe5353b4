"""Codecs: one file a dialect, one line each in the table."""
