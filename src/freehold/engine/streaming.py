"""What a model has that does not lie in memory as a whole: its tiles, a ring, embedding rows on demand, and the open files."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import FreeholdError
from freehold.engine.embedding import EmbeddingRows
from freehold.engine.files import WeightsFile
from freehold.engine.ring import Ring, RingStats
from freehold.engine.seals import Sealer
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiers import SLOTS
from freehold.engine.tile_table import LoadedTile, TiledMatrix, TileTable

_HEAD: Final = 0  # the group of matrices that a pass without logits does not read


class Streaming:
    """One thread runs passes. Owns the files; close it."""

    def __init__(
        self,
        files: Sequence[WeightsFile],
        tiles: Sequence[LoadedTile],
        sealer: Sealer,
        embedding: EmbeddingRows,
        head: str | None,
        slots: int = SLOTS,
    ) -> None:
        """`tiles` in the order of use, `head` the matrix among them that gives logits."""
        self.files, self.sealer = files, sealer  # for who reads tiles of the same files elsewhere
        self._table, self._embedding = TileTable(tiles), embedding
        self._ring = Ring(files, tiles, self._table, sealer, {} if head is None else {head: _HEAD}, slots)

    @property
    def ring_address(self) -> int:
        """Of the record that native code needs."""
        return int(self._ring.record.ctypes.data)

    @property
    def embedding_rows(self) -> npt.NDArray[np.uint8]:
        """(rows, row bytes): those of the pass, put there by `begin`."""
        return self._embedding.rows

    @property
    def embedding_type(self) -> TensorType:
        return self._embedding.type

    def matrix(self, use: str) -> TiledMatrix:
        return self._table.matrix(use)

    def begin(self, number: int, tokens: npt.NDArray[np.int32], *, wants_logits: bool) -> npt.NDArray[np.int32]:
        """Before pass `number` over `tokens`. Returns which embedding row is whose. Raises as `end` does."""
        rows = self._embedding.gather(tokens)
        self._ring.begin(number, {_HEAD: wants_logits})
        return rows

    def end(self) -> None:
        """After the pass. Raises VerificationError or DeviceError where its weights did not all come: its results are void."""
        self._ring.end()

    def fail(self, error: FreeholdError) -> None:
        """Instead of `end`, for a pass that was given up."""
        self._ring.fail(error)

    def stats(self) -> RingStats:
        return self._ring.stats()

    def close(self) -> None:
        """Ends the ring's threads. No pass may be running."""
        self._ring.close()
        for file in self.files:
            file.close()
