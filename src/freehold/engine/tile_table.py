"""Loaded tiles, and where native code finds them: one record each, those of a matrix side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from freehold.core.errors import VerificationError
from freehold.engine.files import WeightsFile
from freehold.engine.kernels.records import ALWAYS, LINE_BYTES
from freehold.engine.kernels.records import Tile as Record
from freehold.engine.seals import Sealer
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiles import Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTile:
    """A tile with its bytes, where it is resident, or with the seal of its bytes, where it is streamed."""

    tile: Tile
    data: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    seal: bytes | None = field(default=None, repr=False)

    def read(self, file: WeightsFile, buffer: memoryview) -> memoryview:
        """The tile's bytes from its file, as a part of `buffer`. Raises DeviceError. Nobody may use them before `check`."""
        return file.read(self.tile.offset, self.tile.end, buffer)

    def check(self, view: memoryview, sealer: Sealer, file_name: str) -> None:
        """Raises VerificationError where the bytes are not what they were."""
        if sealer.seal(view) != self.seal:
            raise VerificationError(
                f"{file_name}, bytes {self.tile.offset} to {self.tile.end}, are not what they were when the model was loaded: "
                "the file was changed or the disk is failing; pull the model again"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TiledMatrix:
    """Where native code finds a matrix."""

    address: int  # of the first of its records
    type: TensorType
    row_bytes: int
    rows: int
    tile_rows: int
    is_streamed: bool = False  # wholly or in part

    @property
    def tiles(self) -> int:
        return -(-self.rows // self.tile_rows)


class TileTable:
    def __init__(self, tiles: Sequence[LoadedTile]) -> None:
        """`tiles` in the order of use."""
        by_use: dict[str, list[LoadedTile]] = {}
        for loaded in tiles:
            by_use.setdefault(loaded.tile.use, []).append(loaded)
        width = Record.LENGTH.value
        self._memory: npt.NDArray[np.int64] = np.zeros((len(tiles) + 1) * width, np.int64)
        start = -self._memory.ctypes.data % LINE_BYTES // 8
        table = self._memory[start : start + len(tiles) * width].reshape(len(tiles), width)
        self._kept = [loaded.data for loaded in tiles]  # native code points into them
        self._matrices: dict[str, TiledMatrix] = {}
        self._records: dict[Tile, npt.NDArray[np.int64]] = {}
        place = 0
        for use, members in by_use.items():
            first = members[0].tile
            self._matrices[use] = TiledMatrix(
                address=int(table.ctypes.data) + 8 * width * place,
                type=first.type,
                row_bytes=first.size_bytes // first.rows,
                rows=sum(member.tile.rows for member in members),
                tile_rows=first.rows,
                is_streamed=any(member.data is None for member in members),
            )
            for loaded in members:
                record = self._records[loaded.tile] = table[place]
                if loaded.data is None:
                    record[Record.ROWS] = loaded.tile.rows
                else:
                    record[Record.BASE] = base_address(loaded.data, loaded.tile)
                    record[Record.ARRIVED] = ALWAYS
                place += 1

    def matrix(self, use: str) -> TiledMatrix:
        return self._matrices[use]

    def record(self, tile: Tile) -> npt.NDArray[np.int64]:
        """The tile's own, to be written while native code reads it."""
        return self._records[tile]


def base_address(data: npt.NDArray[np.uint8], tile: Tile) -> int:
    """Where row 0 of the matrix would lie, if all of it lay as `data`, the tile's bytes, do."""
    return int(data.ctypes.data) - tile.first_row * (tile.size_bytes // tile.rows)
