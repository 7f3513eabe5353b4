"""Runs models on a CUDA card: Triton kernels straight on GGUF blocks. Needs the extra `gpu`; only a runtime told so imports it."""
