"""Calls single kernels from tests, the way `step` does: columns, panels and addresses."""

import ctypes
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from freehold.engine.kernels.elementwise import quantise
from freehold.engine.kernels.emit import Emitter
from freehold.engine.kernels.jit import compile_function
from freehold.engine.kernels.library import Kernels
from freehold.engine.kernels.matmul import HEADER_BYTES, PANEL_BLOCKS
from freehold.engine.kernels.records import BLOCK, PANEL_BYTES
from freehold.engine.tensor_types import TensorType


def call(address: int, *arguments: int) -> None:
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(arguments))(address)(*arguments)


def emitted(kernels: Kernels, name: str, arguments: int, body: Callable[[Emitter], None]) -> int:
    """Address of a function written for one test."""
    name = f"test_{name}_{kernels.name}"

    def emit(module: object) -> None:
        e = Emitter(module, name, arguments, kernels.target.lanes)
        body(e)
        e.returns()

    return compile_function(name, emit)


class Aligned:
    """Memory at a 64-byte boundary."""

    def __init__(self, size_bytes: int) -> None:
        self._raw = np.zeros(size_bytes + 64, np.uint8)
        self.address = self._raw.ctypes.data + -self._raw.ctypes.data % 64


class Columns:
    """Quantised columns and their record."""

    def __init__(self, kernels: Kernels, x: npt.NDArray[np.float32]) -> None:
        count, length = x.shape
        blocks = length // BLOCK
        self.x = np.ascontiguousarray(x)
        self.q = np.zeros((count, length), np.int8)
        self.headers = np.zeros((count, blocks, 4), np.float32)
        function = emitted(kernels, "quantise", 4, _quantise)
        for c in range(count):
            call(function, self.x[c].ctypes.data, self.q[c].ctypes.data, self.headers[c].ctypes.data, blocks)
        arrays = ((self.q, length), (self.headers, blocks * HEADER_BYTES), (self.x, 4 * length))
        self.record = np.array([value for array, pitch in arrays for value in (array.ctypes.data, pitch)], np.int64)


def _quantise(e: Emitter) -> None:

    quantise(e, *e.arguments)


def multiply(
    kernels: Kernels, type_: TensorType, rows: npt.NDArray[np.uint8], x: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Columns (C, K) by rows of blocks (R, bytes): (C, R). Rows past the end repeat the last, as in `step`."""
    lanes, blocks = kernels.target.lanes, x.shape[1] // BLOCK
    columns, packed = Columns(kernels, x), Aligned(PANEL_BYTES)
    out = np.zeros((len(x), -(-len(rows) // lanes) * lanes), np.float32)
    for first in range(0, len(rows), lanes):
        totals = np.zeros((len(x), lanes), np.float32)
        at = [rows[min(first + lane, len(rows) - 1)].ctypes.data for lane in range(lanes)]
        addresses = np.array(at, np.int64)
        for start in range(0, blocks, PANEL_BLOCKS):
            count = min(PANEL_BLOCKS, blocks - start)
            call(kernels.pack(type_), addresses.ctypes.data, start, count, packed.address, at[0])
            record = columns.record.ctypes.data
            call(kernels.dots(type_), packed.address, start, count, record, len(x), totals.ctypes.data)
        out[:, first : first + lanes] = totals
    return out[:, : len(rows)]


def multiply_single(
    kernels: Kernels, type_: TensorType, rows: npt.NDArray[np.uint8], x: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """One column (1, K) by whole panels of rows (R, bytes), on the way that keeps nothing in memory: (1, R)."""
    lanes, columns = kernels.target.lanes, Columns(kernels, x)
    out = np.full((1, len(rows)), np.nan, np.float32)
    for first in range(0, len(rows), lanes):
        place = out[0, first : first + lanes].ctypes.data
        record, blocks = columns.record.ctypes.data, x.shape[1] // BLOCK
        call(kernels.single(type_), rows[first].ctypes.data, rows.shape[1], blocks, record, place)
    return out


def multiply_few(
    kernels: Kernels, type_: TensorType, rows: npt.NDArray[np.uint8], x: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """A few columns (C, K) by whole panels of rows (R, bytes), unpacked into registers: (C, R)."""
    lanes, columns = kernels.target.lanes, Columns(kernels, x)
    out = np.full((len(x), len(rows)), np.nan, np.float32)
    totals = np.full((len(x), lanes), np.nan, np.float32)
    for first in range(0, len(rows), lanes):
        record, blocks = columns.record.ctypes.data, x.shape[1] // BLOCK
        call(kernels.few(type_), rows[first].ctypes.data, rows.shape[1], blocks, record, len(x), totals.ctypes.data)
        out[:, first : first + lanes] = totals
    return out


def expand(kernels: Kernels, type_: TensorType, rows: npt.NDArray[np.uint8], length: int) -> npt.NDArray[np.float32]:
    """At most `lanes` rows as f32."""
    lanes, blocks, packed = kernels.target.lanes, length // BLOCK, Aligned(PANEL_BYTES)
    addresses = np.array([rows[min(lane, len(rows) - 1)].ctypes.data for lane in range(lanes)], np.int64)
    call(kernels.pack(type_), addresses.ctypes.data, 0, blocks, packed.address, int(addresses[0]))
    out = np.zeros((len(rows), length), np.float32)
    for i in range(len(rows)):
        call(kernels.expand(type_), packed.address, blocks, i, out[i].ctypes.data)
    return out
