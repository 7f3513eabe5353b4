"""Looks at model files before anything loads them: what they would do, by parsers of our own that run nothing."""
