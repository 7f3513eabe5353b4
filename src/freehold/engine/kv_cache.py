"""Keys and values of past positions, f16, in pages of 64 positions.

Decided here: which page belongs to which sequence, and the layout inside a page. Which sequence is admitted, and when, is left
to the scheduler. A page is whole (64 positions of every layer), so a sequence wastes at most 63 positions.

    store (pages, layers, kv_heads, 2 * 64 * head_dim) f16
           a head's part of a page:  keys (head_dim, 64)  |  values (64, head_dim)

Keys lie position-fastest and values dimension-fastest: both inner loops of attention then run along memory, and neither sums
across a vector, so the order of every sum is fixed by position alone. A page is one run of memory: with
the layers outermost, its first use took a huge page of the system's in each layer, 60 MB in a model of 30.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import DeviceError, InternalError

PAGE_POSITIONS: Final = 64  # 4 vectors of 16 lanes


class KvCache:
    """Hands out pages. Not thread-safe: the scheduler's thread owns it."""

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, pages: int, max_sequences: int, max_pages_per_sequence: int
    ) -> None:
        self.layers, self.kv_heads, self.head_dim = layers, kv_heads, head_dim
        self.pages, self.max_sequences, self.max_pages_per_sequence = pages, max_sequences, max_pages_per_sequence
        try:
            self.store: npt.NDArray[np.uint16] = np.zeros(
                (pages, layers, kv_heads, 2 * PAGE_POSITIONS * head_dim), dtype=np.uint16
            )
        except MemoryError as exc:
            size_bytes = pages * self.page_bytes(layers, kv_heads, head_dim)
            raise DeviceError(f"no memory for a KV cache of {size_bytes} bytes ({pages} pages); lower the KV memory") from exc
        self.block_tables: npt.NDArray[np.int32] = np.zeros((max_sequences, max_pages_per_sequence), dtype=np.int32)
        self._held = [0] * max_sequences  # pages of each open sequence
        self._open = [False] * max_sequences
        self._free_pages = list(range(pages - 1, -1, -1))
        self._free_slots = list(range(max_sequences - 1, -1, -1))

    @staticmethod
    def page_bytes(layers: int, kv_heads: int, head_dim: int) -> int:
        return layers * kv_heads * head_dim * 2 * PAGE_POSITIONS * 2

    @property
    def free_pages(self) -> int:
        return len(self._free_pages)

    @property
    def free_sequences(self) -> int:
        return len(self._free_slots)

    @property
    def max_positions(self) -> int:
        """The longest sequence a block table can hold."""
        return self.max_pages_per_sequence * PAGE_POSITIONS

    def positions_held(self, sequence: int) -> int:
        """Positions that are backed by pages."""
        return self._held[sequence] * PAGE_POSITIONS

    def pages_needed(self, sequence: int, positions: int) -> int:
        """Pages that `reserve` would take."""
        return max(0, -(-positions // PAGE_POSITIONS) - self._held[sequence])

    def open(self) -> int:
        """A sequence slot without pages. Raises DeviceError when all are taken."""
        if not self._free_slots:
            raise DeviceError(f"all {self.max_sequences} sequences are in use; retry when one has ended")
        slot = self._free_slots.pop()
        self._open[slot] = True
        return slot

    def reserve(self, sequence: int, positions: int) -> None:
        """Back the first `positions` positions with pages. Raises DeviceError and takes nothing where they do not suffice."""
        self._must_be_open(sequence)
        if positions > self.max_positions:
            raise DeviceError(f"{positions} positions do not fit a sequence of at most {self.max_positions}")
        needed = self.pages_needed(sequence, positions)
        if needed > len(self._free_pages):
            raise DeviceError(f"{positions} positions need {needed} more pages, {len(self._free_pages)} of {self.pages} are free")
        for _ in range(needed):
            self.block_tables[sequence, self._held[sequence]] = self._free_pages.pop()
            self._held[sequence] += 1

    def free(self, sequence: int) -> None:
        """Give the slot and its pages back."""
        self._must_be_open(sequence)
        held = self.block_tables[sequence, : self._held[sequence]]
        self._free_pages.extend(int(page) for page in reversed(held))
        self._held[sequence] = 0
        self._open[sequence] = False
        self._free_slots.append(sequence)

    def _must_be_open(self, sequence: int) -> None:
        if not (0 <= sequence < self.max_sequences and self._open[sequence]):
            raise InternalError(f"sequence {sequence} is not open")
