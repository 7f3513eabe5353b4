"""Runs models with our own kernels, in a process of its own."""
