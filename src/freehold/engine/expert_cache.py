"""Experts of a mixture that does not fit in memory: read when a token takes them, and kept by how much they are used.

Decided here: which experts are in memory, and that none is handed out whose bytes were not checked. A slot holds the three
matrices of one expert of one layer. Each is read past the page cache and checked against the seal that was made of it when the
model was loaded and its blocks had passed.

    slot   | gate, and the sectors it begins and ends in | up, ... | down, ... |

Who has been used least of late gives up its slot; of equals, whose layer comes last from here on. To give up who has waited
longest would be the worst choice: a pass goes through the layers in a circle, and would always lose what it needs next.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from freehold.engine.files import WeightsFile
from freehold.engine.memory import private_buffer
from freehold.engine.seals import Sealer
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiers import slot_bytes
from freehold.engine.tile_table import LoadedTile
from freehold.engine.tiles import Tile

Indices = npt.NDArray[np.int64]

_READERS: Final = 3  # one waits for the disk, one checks
_DECAY: Final = 0.97  # of a use, a pass over its layer: half after 23 tokens
_LATER: Final = 1e-3  # what a whole round of layers counts against a use


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertStats:
    """Since the start: experts that tokens took, those of them that had to be read, and the bytes of these."""

    taken: int
    read: int
    read_bytes: int


class ExpertCache:
    """One thread asks for experts; those of the cache only read. `files` stay the caller's. Close it."""

    def __init__(
        self, layers: Sequence[Sequence[Sequence[LoadedTile]]], files: Sequence[WeightsFile], sealer: Sealer, slots: int
    ) -> None:
        """`layers` has each layer's experts, all of one number, and each expert's matrices."""
        self._layers, self._files, self._sealer, self.slots = layers, files, sealer, slots
        self._count = len(layers[0])
        parts = zip(*(expert for layer in layers for expert in layer), strict=True)
        self._starts = np.cumsum([0, *(slot_bytes([loaded.tile for loaded in part]) for part in parts)]).tolist()
        self._memory = private_buffer(slots * self._starts[-1])
        self.addresses: Indices = np.zeros((slots, len(self._starts) - 1), np.int64)
        self._slot_of: Indices = np.full((len(layers), self._count), -1, np.int64)
        self._owner: Indices = np.full(slots, -1, np.int64)  # layer * experts + expert
        self._uses: npt.NDArray[np.float64] = np.zeros((len(layers), self._count))
        sizes = [[sum(loaded.tile.size_bytes for loaded in expert) for expert in layer] for layer in layers]
        self._sizes: Indices = np.array(sizes, np.int64)
        self._pool = ThreadPoolExecutor(_READERS, "experts-read")
        self._taken = self._read = self._read_bytes = 0

    @property
    def types(self) -> list[list[TensorType]]:
        """Of each layer's matrices."""
        return [[loaded.tile.type for loaded in layer[0]] for layer in self._layers]

    def stats(self) -> ExpertStats:
        return ExpertStats(taken=self._taken, read=self._read, read_bytes=self._read_bytes)

    def close(self) -> None:
        self._pool.shutdown()

    def groups(self, layer: int, wanted: Indices) -> Iterator[tuple[Indices, Indices, bool]]:
        """(places in `wanted`, slots that hold these experts, whether they are the last) until all had their turn.

        Those that are here come first: they are computed while the others are read. A group's slots stay as they are until the
        next one is asked for, the last one's until the next call. Raises DeviceError or VerificationError for what cannot be had.
        """
        uses = self._uses[layer]
        uses *= _DECAY
        uses[wanted] += 1
        slots = self._slot_of[layer][wanted]
        self._taken += len(wanted)
        if slots.min() >= 0:
            yield np.arange(len(wanted)), slots, True
            return
        places, missing = np.flatnonzero(slots >= 0), np.flatnonzero(slots < 0)
        held = slots[places]
        reading: list[Future[int]] = []
        try:
            while places.size or missing.size:
                # Half of the slots at most, so that a group can be read while another is computed.
                coming = missing[: min(self.slots - len(held), max(1, self.slots // 2))]
                missing = missing[len(coming) :]
                reading = self._start_reading(layer, wanted[coming], held)
                if places.size:
                    yield places, held, not coming.size and not missing.size
                held = np.array([future.result() for future in reading], np.int64)
                places, read = coming, wanted[coming]
                self._slot_of[layer, read] = held
                self._owner[held] = layer * self._count + read
                self._read += len(read)
                self._read_bytes += int(self._sizes[layer, read].sum())
        finally:
            wait(reading)  # nobody may be given a slot that is still read into

    def _start_reading(self, layer: int, experts: Indices, held: Indices) -> list[Future[int]]:
        """Futures of the slots that the experts are read into; those of `held` are left alone."""
        slots = self._free(len(experts), layer, held)
        for slot in slots[self._owner[slots] >= 0]:
            self._slot_of[divmod(int(self._owner[slot]), self._count)] = -1
            self._owner[slot] = -1
        return [
            self._pool.submit(self._fill, int(slot), self._layers[layer][int(expert)])
            for slot, expert in zip(slots, experts, strict=True)
        ]

    def _free(self, count: int, layer: int, held: Indices) -> Indices:
        """The slots that are worth least."""
        if not count:
            return np.empty(0, np.int64)
        rounds = (self._owner // self._count - layer - 1) % len(self._layers) / len(self._layers)
        worth = np.where(self._owner < 0, -np.inf, self._uses.reshape(-1)[self._owner] - _LATER * rounds)
        worth[held] = np.inf
        return np.argpartition(worth, count - 1)[:count]

    def _fill(self, slot: int, expert: Sequence[LoadedTile]) -> int:
        base = slot * self._starts[-1]
        for part, loaded in enumerate(expert):
            tile, buffer = loaded.tile, self._memory[base + self._starts[part] : base + self._starts[part + 1]].data
            file = self._files[tile.part]
            view = loaded.read(file, buffer)
            loaded.check(view, self._sealer, file.name)
            self.addresses[slot, part] = np.frombuffer(view, np.uint8).ctypes.data
        return slot


class ExpertSeals:
    """Makes the seals of experts while a model's checked blocks go by."""

    def __init__(self, layers: Sequence[Sequence[Sequence[Tile]]]) -> None:
        """`layers` as for `ExpertCache`."""
        self._layers = layers
        self._seals: dict[Tile, bytes] = {}

    def dealer(self, part: int, sealer: Sealer) -> "_Dealer":
        tiles = (tile for layer in self._layers for expert in layer for tile in expert)
        return _Dealer(sorted((tile for tile in tiles if tile.part == part), key=lambda tile: tile.offset), sealer, self._seals)

    def open(self, files: Sequence[WeightsFile], sealer: Sealer, slots: int) -> ExpertCache:
        """Once all blocks have gone by: the cache that reads what they were."""
        loaded = [
            [[LoadedTile(tile=tile, seal=self._seals[tile]) for tile in expert] for expert in layer] for layer in self._layers
        ]
        return ExpertCache(loaded, files, sealer, slots)


class _Dealer:
    """Takes a file's blocks one after the other, and knows where it is in a list of tiles that do not overlap."""

    def __init__(self, tiles: Sequence[Tile], sealer: Sealer, seals: dict[Tile, bytes]) -> None:
        self._tiles, self._sealer, self._seals = tiles, sealer, seals
        self._next = 0
        self._sealing = sealer.begin()

    def __call__(self, start: int, view: memoryview) -> None:
        end = start + len(view)
        while self._next < len(self._tiles) and self._tiles[self._next].offset < end:
            tile = self._tiles[self._next]
            self._sealing.update(view[max(tile.offset, start) - start : min(tile.end, end) - start])
            if tile.end > end:
                return
            self._seals[tile] = self._sealing.digest()
            self._sealing = self._sealer.begin()
            self._next += 1
