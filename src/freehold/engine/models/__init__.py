"""Forward passes, one file an architecture family."""
