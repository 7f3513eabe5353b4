"""Embedding rows of a table that is not in memory: read when a pass asks for them, a few KB a token.

Rows are read and checked in pages of some 32 KiB, and pages of late are kept: a page costs a disk hardly more than a row, and
needs far fewer seals. Rows that are in memory anyway, as tiles of the head in a model that ties them, are taken from there.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from freehold.engine.files import WeightsFile
from freehold.engine.memory import private_buffer
from freehold.engine.seals import Sealer
from freehold.engine.tiers import ROWS_CACHE_BYTES
from freehold.engine.tile_table import LoadedTile
from freehold.engine.tiles import SECTOR_BYTES

PAGE_BYTES: Final = 32 << 10


def page_rows(row_bytes: int) -> int:
    return max(1, PAGE_BYTES // row_bytes)


class EmbeddingRows:
    """One thread gathers."""

    def __init__(
        self, file: WeightsFile, pages: Sequence[LoadedTile], resident: Sequence[LoadedTile], sealer: Sealer, most_rows: int
    ) -> None:
        """`pages` cut the whole table into tiles of `page_rows` rows, with their seals; `resident` have rows of it in memory."""
        self._file, self._pages, self._sealer = file, pages, sealer
        first = pages[0].tile
        self.type = first.type
        self._page_rows, self._row_bytes = first.rows, first.size_bytes // first.rows
        self._resident = [loaded for loaded in resident if loaded.data is not None]
        self._kept: OrderedDict[int, npt.NDArray[np.uint8]] = OrderedDict()
        self._most_kept = max(1, ROWS_CACHE_BYTES // first.size_bytes)
        self._read = private_buffer(first.size_bytes + 2 * SECTOR_BYTES)
        self.rows: npt.NDArray[np.uint8] = np.zeros((most_rows, self._row_bytes), np.uint8)  # of the last `gather`

    def gather(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Puts the tokens' rows into `rows`. Returns which row is whose. Raises VerificationError or DeviceError."""
        wanted, which = np.unique(tokens, return_inverse=True)
        for place, token in enumerate(wanted.tolist()):
            self.rows[place] = self._row(token)
        return which.astype(np.int32)

    def _row(self, token: int) -> npt.NDArray[np.uint8]:
        for loaded in self._resident:
            within = token - loaded.tile.first_row
            if loaded.data is not None and 0 <= within < loaded.tile.rows:
                return loaded.data[within * self._row_bytes : (within + 1) * self._row_bytes]
        within = token % self._page_rows
        return self._page(token // self._page_rows)[within * self._row_bytes : (within + 1) * self._row_bytes]

    def _page(self, number: int) -> npt.NDArray[np.uint8]:
        page = self._kept.pop(number, None)
        if page is None:
            page = self._load(self._pages[number])
            if len(self._kept) >= self._most_kept:
                self._kept.popitem(last=False)
        self._kept[number] = page
        return page

    def _load(self, loaded: LoadedTile) -> npt.NDArray[np.uint8]:
        """A copy of the page, checked in the memory that is copied."""
        view = loaded.read(self._file, self._read.data)
        loaded.check(view, self._sealer, self._file.name)
        return np.frombuffer(view, np.uint8).copy()
