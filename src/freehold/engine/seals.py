"""What is kept of bytes that were checked against the manifest, to know them again when they are read once more.

A streamed tile is checked each time it is read, for a disk that fails or a file that is changed under a running model. A digest
that anyone can compute costs 0.2 s a gigabyte; but nobody outside this process sees a seal or the key it is made with, so a keyed
universal hash is as sure, and costs little more than reading the memory:

    seal = BLAKE3(NH(key, block 0), NH(key, block 1), ...)       blocks of 4 KiB, the last one filled up with zeros

The key is drawn at random when the process starts. Whatever is put in the place of the bytes, without knowing the key, has the
same seal with probability 2^-128 at most (`kernels.seal` has the source), as all that is compared has one length.
"""

import ctypes
import os
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from freehold.engine.kernels.jit import compile_function
from freehold.engine.kernels.seal import BLOCK_BYTES, KEY_BYTES, SUM_BYTES, emit_seal

_SIGNATURE: Final = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)  # lets go of the interpreter while it runs


class Sealer:
    """Makes seals with one key. Thread-safe."""

    def __init__(self, key: bytes | None = None) -> None:
        """`key`, of KEY_BYTES, is for tests: seals of a known key prove nothing."""
        self._key = np.frombuffer(key if key is not None else os.urandom(KEY_BYTES), np.uint8)
        self._function = _native()

    def begin(self) -> "Sealing":
        """For bytes that come in pieces."""
        return Sealing(self)

    def seal(self, view: memoryview) -> bytes:
        sealing = self.begin()
        sealing.update(view)
        return sealing.digest()

    def sums(self, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """NH of whole blocks."""
        blocks = data.nbytes // BLOCK_BYTES
        sums = np.empty(blocks * SUM_BYTES, np.uint8)
        self._function(data.ctypes.data, blocks, self._key.ctypes.data, sums.ctypes.data)
        return sums


@cache
def _native() -> Any:
    return _SIGNATURE(compile_function("seal", lambda module: emit_seal(module, "seal")))


class Sealing:
    """A seal in the making."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._digest: Any = blake3()
        self._rest = b""  # what has come of a block that is not yet whole

    def update(self, view: memoryview) -> None:
        data: npt.NDArray[np.uint8] = np.frombuffer(view, np.uint8)
        if self._rest:
            missing = BLOCK_BYTES - len(self._rest)
            self._rest += data[:missing].tobytes()
            data = data[missing:]
            if len(self._rest) < BLOCK_BYTES:
                return
            self._add(np.frombuffer(self._rest, np.uint8))
            self._rest = b""
        whole = data.nbytes // BLOCK_BYTES * BLOCK_BYTES
        self._add(data[:whole])
        self._rest = data[whole:].tobytes()

    def digest(self) -> bytes:
        """Call once, at the end."""
        if self._rest:
            self._add(np.frombuffer(self._rest.ljust(BLOCK_BYTES, b"\0"), np.uint8))
            self._rest = b""
        return bytes(self._digest.digest())

    def _add(self, blocks: npt.NDArray[np.uint8]) -> None:
        if blocks.nbytes:
            self._digest.update(self._sealer.sums(blocks))
