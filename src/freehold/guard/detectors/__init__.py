"""Detectors as data: one file a kind, one line each in the table."""
