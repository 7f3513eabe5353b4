"""Where the tests run: on a card if there is one, otherwise in the interpreter."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from freehold.engine.gpu.multiply import Columns
from freehold.engine.kernels import reference

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
HALF = torch.bfloat16 if DEVICE.type == "cuda" else torch.float16  # NumPy, which interprets, has no bf16


def on_device(array: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(DEVICE)


def columns_of(x: npt.NDArray[np.float32]) -> Columns:
    """Quantised by the reference, so that the kernel under test is the only one."""
    columns = Columns(len(x), x.shape[1], DEVICE, HALF)
    q, scales = reference.quantise(x)
    columns.x.copy_(on_device(x))
    columns.half.copy_(on_device(x))
    columns.q.copy_(on_device(q))
    columns.xs.copy_(on_device(scales))
    sums = q.reshape(len(x), -1, 16).astype(np.int32).sum(-1)
    columns.hs.copy_(on_device((sums * np.repeat(scales, 2, 1)).astype(np.float32)))
    columns.bs.copy_(on_device((sums.reshape(len(x), -1, 2).sum(-1) * scales).astype(np.float32)))
    return columns


slow = pytest.mark.skipif(
    DEVICE.type == "cpu" and not os.environ.get("FREEHOLD_TEST_GPU"),
    reason="slow in the interpreter: runs on a card, or with FREEHOLD_TEST_GPU=1",
)
