"""Random tensors of every type, as a file would hold them."""

import numpy as np
import numpy.typing as npt

from freehold.engine.tensor_types import TensorType

# Where in a block its f16 numbers lie, and how large they may be. All other bytes may be anything.
_HALVES: dict[TensorType, tuple[tuple[int, float], ...]] = {
    TensorType.Q4_0: ((0, 0.02),),
    TensorType.Q4_1: ((0, 0.02), (2, 0.15)),
    TensorType.Q5_0: ((0, 0.01),),
    TensorType.Q5_1: ((0, 0.01), (2, 0.15)),
    TensorType.Q8_0: ((0, 0.002),),
    TensorType.Q2_K: ((80, 0.006), (82, 0.01)),
    TensorType.Q3_K: ((108, 0.002),),
    TensorType.Q4_K: ((0, 0.0005), (2, 0.003)),
    TensorType.Q5_K: ((0, 0.0003), (2, 0.003)),
    TensorType.Q6_K: ((208, 0.0001),),
    TensorType.IQ4_NL: ((0, 0.002),),
    TensorType.IQ4_XS: ((0, 0.0001),),
}


def random_rows(rng: np.random.Generator, type_: TensorType, rows: int, length: int) -> npt.NDArray[np.uint8]:
    """(rows, bytes) of weights around 0.1."""
    if type_ is TensorType.F32:
        return _bytes(rng.normal(0, 0.1, (rows, length)).astype(np.float32))
    if type_ is TensorType.F16:
        return _bytes(rng.normal(0, 0.1, (rows, length)).astype(np.float16))
    if type_ is TensorType.BF16:
        wide = rng.normal(0, 0.1, (rows, length)).astype(np.float32).view(np.uint32)
        return _bytes((wide >> 16).astype(np.uint16))
    blocks = rng.integers(0, 256, (rows * type_.row_bytes(length) // type_.block_bytes, type_.block_bytes), dtype=np.uint8)
    for offset, largest in _HALVES[type_]:
        halves = (rng.uniform(0.5, 1.0, len(blocks)) * largest).astype(np.float16)
        if offset == 2 and type_ in (TensorType.Q4_1, TensorType.Q5_1):
            halves = -halves  # these mins are added, those of the K types subtracted
        blocks[:, offset : offset + 2] = halves.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1)


def _bytes(array: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
