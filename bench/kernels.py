"""The kernels of every tensor type, alone: a matrix of 4096 x 14336 times 1, 2, 4, 8 and 16 columns on one thread.

By the thread's own CPU clock, so that other programs count little. One column is held against what the thread can read from
memory, more columns against one: the ratio of `x16` says how many times longer sixteen take.
"""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.engine.kernels import rows
from freehold.engine.kernels.formats import FORMATS
from freehold.engine.kernels.jit import compile_function
from freehold.engine.kernels.library import Kernels
from freehold.engine.kernels.matmul import HEADER_BYTES
from freehold.engine.kernels.records import BLOCK, SCRATCH_BYTES
from freehold.engine.memory import private_buffer
from freehold.engine.tensor_types import TensorType

Report = Callable[..., None]

ROWS, LENGTH = 4096, 14336
WEIGHTS_BYTES: Final = 256 << 20  # as many copies of the matrix, in turn: no cache holds them
COLUMNS = (1, 2, 4, 8, 16)
ROUNDS = 9


def run(report: Report, models_dir: Path) -> None:
    kernels = Kernels()
    weights, scratch = private_buffer(WEIGHTS_BYTES), private_buffer(SCRATCH_BYTES)
    weights[:] = 0x3C  # numbers of ordinary size in every type
    record = _columns(max(COLUMNS))
    name = f"read_{kernels.name}"
    read = _function(compile_function(name, lambda module: rows.emit_read(module, name, kernels.target)), 3)
    address = weights.ctypes.data
    memory = WEIGHTS_BYTES / _median_s(lambda _: read(address, WEIGHTS_BYTES, scratch.ctypes.data))
    report(name="kernels.memory", value=memory / 1e9, unit="GB/s")
    name_of_rows = f"rows_{kernels.name}"
    function = _function(compile_function(name_of_rows, lambda module: rows.emit_rows(module, name_of_rows, kernels.target)), 11)
    for type_ in sorted(FORMATS, key=lambda type_: type_.name):
        matrix_bytes = type_.row_bytes(LENGTH) * ROWS
        taken_s = {count: _median_s(_product(kernels, function, type_, address, record, scratch, count)) for count in COLUMNS}
        rate = matrix_bytes / taken_s[1]
        report(name=f"kernels.{type_.name}", value=rate / 1e9, unit="GB/s", peer="one thread reading", ratio=rate / memory)
        for count in COLUMNS[1:]:
            ratio = taken_s[count] / taken_s[1]
            report(name=f"kernels.{type_.name}.x{count}", value=1e3 * taken_s[count], unit="ms", peer="one column", ratio=ratio)


def _product(
    kernels: Kernels,
    function: Callable[..., None],
    type_: TensorType,
    address: int,
    record: list[npt.NDArray[Any]],
    scratch: npt.NDArray[np.uint8],
    columns: int,
) -> Callable[[int], None]:
    """Computes one of the copies of the matrix that lie at `address`: another one each turn."""
    row_bytes = type_.row_bytes(LENGTH)
    copies = max(1, WEIGHTS_BYTES // (row_bytes * ROWS))
    made = (kernels.pack(type_), kernels.dots(type_), kernels.single(type_), kernels.few(type_))
    shape = (row_bytes, ROWS // kernels.target.lanes, LENGTH // BLOCK, record[0].ctypes.data, columns)

    def once(turn: int) -> None:
        function(*made, address + turn % copies * row_bytes * ROWS, *shape, scratch.ctypes.data)

    return once


def _median_s(work: Callable[[int], Any]) -> float:
    taken_s = []
    for turn in range(ROUNDS + 1):
        began_s = time.thread_time()
        work(turn)
        taken_s.append(time.thread_time() - began_s)
    return median(taken_s[1:])  # the first is for warming up


def _function(address: int, arguments: int) -> Callable[..., None]:
    return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)(address)


def _columns(count: int) -> list[npt.NDArray[Any]]:
    """A record of columns, and the arrays it points into."""
    quantised = np.ones((count, LENGTH), np.int8)
    headers = np.full((count, LENGTH // BLOCK, HEADER_BYTES // 4), 0.01, np.float32)
    floats = np.full((count, LENGTH), 0.01, np.float32)
    arrays: list[npt.NDArray[Any]] = [quantised, headers, floats]
    return [np.array([value for a in arrays for value in (a.ctypes.data, a.strides[0])], np.int64), *arrays]
