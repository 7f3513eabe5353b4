"""Keys and values of past positions, f16 or q8, in pages of 64 positions.

Decided here: which pages belong to which sequences, and the layout inside a page. Which sequence is admitted, and when, is left
to the scheduler. A page is whole (64 positions of every layer), so a sequence wastes at most 63 positions.

A page that is full can be kept under a digest of its tokens and of all before them (`keep`), and other sequences then begin with
it (`open`): they read it, and write behind it. A kept page that nobody holds stays until somebody needs a page; the one let go of
longest ago goes first.

    f16   store (pages, layers, kv_heads, 2 * 64 * head_dim) f16
          a head's part of a page:  keys (head_dim, 64)  |  values (64, head_dim)
    q8    store (pages, layers, kv_heads, 2 * 64 * head_dim + 2 * 64 * 4) bytes
          keys (head_dim, 64) int8  |  values (64, head_dim) int8  |  scales of keys (64) f32  |  scales of values (64) f32

A key or value of q8 is scale * int8, the scale being the largest of the head at this position over 127: each element is off by
at most half a scale, the largest over 254.

Keys lie position-fastest and values dimension-fastest: both inner loops of attention then run along memory, and neither sums
across a vector, so the order of every sum is fixed by position alone. A page is one run of memory: with
the layers outermost, its first use took a huge page of the system's in each layer, 60 MB in a model of 30.
"""

from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import DeviceError, InternalError

PAGE_POSITIONS: Final = 64  # 4 vectors of 16 lanes


class KvType(Enum):
    """How a key or value is held."""

    F16 = "f16"
    Q8 = "q8"

    def head_bytes(self, head_dim: int) -> int:
        """Of one head's part of a page."""
        elements = 2 * PAGE_POSITIONS * head_dim
        return 2 * elements if self is KvType.F16 else elements + 2 * PAGE_POSITIONS * 4


class KvCache:
    """Hands out pages. Not thread-safe: the scheduler's thread owns it."""

    def __init__(
        self,
        layers: int,
        kv_heads: int,
        head_dim: int,
        pages: int,
        max_sequences: int,
        max_pages_per_sequence: int,
        kv_type: KvType = KvType.F16,
    ) -> None:
        self.layers, self.kv_heads, self.head_dim, self.kv_type = layers, kv_heads, head_dim, kv_type
        self.pages, self.max_sequences, self.max_pages_per_sequence = pages, max_sequences, max_pages_per_sequence
        dtype = np.dtype(np.uint16 if kv_type is KvType.F16 else np.uint8)
        try:
            self.store: npt.NDArray[Any] = np.zeros(
                (pages, layers, kv_heads, kv_type.head_bytes(head_dim) // dtype.itemsize), dtype=dtype
            )
        except MemoryError as exc:
            size_bytes = pages * self.page_bytes(layers, kv_heads, head_dim, kv_type)
            raise DeviceError(f"no memory for a KV cache of {size_bytes} bytes ({pages} pages); lower the KV memory") from exc
        self.block_tables: npt.NDArray[np.int32] = np.zeros((max_sequences, max_pages_per_sequence), dtype=np.int32)
        self._held = [0] * max_sequences  # pages of each open sequence
        self._open = [False] * max_sequences
        self._free_slots = list(range(max_sequences - 1, -1, -1))
        self._empty_pages = list(range(pages - 1, -1, -1))
        self._holders = [0] * pages  # sequences that hold each page
        self._kept: dict[bytes, int] = {}  # digest -> page
        self._digests: dict[int, bytes] = {}  # the other way round
        self._idle: OrderedDict[int, None] = OrderedDict()  # kept pages that no sequence holds, longest idle first

    @staticmethod
    def page_bytes(layers: int, kv_heads: int, head_dim: int, kv_type: KvType = KvType.F16) -> int:
        return layers * kv_heads * kv_type.head_bytes(head_dim)

    @property
    def free_pages(self) -> int:
        """Pages that `reserve` can take: empty ones, and kept ones that no sequence holds."""
        return len(self._empty_pages) + len(self._idle)

    @property
    def kept_pages(self) -> int:
        return len(self._kept)

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

    def found(self, digests: Sequence[bytes]) -> list[int]:
        """The kept pages of the longest beginning of `digests` that is whole."""
        pages: list[int] = []
        for digest in digests:
            if (page := self._kept.get(digest)) is None:
                break
            pages.append(page)
        return pages

    def idle_among(self, pages: Sequence[int]) -> int:
        """How many of these count as free now and would not, were they held."""
        return sum(page in self._idle for page in pages)

    def open(self, pages: Sequence[int] = ()) -> int:
        """A sequence slot that begins with these kept pages. Raises DeviceError when all are taken."""
        if not self._free_slots:
            raise DeviceError(f"all {self.max_sequences} sequences are in use; retry when one has ended")
        if not all(page in self._digests for page in pages):
            raise InternalError("a page that is not kept cannot be shared")
        slot = self._free_slots.pop()
        self._open[slot] = True
        for page in pages:
            self._hold(slot, page)
        return slot

    def reserve(self, sequence: int, positions: int) -> None:
        """Back the first `positions` positions with pages. Raises DeviceError and takes nothing where they do not suffice."""
        self._must_be_open(sequence)
        if positions > self.max_positions:
            raise DeviceError(f"{positions} positions do not fit a sequence of at most {self.max_positions}")
        needed = self.pages_needed(sequence, positions)
        if needed > self.free_pages:
            raise DeviceError(f"{positions} positions need {needed} more pages, {self.free_pages} of {self.pages} are free")
        for _ in range(needed):
            self._hold(sequence, self._empty_pages.pop() if self._empty_pages else self._forget_one())

    def keep(self, sequence: int, number: int, digest: bytes) -> None:
        """The sequence's page `number` is full, and may be shared by all that begin with the tokens of `digest`.

        Where another page is kept under it, or this page under another, nothing changes.
        """
        self._must_be_open(sequence)
        if not 0 <= number < self._held[sequence]:
            raise InternalError(f"sequence {sequence} has no page {number}")
        page = int(self.block_tables[sequence, number])
        if digest not in self._kept and page not in self._digests:
            self._kept[digest], self._digests[page] = page, digest

    def free(self, sequence: int) -> None:
        """Give the slot and its pages back; kept pages stay findable."""
        self._must_be_open(sequence)
        held = self.block_tables[sequence, : self._held[sequence]]
        for page in (int(page) for page in reversed(held)):  # the last page goes first: without those before it nobody finds it
            self._holders[page] -= 1
            if self._holders[page]:
                continue
            if page in self._digests:
                self._idle[page] = None
            else:
                self._empty_pages.append(page)
        self._held[sequence] = 0
        self._open[sequence] = False
        self._free_slots.append(sequence)

    def _hold(self, sequence: int, page: int) -> None:
        self._idle.pop(page, None)
        self._holders[page] += 1
        self.block_tables[sequence, self._held[sequence]] = page
        self._held[sequence] += 1

    def _forget_one(self) -> int:
        page, _ = self._idle.popitem(last=False)
        del self._kept[self._digests.pop(page)]
        return page

    def _must_be_open(self, sequence: int) -> None:
        if not (0 <= sequence < self.max_sequences and self._open[sequence]):
            raise InternalError(f"sequence {sequence} is not open")
