"""Kernels run in Triton's interpreter where there is no card: the same code, in NumPy."""

import importlib.util
import os
from pathlib import Path

# What needs no PyTorch, should the extra `gpu` not be installed.
ALWAYS = ("test_extra.py", "test_placement.py", "test_suited.py")

if all(importlib.util.find_spec(name) for name in ("torch", "triton")):
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")
    collect_ignore: list[str] = []
else:
    collect_ignore = [path.name for path in Path(__file__).parent.glob("test_*.py") if path.name not in ALWAYS]
