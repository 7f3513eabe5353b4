"""Kernels on raw GGUF blocks, each with its NumPy reference beside it."""
