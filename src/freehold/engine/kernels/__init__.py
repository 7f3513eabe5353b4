"""Compute on raw GGUF blocks: kernels written as LLVM IR, a NumPy reference beside them.

targets      vnni, avx2, portable: chosen by what the host has
emit         the layer the kernels are written in
formats      one unpacker a tensor type
matmul       panels and dots, shared by all types
elementwise  norm, quantiser, exp
attention    rotation, KV cache, online softmax
step         a whole pass as one native function
jit, team    machine code kept on disk; the threads that run it
reference    the same in plain NumPy
"""
