"""Runs models on a CUDA card: Triton kernels straight on GGUF blocks. Needs the extra `gpu`, and a runtime that asks for it."""
