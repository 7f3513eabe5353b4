"""Builds the rooms and hands them to each other."""
