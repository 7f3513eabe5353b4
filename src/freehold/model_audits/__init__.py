"""Asks models what an audit compares, once or on a schedule. What the answers say is decided in `provenance.model_audit`."""
