"""Is the remote model the one it says? Statistics over what two sides answered to the same
prompts; asking them is left to others.

Nothing here does I/O, keeps a clock or reads a random number that was not seeded: the same answers give the same p-values.
"""
