"""The nouns and the seams. Imports the standard library only."""
