"""Tiles that do not stay on the card, on their way over the link: each pass needs all of them, in one order.

Decided here: when a slot on the card may be filled again, and that nothing goes to the card which was not checked.

    disk     | read and checked by workers | in pinned memory, a slot a tile     P slots, in turn
    memory   | checked when it was loaded  | in pinned memory, for good
                          | copy stream, beside the computing
    card     slot 0   slot 1   slot 2 ...                                        computed from where it lands

A thread sends in the order of use, pass after pass, as far ahead as there are slots: a slot is filled once the computing from it
is done, which the card itself waits for. A tile that cannot be read, or is not what it was when the model was loaded, ends the
sending: `take` raises, and the next pass starts anew.

Reading straight from disk to card (GPUDirect Storage) is not used: bytes that no processor has seen cannot be checked before they
are computed with.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import torch

from freehold.core.errors import FreeholdError, InternalError
from freehold.engine.files import WeightsFile
from freehold.engine.gpu.card import Card
from freehold.engine.memory import private_buffer
from freehold.engine.seals import Sealer
from freehold.engine.tile_table import LoadedTile
from freehold.engine.tiles import SECTOR_BYTES

CARD_SLOTS: Final = 6
READ_SLOTS: Final = 6  # pinned, for tiles on disk
READERS: Final = 3  # one waits for the disk while others check
_ALIGNMENT: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderStats:
    """Since the start. `wait_s` is what the computing side waited for tiles to be sent."""

    tiles: int
    sent_bytes: int
    read_bytes: int
    wait_s: float


def slot_bytes(sizes: Sequence[int]) -> int:
    """Of one slot on the card."""
    return -(-max(sizes, default=0) // _ALIGNMENT) * _ALIGNMENT


class Sender:
    """One thread runs passes: `begin`, then `take` and `give` for each tile in order. Owns its threads until it is closed."""

    def __init__(self, card: Card, files: Sequence[WeightsFile], tiles: Sequence[LoadedTile], sealer: Sealer) -> None:
        """`tiles` in the order of use: those with data are sent from there, pinned memory, the others are read each time."""
        self._card, self._files, self._tiles, self._sealer = card, files, tiles, sealer
        sizes = [loaded.tile.size_bytes for loaded in tiles]
        self._slots = card.zeros((min(CARD_SLOTS, len(tiles)), slot_bytes(sizes)), torch.uint8)
        self._sources = [None if loaded.data is None else torch.from_numpy(loaded.data) for loaded in tiles]
        read = [loaded.tile.size_bytes for loaded in tiles if loaded.data is None]
        size_bytes = -(-(max(read, default=0) + 2 * SECTOR_BYTES) // SECTOR_BYTES) * SECTOR_BYTES if read else 0
        self._pinned = card.pin(private_buffer(READ_SLOTS * size_bytes)) if read else torch.empty(0, dtype=torch.uint8)
        self._places = [self._pinned[i * size_bytes : (i + 1) * size_bytes] for i in range(READ_SLOTS)] if read else []
        self._sent_bytes = self._read_bytes = self._sent = 0
        self._wait_s = 0.0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._start()

    def begin(self) -> None:
        """A pass is about to run. Starts anew after an error, or after a pass that took not all of its tiles."""
        if self._tiles and (self._error is not None or self._taken % len(self._tiles)):
            self._stop()
            self._start()

    def take(self) -> torch.Tensor:
        """The next tile's bytes on the card; what is begun on the current stream from now on sees them.

        Raises VerificationError or DeviceError where it did not come: what was computed in this pass is worth nothing.
        """
        begun_s = time.perf_counter()
        with self._changed:
            while self._error is None and self._published <= self._taken:
                self._changed.wait()
            if self._error is not None:
                raise type(self._error)(self._error.message) from self._error
            slot = self._taken % len(self._slots)
            size_bytes = self._tiles[self._taken % len(self._tiles)].tile.size_bytes
        self._wait_s += time.perf_counter() - begun_s
        self._card.wait(self._arrived[slot])
        return self._slots[slot, :size_bytes]

    def give(self) -> None:
        """All that is computed from the tile taken last has been begun."""
        self._used[self._taken % len(self._slots)] = self._card.mark()
        with self._changed:
            self._taken += 1
            self._changed.notify_all()

    def stats(self) -> SenderStats:
        return SenderStats(tiles=self._sent, sent_bytes=self._sent_bytes, read_bytes=self._read_bytes, wait_s=self._wait_s)

    def close(self) -> None:
        self._stop()
        self._card.unpin(self._pinned)

    # ---- the sending thread ---------------------------------------------------------------------------------

    def _start(self) -> None:
        self._error: FreeholdError | None = None
        self._is_stopping = False
        self._published = self._taken = 0
        self._arrived: list[Any] = [None] * len(self._slots)
        self._used: list[Any] = [None] * len(self._slots)
        self._copied: list[Any] = [None] * len(self._places)
        if self._tiles:
            self._thread = threading.Thread(target=self._run, name="tiles-send", daemon=True)
            self._thread.start()

    def _stop(self) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._card.is_cuda:  # nothing may be under way into slots that are filled anew
            torch.cuda.synchronize(self._card.device)

    def _run(self) -> None:
        try:
            with ThreadPoolExecutor(READERS, "tiles-read") as readers:
                self._send_all(readers)
        except FreeholdError as exc:
            self._fail(exc)
        except BaseException as exc:  # a pass would wait for ever for a thread that died
            error = InternalError(f"sending weights to the card failed with {type(exc).__name__}; the log has the details")
            error.__cause__ = exc
            self._fail(error)

    def _fail(self, error: FreeholdError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _send_all(self, readers: ThreadPoolExecutor) -> None:
        entry = ahead = reads = 0
        reading: dict[int, tuple[int, Future[memoryview]]] = {}  # entry -> (pinned slot, bytes)
        while True:
            # Reads run ahead of what is sent, by as many tiles as there are pinned slots.
            while self._places and len(reading) < len(self._places) and ahead < entry + 4 * len(self._places):
                if self._source(ahead) is None:
                    place = reads % len(self._places)
                    reading[ahead] = place, readers.submit(self._read, ahead, place, self._copied[place])
                    reads += 1
                ahead += 1
            if not self._wait_for_slot(entry):
                return
            source = self._source(entry)
            if source is None:
                place, future = reading.pop(entry)
                self._copied[place] = self._send(entry, torch.frombuffer(future.result(), dtype=torch.uint8))
            else:
                self._send(entry, source)
            ahead = max(ahead, entry + 1)
            entry += 1

    def _source(self, entry: int) -> torch.Tensor | None:
        return self._sources[entry % len(self._tiles)]

    def _read(self, entry: int, place: int, copied: Any) -> memoryview:
        """A tile from disk, checked in the memory that it is sent from."""
        self._card.finish(copied)
        loaded = self._tiles[entry % len(self._tiles)]
        file = self._files[loaded.tile.part]
        view = loaded.read(file, self._places[place].numpy().data)
        loaded.check(view, self._sealer, file.name)
        self._read_bytes += loaded.tile.size_bytes
        return view

    def _wait_for_slot(self, entry: int) -> bool:
        """Until the computing from the entry before it in its slot has been begun. False where it is to stop."""
        with self._changed:
            while not self._is_stopping and entry - self._taken >= len(self._slots):
                self._changed.wait()
            return not self._is_stopping

    def _send(self, entry: int, source: torch.Tensor) -> Any:
        """Returns the mark behind the copy."""
        slot = entry % len(self._slots)
        with self._card.copying():
            self._card.wait(self._used[slot])
            self._slots[slot, : len(source)].copy_(source, non_blocking=True)
            arrived = self._card.mark()
        self._sent += 1
        self._sent_bytes += len(source)
        with self._changed:
            self._arrived[slot] = arrived
            self._published = entry + 1
            self._changed.notify_all()
        return arrived
