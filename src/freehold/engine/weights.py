"""Brings a verified model's bytes into private memory: a block is checked in the very buffer it is computed or copied from.

Decided here: the order of reading and checking. Nothing looks at a byte, not even the header's parser, before its block has
passed `check_block`; and nothing is mapped from the file, because a mapped page can be read again from a file changed since.

    file           |  block 0  |  block 1  | ... |  last block  |     4 MiB each, as in the manifest
    whole models   |  checked  |  checked  | ... |  checked     |     tensors are views of it, at the file's own offsets
    larger ones    |     one block, checked     |                     resident tiles and vectors are copied out of it, streamed
                                                                      tiles and pages of embedding rows are sealed from it
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.core.models import BLOCK_BYTES, ManifestFile, VerifiedModel
from freehold.engine.embedding import EmbeddingRows, page_rows
from freehold.engine.files import WeightsFile
from freehold.engine.gguf import MAX_HEADER_BYTES, TensorInfo
from freehold.engine.header import ModelHeader, read_model
from freehold.engine.kernels.records import MAX_COLUMNS
from freehold.engine.memory import private_buffer
from freehold.engine.seals import Sealer, Sealing
from freehold.engine.streaming import Streaming
from freehold.engine.tensor_types import Tensor
from freehold.engine.tiers import SLOTS, Placement
from freehold.engine.tile_table import LoadedTile
from freehold.engine.tiles import Use, cut

Progress = Callable[[int, int], None]  # bytes read, bytes in all
Take = Callable[[int, memoryview], None]  # where a checked block begins in its file, and its bytes: gone when it returns

_TILE_ALIGNMENT = 64
_EMBEDDING = "token_embd.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """`tensors` are those that are in memory as a whole; what is not has `streaming`, which the caller closes."""

    tensors: Mapping[str, Tensor]
    streaming: Streaming | None


class Beside(Protocol):
    """Somebody else who has use for a model's checked bytes."""

    def dealer(self, part: int, sealer: Sealer) -> Take:
        """What is given the blocks of a file, one after the other."""


class CheckedFile:
    """One file of a verified model, as bytes that passed. Its start is a `gguf.Prefix`. Close it."""

    def __init__(self, model: VerifiedModel, file: ManifestFile) -> None:
        """Raises DeviceError where it cannot be opened, VerificationError where it has another size."""
        self._check = model.check_block
        self.name, self.size_bytes = file.name, file.size_bytes
        self.file = WeightsFile(model.directory / file.name, file.size_bytes)
        self._prefix: npt.NDArray[np.uint8] | None = None
        self._prefix_bytes = 0

    @property
    def blocks(self) -> int:
        return -(-self.size_bytes // BLOCK_BYTES)

    def upto(self, end: int) -> memoryview:
        """At least the first `end` bytes. Raises MalformedArtefact beyond what any header needs."""
        if self._prefix is None:  # memory is taken as it is touched
            self._prefix = private_buffer(min(self.size_bytes, MAX_HEADER_BYTES + BLOCK_BYTES))
        if end > min(self.size_bytes, self._prefix.size):
            raise MalformedArtefact(f"{self.name} has a header of more than {MAX_HEADER_BYTES} bytes")
        while self._prefix_bytes < end:
            block = self._prefix_bytes // BLOCK_BYTES
            view = self.read(block, self._prefix.data[self._prefix_bytes :])
            self.check(block, view)
            self._prefix_bytes += len(view)
        return self._prefix.data[: self._prefix_bytes]

    def release(self) -> None:
        """Give up the memory of the file's start."""
        self._prefix, self._prefix_bytes = None, 0

    def close(self) -> None:
        self.release()
        self.file.close()

    def read(self, block: int, buffer: memoryview) -> memoryview:
        """A block, in the start of `buffer`, not yet checked unless it was needed before."""
        start = block * BLOCK_BYTES
        end = min(start + BLOCK_BYTES, self.size_bytes)
        if self._prefix is not None and end <= self._prefix_bytes:
            buffer[: end - start] = self._prefix.data[start:end]
            return buffer[: end - start]
        return self.file.read(start, end, buffer)

    def check(self, block: int, view: memoryview) -> None:
        """Raises VerificationError where the bytes are not the manifest's."""
        if block * BLOCK_BYTES >= self._prefix_bytes:
            self._check(self.name, block, view)

    def each(self, buffer_of: Callable[[int], memoryview]) -> Iterator[tuple[int, memoryview]]:
        """(offset, bytes) of every block once it has passed, in the buffer that `buffer_of` gives for its number.

        A block is read while the one before it is checked and used: two buffers in turn are enough.
        """
        with ThreadPoolExecutor(1, "weights-read") as ahead:
            reading = ahead.submit(self.read, 0, buffer_of(0)) if self.blocks else None
            for block in range(self.blocks):
                assert reading is not None
                view = reading.result()
                if block + 1 < self.blocks:
                    reading = ahead.submit(self.read, block + 1, buffer_of(block + 1))
                self.check(block, view)
                yield block * BLOCK_BYTES, view


class Weights:
    """A verified model's header, and its tensors once they are loaded. Close it where they are not."""

    def __init__(self, model: VerifiedModel) -> None:
        """Reads as far as the header goes. Raises ArtefactError for a file that is not what it must be."""
        self._files: list[CheckedFile] = []
        files = {file.name: file for file in model.manifest.files}
        opened: dict[str, CheckedFile] = {}

        def open_file(name: str) -> CheckedFile:
            if name not in opened:
                opened[name] = CheckedFile(model, files[name])
            return opened[name]

        try:
            self.header: ModelHeader = _header(model, files, open_file)
        except BaseException:
            for file in opened.values():
                file.close()
            raise
        self._files = [opened.pop(name) for name in self.header.files]
        for file in opened.values():  # settings and vocabularies, which are in the header by now
            file.close()

    @property
    def file_bytes(self) -> int:
        return sum(file.size_bytes for file in self._files)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def load(
        self, progress: Progress, placement: Placement | None = None, beside: "Beside | None" = None, *, slots: int = SLOTS
    ) -> Loaded:
        """All tensors, where `placement` says, or in memory where it is None. With `beside`, only those whose tiles it names.

        Raises VerificationError for a block that is not the manifest's, DeviceError where reading fails.
        """
        try:
            if placement is None or (placement.is_whole and beside is None):
                tensors = self._load_whole(progress)
                self.close()
                return Loaded(tensors=tensors, streaming=None)
            return self._load_tiles(progress, placement, beside, slots)
        except BaseException:
            self.close()
            raise

    def _load_whole(self, progress: Progress) -> Mapping[str, Tensor]:
        arenas = []
        for file in self._files:
            arena = private_buffer(file.size_bytes)
            arenas.append(arena)
            self._read_all(file, progress, _in_place(arena))
        return {
            info.name: _tensor(info, arenas[info.part][info.offset : info.offset + info.size_bytes])
            for info in self.header.tensors.values()
        }

    def _load_tiles(self, progress: Progress, placement: Placement, beside: "Beside | None", slots: int) -> Loaded:
        sealer = Sealer()
        sinks = _Sinks(self.header.tensors, placement, sealer)
        staging = [private_buffer(BLOCK_BYTES).data for _ in range(2)]
        for part, file in enumerate(self._files):
            takers = [sinks.dealer(part), *([beside.dealer(part, sealer)] if beside is not None else [])]
            self._read_all(file, progress, lambda block: staging[block % 2], takers)
            file.release()
        tiles = sinks.tiles()
        table = self.header.tensors[_EMBEDDING]
        files = [file.file for file in self._files]
        embedding = EmbeddingRows(
            files[table.part], sinks.pages(), [loaded for loaded in tiles if loaded.tile.use == _EMBEDDING], sealer, MAX_COLUMNS
        )
        head = placement.tiles[-1].use if placement.tiles else None  # the matrix that is used last
        streaming = Streaming(files, tiles, sealer, embedding, head, slots)
        return Loaded(tensors=sinks.vectors(), streaming=streaming)

    def _read_all(
        self, file: CheckedFile, progress: Progress, buffer_of: Callable[[int], memoryview], takers: Sequence[Take] = ()
    ) -> None:
        before = sum(other.size_bytes for other in self._files[: self._files.index(file)])
        for start, view in file.each(buffer_of):
            for take in takers:
                take(start, view)
            progress(before + start + len(view), self.file_bytes)


@dataclass(slots=True)
class _Span:
    """Where some bytes of a file go: into memory, or into a seal. They come in order."""

    start: int
    end: int
    part: int
    into: npt.NDArray[np.uint8] | None = None
    sealer: Sealer | None = None
    seal: bytes | None = None
    _sealing: Sealing | None = None  # only while the bytes come: there are tens of thousands of spans

    def take(self, at: int, view: memoryview) -> None:
        if self.into is not None:
            self.into[at : at + len(view)] = np.frombuffer(view, np.uint8)
        if self.sealer is not None:
            self._sealing = self._sealing or self.sealer.begin()
            self._sealing.update(view)
            if self.start + at + len(view) == self.end:
                self.seal, self._sealing = self._sealing.digest(), None


class _Sinks:
    """Deals out a file's blocks to tiles, vectors and seals of embedding pages."""

    def __init__(self, tensors: Mapping[str, TensorInfo], placement: Placement, sealer: Sealer) -> None:
        self._placement = placement
        self._infos = [info for info in tensors.values() if len(info.shape) == 1]
        resident = [tile for tile, streamed in zip(placement.tiles, placement.is_streamed, strict=True) if not streamed]
        sizes = [-(-tile.size_bytes // _TILE_ALIGNMENT) * _TILE_ALIGNMENT for tile in resident]
        places = dict(zip(resident, np.cumsum([0, *sizes]).tolist(), strict=False))
        arena = private_buffer(sum(sizes) + _TILE_ALIGNMENT)
        self._tiles = [
            _Span(
                start=tile.offset,
                end=tile.end,
                part=tile.part,
                into=arena[places[tile] : places[tile] + tile.size_bytes] if tile in places else None,
                sealer=None if tile in places else sealer,
            )
            for tile in placement.tiles
        ]
        self._vectors = [
            _Span(start=info.offset, end=info.offset + info.size_bytes, part=info.part, into=np.empty(info.size_bytes, np.uint8))
            for info in self._infos
        ]
        table = tensors[_EMBEDDING]
        rows = table.shape[-1]
        use = Use(name=_EMBEDDING, tensor=_EMBEDDING, first_row=0, rows=rows, multiple=1)
        step = page_rows(table.type.row_bytes(table.shape[0]))
        self._page_tiles = cut([[use]], tensors, step * table.type.row_bytes(table.shape[0]))
        self._pages = [_Span(start=tile.offset, end=tile.end, part=tile.part, sealer=sealer) for tile in self._page_tiles]

    def dealer(self, part: int) -> Take:
        """Takes the blocks of a file one after the other."""
        # Pages lie over tiles where the head is the embedding: each of the two lists is without overlaps.
        lists = [
            sorted((span for span in spans if span.part == part and span.start < span.end), key=lambda span: span.start)
            for spans in ([*self._tiles, *self._vectors], self._pages)
        ]

        def take(start: int, view: memoryview) -> None:
            for spans in lists:
                _deal(spans, start, view)

        return take

    def tiles(self) -> list[LoadedTile]:
        return [
            LoadedTile(tile=tile, data=span.into, seal=span.seal)
            for tile, span in zip(self._placement.tiles, self._tiles, strict=True)
        ]

    def pages(self) -> list[LoadedTile]:
        return [
            LoadedTile(tile=tile, data=span.into, seal=span.seal)
            for tile, span in zip(self._page_tiles, self._pages, strict=True)
        ]

    def vectors(self) -> Mapping[str, Tensor]:
        return {
            info.name: _tensor(info, span.into)
            for info, span in zip(self._infos, self._vectors, strict=True)
            if span.into is not None
        }


def _in_place(arena: npt.NDArray[np.uint8]) -> Callable[[int], memoryview]:
    return lambda block: arena.data[block * BLOCK_BYTES :]


def _deal(spans: Sequence[_Span], start: int, view: memoryview) -> None:
    """Gives each span, of a list without overlaps in the order of their starts, what the block has of it."""
    end = start + len(view)
    for span in spans[bisect_left(spans, start + 1, key=lambda span: span.end) :]:
        if span.start >= end:
            return
        low, high = max(span.start, start), min(span.end, end)
        span.take(low - span.start, view[low - start : high - start])


def _tensor(info: TensorInfo, stored: npt.NDArray[np.uint8]) -> Tensor:
    data = stored if info.convert is None else info.convert(stored)
    return Tensor(name=info.name, type=info.type, shape=info.shape, data=data)


def _header(model: VerifiedModel, files: Collection[str], open_file: Callable[[str], CheckedFile]) -> ModelHeader:
    try:
        header = read_model(files, open_file, model.manifest.name)
        if header.must_be_converted:
            raise UnsupportedArtefact("its experts lie apart: make a GGUF of it with `freehold models convert`")
        return header
    except UnsupportedArtefact as exc:
        raise UnsupportedArtefact(f"model {model.manifest.name} cannot be run: {exc.message}") from exc
