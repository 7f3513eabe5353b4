"""Kernels run in Triton's interpreter where there is no card: the same code, in NumPy."""

import importlib.util
import os

# The extra `gpu` may not be installed: then there is nothing here to run.
collect_ignore_glob = [] if all(importlib.util.find_spec(name) for name in ("torch", "triton")) else ["test_*.py"]

if not collect_ignore_glob:
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")
