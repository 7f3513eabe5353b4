"""Streamed tiles on their way from the disk into a pass: a ring of slots, filled in the order in which passes use them.

Decided here: when a slot may be filled again, and that nothing is published which was not checked. Two threads read, so that the
disk has the next read before the last one's thread runs again; one checks. All let go of the interpreter while they do. What is
computed from a tile, and by whom, is `kernels.step`'s.

    entry     0   1   2   3   4   5   6 ...     streamed tiles in the order of use, pass after pass
    slot      0   1   2   3   0   1   2 ...
              |   |   |   read into             an entry waits until the last one in its slot is used up
              |   |   checked
              computed from

A tile's record says for which pass it has arrived. Native code waits for that, computes, and counts the rows it has used; who
uses the last one writes a byte into a pipe that the reader sleeps on. Shares of a phase are taken in the order of rows, so who
waits for a tile waits for nothing that stands behind it: all rows before it are with threads that do not wait for it. Two slots
are enough to go on (rows of `gate` and of `up` are used together); the others keep disk and compute from waiting for each other.

A tile that cannot be read, or is not what it was when the model was loaded, fails the ring: waiting threads go on with zeros, the
pass ends early, and `end` raises. The next pass starts the ring anew, as a disk may come back.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import FreeholdError, InternalError
from freehold.engine.files import WeightsFile
from freehold.engine.kernels import records
from freehold.engine.kernels.records import Tile as Record
from freehold.engine.memory import private_buffer
from freehold.engine.seals import Sealer
from freehold.engine.tiers import SLOTS, slot_bytes
from freehold.engine.tile_table import LoadedTile, TileTable, base_address
from freehold.engine.tiles import Tile

_READERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RingStats:
    """What was read since the start."""

    tiles: int
    read_bytes: int


class Ring:
    """One thread runs passes: `begin`, the pass itself, `end`. Owns its threads and a pipe until it is closed."""

    def __init__(
        self,
        files: Sequence[WeightsFile],
        tiles: Sequence[LoadedTile],
        table: TileTable,
        sealer: Sealer,
        conditional: Mapping[str, int],
        slots: int = SLOTS,
    ) -> None:
        """`tiles` in the order of use; the resident ones are left alone. `files` stay the caller's.

        The matrices of `conditional` are read only for passes that want them: their tiles wait until `decided[group]` has
        reached the pass, and are read if `Record.WANTED` has too. Both are written by whoever decides.
        """
        self._streamed = [loaded for loaded in tiles if loaded.data is None]
        self._files, self._sealer = files, sealer
        self._tiles = [loaded.tile for loaded in self._streamed]
        self._records = [table.record(tile) for tile in self._tiles]
        self._groups = [conditional.get(tile.use) for tile in self._tiles]
        self.decided: npt.NDArray[np.int64] = np.zeros(1 + max(conditional.values(), default=0), np.int64)
        # No more than there are tiles: one tile would lie in two slots, for two passes.
        self._memory, self._slots = _slots(self._tiles, min(slots, len(self._tiles)))
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)  # a pipe that is full wakes the reader as well
        self.record: npt.NDArray[np.int64] = np.zeros(records.Ring.LENGTH, np.int64)
        self.record[records.Ring.WAKE] = wake
        self._tiles_read = self._read_bytes = 0
        self._is_closed = False
        self._start(1)

    def begin(self, number: int, wanted: Mapping[int, bool]) -> None:
        """Pass `number`, counted from 1, is about to run, and wants these groups of matrices or does not."""
        if self._is_closed:
            raise InternalError("the weights have been closed")
        if self._error is not None:
            self._stop()
            self._start(number)
        for record, group in zip(self._records, self._groups, strict=True):
            if group is not None and wanted.get(group):
                record[Record.WANTED] = number
        for group in wanted:
            self.decided[group] = number
        self._notify()

    def end(self) -> None:
        """The pass has run. Raises VerificationError or DeviceError where a tile did not come: its results are worth nothing."""
        if self._error is not None:
            raise type(self._error)(self._error.message) from self._error

    def fail(self, error: FreeholdError) -> None:
        """The pass is given up for another reason, and will not use its tiles: the next one starts the ring anew."""
        if not self._is_closed:
            self._fail(error)

    def stats(self) -> RingStats:
        return RingStats(tiles=self._tiles_read, read_bytes=self._read_bytes)

    def close(self) -> None:
        """Ends the threads. No pass may be running, nor begin."""
        if self._is_closed:
            return
        self._stop()
        self._is_closed = True
        os.close(self._wake)
        os.close(int(self.record[records.Ring.WAKE]))

    # ---- threads --------------------------------------------------------------------------------------------

    def _start(self, number: int) -> None:
        """From the first tile of pass `number` on."""
        self._first_pass = number
        self._is_stopping = False
        self._error: FreeholdError | None = None
        self.record[records.Ring.FAILED] = 0
        for tile, record in zip(self._tiles, self._records, strict=True):
            record[Record.DONE] = (number - 1) * tile.rows
            record[Record.ARRIVED] = 0  # also what came for this pass before the ring failed: its slot is filled anew
        self._to_check: SimpleQueue[tuple[int, memoryview] | None] = SimpleQueue()
        self._taking, self._next = threading.Lock(), 0
        reading = [(self._read_all, f"tiles-read-{i + 1}") for i in range(_READERS)]
        works = [*reading, (self._check_all, "tiles-check")] if self._tiles else []
        self._threads = [threading.Thread(target=self._run, args=(work,), name=name, daemon=True) for work, name in works]
        for thread in self._threads:
            thread.start()

    def _stop(self) -> None:
        self._is_stopping = True
        self._notify()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except FreeholdError as exc:
            self._fail(exc)
        except BaseException as exc:  # a pass would wait for ever for a thread that died
            error = InternalError(f"reading weights failed with {type(exc).__name__}; the log has the details")
            error.__cause__ = exc
            self._fail(error)

    def _fail(self, error: FreeholdError) -> None:
        self._error = self._error or error
        self.record[records.Ring.FAILED] = 1
        self._to_check.put(None)
        self._notify()

    def _notify(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(int(self.record[records.Ring.WAKE]), b"\0")

    def _entry(self, entry: int) -> tuple[int, int]:
        """(pass, streamed tile)."""
        return self._first_pass + entry // len(self._tiles), entry % len(self._tiles)

    # ---- reading --------------------------------------------------------------------------------------------

    def _read_all(self) -> None:
        while (entry := self._take()) is not None:
            _, i = self._entry(entry)
            view = self._streamed[i].read(self._files[self._tiles[i].part], self._slots[entry % len(self._slots)])
            self._to_check.put((entry, view))
        self._to_check.put(None)

    def _take(self) -> int | None:
        """The next entry to be read, once there is a place for it; None where the ring has failed or is to stop.

        One reader waits at a time, and the others for it: entries are taken in order.
        """
        with self._taking:
            while self._wait_for_place(self._next):
                entry = self._next
                self._next += 1
                number, i = self._entry(entry)
                # Wanted by a later pass alone: the pass of this entry ran to its end without it before it was this one's turn.
                if self._groups[i] is None or self._records[i][Record.WANTED] == number:
                    return entry
                self._records[i][Record.DONE] = number * self._tiles[i].rows
        return None

    def _wait_for_place(self, entry: int) -> bool:
        """Until the entry has a slot and is known to be wanted or not. False where the ring has failed or is to stop."""
        while not (self._is_stopping or self._error or (self._is_free(entry) and self._is_decided(entry))):
            os.read(self._wake, 4096)
        return not (self._is_stopping or self._error)

    def _is_free(self, entry: int) -> bool:
        """Whether the entry before it in its slot has been used up."""
        if entry < len(self._slots):
            return True
        number, i = self._entry(entry - len(self._slots))
        return bool(self._records[i][Record.DONE] >= number * self._tiles[i].rows)

    def _is_decided(self, entry: int) -> bool:
        number, i = self._entry(entry)
        group = self._groups[i]
        return group is None or bool(self.decided[group] >= number)

    # ---- checking -------------------------------------------------------------------------------------------

    def _check_all(self) -> None:
        while (found := self._to_check.get()) is not None:
            entry, view = found
            number, i = self._entry(entry)
            tile, record = self._tiles[i], self._records[i]
            self._streamed[i].check(view, self._sealer, self._files[tile.part].name)
            self._read_bytes += tile.size_bytes
            self._tiles_read += 1
            record[Record.BASE] = base_address(np.frombuffer(view, np.uint8), tile)
            # Seen after the bytes, also on processors that let stores pass each other: since those were written, this thread and
            # the reader have both let go of the interpreter's lock and taken it again.
            record[Record.ARRIVED] = number


def _slots(tiles: Sequence[Tile], count: int) -> tuple[npt.NDArray[np.uint8], list[memoryview]]:
    """Memory for any of the tiles, `count` times."""
    each = slot_bytes(tiles)
    memory = private_buffer(count * each)
    return memory, [memory[i * each : (i + 1) * each].data for i in range(count)]
