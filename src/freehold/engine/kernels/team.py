"""The compute threads: parked while there is nothing to do, inside one native function while there is.

The caller's own thread is the first of the team. ctypes lets go of the interpreter for the length of the native call.
"""

import ctypes
import threading
from queue import SimpleQueue
from typing import Final

from freehold.core.errors import InternalError
from freehold.engine.kernels.records import OPEN

_STEP: Final = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)


class Team:
    """`run` may be called by one thread at a time."""

    def __init__(self, size: int, function: int) -> None:
        if size < 1:
            raise InternalError(f"a team of {size} threads cannot compute")
        self.size = size
        self._function = _STEP(function)
        self._record = 0
        self._closed = False
        self._go = [SimpleQueue[bool]() for _ in range(size - 1)]  # whether to go on; threading's semaphores are slower
        self._threads = [
            threading.Thread(target=self._work, args=(i + 1,), name=f"compute-{i + 1}", daemon=True) for i in range(size - 1)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, record: int) -> None:
        """Run the function on `record`. Returns when every thread that entered has left.

        A thread that wakes too late finds the pass closed, or enters the next one: all passes share one record.
        """
        if self._closed:
            raise InternalError("the compute threads have been stopped")
        self._record = record
        self._function(record, OPEN)
        for go in self._go:
            go.put(True)
        self._function(record, 0)

    def close(self) -> None:
        self._closed = True
        for go in self._go:
            go.put(False)
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        go = self._go[number - 1]
        while go.get():
            self._function(self._record, number)
