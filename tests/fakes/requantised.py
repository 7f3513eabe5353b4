"""A model file written anew with other weights: unquantised, rounded to Q4_0, or disturbed. For tests and benches of audits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from freehold.engine.gguf_writer import TensorPlan, write_gguf
from freehold.engine.header import read_path
from freehold.engine.kernels.reference import dequantise
from freehold.engine.quantise import quantise
from freehold.engine.tensor_types import TensorType

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Change = Callable[[Floats], tuple[TensorType, Bytes]]
_BLOCK = 32


def rewrite(source: Path, path: Path, change: Change, wanted: Callable[[str], bool] = lambda _name: True) -> None:
    """Each matrix of the GGUF file `source` whose name is wanted goes through `change` as float32 (rows, columns)."""
    header, raw = read_path(source), np.fromfile(source, np.uint8)
    plans, data = list[TensorPlan](), list[tuple[str, list[bytes]]]()
    for info in header.tensors.values():
        type_, stored = info.type, raw[info.offset : info.offset + info.size_bytes]
        if len(info.shape) > 1 and wanted(info.name):
            rows = stored.reshape(-1, info.type.row_bytes(info.shape[0]))
            type_, stored = change(dequantise(info.type, rows).astype(np.float32).reshape(len(rows), -1))
        plans.append(TensorPlan(name=info.name, type=type_, shape=info.shape))
        data.append((info.name, [stored.tobytes()]))
    metadata: dict[str, Any] = {key: value for key, value in header.metadata.items() if key != "general.alignment"}
    write_gguf(path, metadata, plans, data)


def unquantised(weights: Floats) -> tuple[TensorType, Bytes]:
    return TensorType.F32, np.ascontiguousarray(weights).view(np.uint8)


def q4_0(weights: Floats) -> tuple[TensorType, Bytes]:
    """ggml's: the weight of largest magnitude of each 32 becomes -8, the others are rounded to whole steps."""
    blocks = weights.reshape(-1, _BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    step = (largest / -8).astype(np.float16)
    inverse = np.divide(1, step, out=np.zeros(step.shape, np.float32), where=step != 0, dtype=np.float32)
    levels = np.clip(np.floor(blocks * inverse + 8.5), 0, 15).astype(np.uint8)
    packed = np.concatenate((step.view(np.uint8), levels[:, :16] | levels[:, 16:] << 4), axis=1)
    return TensorType.Q4_0, packed.reshape(len(weights), -1)


def disturbed(share: float, seed: int = 1) -> Change:
    """Noise of `share` of the weights' own deviation, in Q8_0."""
    rng = np.random.default_rng(seed)

    def change(weights: Floats) -> tuple[TensorType, Bytes]:
        noise = rng.standard_normal(weights.shape, np.float32) * np.float32(share * weights.std())
        return TensorType.Q8_0, quantise(TensorType.Q8_0, weights + noise)

    return change
