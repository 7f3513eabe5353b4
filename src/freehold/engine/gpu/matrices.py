"""A model's matrices as the card computes with them: at each place of the graph, pieces that lie on the card or are sent.

Decided here: which matrices lie side by side, to be computed in one launch (q, k and v, or gate and up, where they have one
type), how checked bytes get into the card's memory while the file is read, and the order in which sent tiles are used.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from freehold.core.errors import InternalError
from freehold.engine.gguf import TensorInfo
from freehold.engine.gpu.card import Card
from freehold.engine.gpu.multiply import DeviceMatrix
from freehold.engine.gpu.placement import HEAD_LAYER, CardPlacement, Matrix
from freehold.engine.gpu.unpack import planar_layout, to_planes
from freehold.engine.memory import private_buffer
from freehold.engine.models.shape import LlamaShape
from freehold.engine.seals import Sealer, Sealing
from freehold.engine.tile_table import LoadedTile
from freehold.engine.tiles import Tile, Use, cut

TILE_BYTES: Final = 16 << 20  # sent at once: longer than a launch takes, short enough for a few slots
SITES: Final[Mapping[str, tuple[str, ...]]] = {
    "qkv": ("attn_q", "attn_k", "attn_v"),
    "output": ("attn_output",),
    "gate_up": ("ffn_gate", "ffn_up"),
    "down": ("ffn_down",),
}
_PIN_ALIGNMENT: Final = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one place's output, from `first`: a matrix on the card, or the next tile that is sent."""

    first: int
    rows: int
    elements: int
    matrix: DeviceMatrix | None
    tile: Tile | None = None


@dataclass(slots=True)
class CardMatrices:
    """By layer and place, HEAD_LAYER and "head" for the last; sent tiles in the order of use."""

    sites: Mapping[tuple[int, str], Sequence[Piece]]
    sent: Sequence[LoadedTile]
    pinned: torch.Tensor


def matrices_of(shape: LlamaShape, tensors: Mapping[str, TensorInfo]) -> list[Matrix]:
    """All that a pass reads, in the order of use."""
    found = []
    for group in shape.order():
        for use in group:
            info = tensors[use.tensor]
            size_bytes = use.rows * info.type.row_bytes(info.shape[0])
            found.append(Matrix(use=use, layer=layer_of(use.name), size_bytes=size_bytes))
    return found


def layer_of(name: str) -> int:
    return int(name.split(".")[1]) if name.startswith("blk.") else HEAD_LAYER


@dataclass(slots=True)
class _Target:
    """Some rows of the file, and where they go: `take` is given them piece by piece, in order."""

    start: int
    end: int
    part: int
    take: Callable[[int, memoryview], None]


@dataclass(slots=True)
class _Stack:
    """Matrices of one type that become one, laid out as they stay."""

    uses: Sequence[Use]
    info: TensorInfo
    first: int  # row of the place's output
    matrix: DeviceMatrix
    missing_rows: int


@dataclass(slots=True)
class _Rows:
    """Rows of a stack as they come out of the file: in pieces that end anywhere."""

    stack: _Stack
    next_row: int
    rest: bytes = b""

    def take(self, _: int, view: memoryview) -> None:
        info, matrix = self.stack.info, self.stack.matrix
        data = self.rest + view
        row_bytes = info.type.row_bytes(matrix.elements)
        rows = len(data) // row_bytes
        self.rest = data[rows * row_bytes :]
        if not rows:
            return
        # The view is written over once this returns, hence the copy.
        piece = torch.frombuffer(bytearray(data[: rows * row_bytes]), dtype=torch.uint8).to(matrix.data.device)
        out = matrix.data.view(matrix.rows, -1)[self.next_row : self.next_row + rows]
        to_planes(info.type, matrix.elements, piece.view(rows, -1), out)
        self.next_row += rows
        self.stack.missing_rows -= rows


class CardLoader:
    """Takes checked blocks of the files, in order, and puts what is the card's where it belongs."""

    def __init__(self, card: Card, shape: LlamaShape, tensors: Mapping[str, TensorInfo], placement: CardPlacement) -> None:
        self._card, self._shape, self._tensors = card, shape, tensors
        uses = {use.name: use for group in shape.order() for use in group}
        self._stacks: dict[tuple[int, str], list[_Stack]] = {}
        for layer, site, names in _places(shape, placement):
            self._stacks[layer, site] = list(self._stack(names, uses, placement))
        order = [tuple(use for use in group if use.name in placement.sent) for group in shape.order()]
        self._tiles = cut([group for group in order if group], tensors, TILE_BYTES)
        in_memory = _held(self._tiles, placement.ram_bytes if not placement.cpu_layers else 0)
        sizes = [-(-tile.size_bytes // _PIN_ALIGNMENT) * _PIN_ALIGNMENT for tile in self._tiles if tile in in_memory]
        self._arena = private_buffer(sum(sizes)) if sizes else np.empty(0, np.uint8)
        self._places: dict[Tile, npt.NDArray[np.uint8]] = {}
        at = 0
        for tile, size in zip((tile for tile in self._tiles if tile in in_memory), sizes, strict=True):
            self._places[tile] = self._arena[at : at + tile.size_bytes]
            at += size
        self._seals: dict[Tile, Sealing] = {}

    def dealer(self, part: int, sealer: Sealer) -> Callable[[int, memoryview], None]:
        """Takes the blocks of a file one after the other."""
        targets = sorted((target for target in self._targets(sealer) if target.part == part), key=lambda target: target.start)
        starts = [target.start for target in targets]

        def take(start: int, view: memoryview) -> None:
            end = start + len(view)
            i = max(0, bisect_right(starts, start) - 1)
            while i < len(targets) and targets[i].start < end:
                low, high = max(targets[i].start, start), min(targets[i].end, end)
                if low < high:
                    targets[i].take(low - targets[i].start, view[low - start : high - start])
                i += 1

        return take

    def finish(self) -> CardMatrices:
        """Once all files have been read."""
        sites: dict[tuple[int, str], list[Piece]] = {}
        for (layer, site), stacks in self._stacks.items():
            pieces = []
            for stack in stacks:
                if stack.missing_rows:
                    raise InternalError(f"{stack.missing_rows} rows of {stack.uses[0].name} did not come")
                pieces.append(Piece(stack.first, stack.matrix.rows, stack.matrix.elements, stack.matrix))
            offsets = dict(_offsets(self._names(layer, site), self._shape))
            pieces += [
                Piece(offsets[tile.use] + tile.first_row, tile.rows, self._elements(tile), None, tile)
                for tile in self._tiles
                if tile.use in offsets
            ]
            sites[layer, site] = pieces
        sent = [
            LoadedTile(tile=tile, data=self._places.get(tile), seal=None if tile in self._places else self._seals[tile].digest())
            for tile in self._tiles
        ]
        return CardMatrices(sites=sites, sent=sent, pinned=self._card.pin(self._arena))

    # ---- what goes where ------------------------------------------------------------------------------------

    def _names(self, layer: int, site: str) -> tuple[str, ...]:
        return _names(self._shape, layer, site)

    def _elements(self, tile: Tile) -> int:
        return tile.size_bytes // tile.rows // tile.type.block_bytes * tile.type.block_elements

    def _stack(self, names: Sequence[str], uses: Mapping[str, Use], placement: CardPlacement) -> Iterator[_Stack]:
        """Runs of neighbours that stay on the card and have one type."""
        run: list[Use] = []
        first = at = 0
        for name in names:
            use = uses[name]
            info = self._tensors[use.tensor]
            stays = name in placement.resident
            if run and (not stays or self._tensors[run[0].tensor].type is not info.type):
                yield self._stacked(run, first)
                run = []
            if stays:
                first = at if not run else first
                run.append(use)
            at += use.rows
        if run:
            yield self._stacked(run, first)

    def _stacked(self, run: Sequence[Use], first: int) -> _Stack:
        info, rows = self._tensors[run[0].tensor], sum(use.rows for use in run)
        layout = planar_layout(info.type, info.shape[0])
        data = self._card.zeros((rows * layout.row_bytes,), torch.uint8)
        return _Stack(list(run), info, first, DeviceMatrix(info.type, info.shape[0], rows, data, layout), rows)

    def _targets(self, sealer: Sealer) -> Iterator[_Target]:
        for stacks in self._stacks.values():
            for stack in stacks:
                yield from self._stack_targets(stack)
        for tile in self._tiles:
            if (place := self._places.get(tile)) is not None:
                yield _Target(tile.offset, tile.end, tile.part, _into(place))
            else:
                yield _Target(tile.offset, tile.end, tile.part, _sealed(self._seals.setdefault(tile, sealer.begin())))

    def _stack_targets(self, stack: _Stack) -> Iterator[_Target]:
        row_bytes = stack.info.type.row_bytes(stack.info.shape[0])
        row = 0
        for use in stack.uses:
            info = self._tensors[use.tensor]
            start = info.offset + use.first_row * row_bytes
            yield _Target(start, start + use.rows * row_bytes, info.part, _Rows(stack, row).take)
            row += use.rows


def _into(place: npt.NDArray[np.uint8]) -> Callable[[int, memoryview], None]:
    def take(at: int, view: memoryview) -> None:
        place[at : at + len(view)] = np.frombuffer(view, np.uint8)

    return take


def _sealed(sealing: Sealing) -> Callable[[int, memoryview], None]:
    return lambda _, view: sealing.update(view)


def _names(shape: LlamaShape, layer: int, site: str) -> tuple[str, ...]:
    if layer == HEAD_LAYER:
        return ("token_embd.weight" if shape.tied else "output.weight",)
    return tuple(f"blk.{layer}.{name}.weight" for name in SITES[site])


def _places(shape: LlamaShape, placement: CardPlacement) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    for layer in range(placement.cpu_layers, shape.layers):
        for site in SITES:
            yield layer, site, _names(shape, layer, site)
    yield HEAD_LAYER, "head", _names(shape, HEAD_LAYER, "head")


def _offsets(names: Sequence[str], shape: LlamaShape) -> Iterator[tuple[str, int]]:
    """Where each matrix's rows begin in the output of its place."""
    sizes, at = shape.layer_matrices(), 0
    for name in names:
        yield name, at
        at += sizes[name.removesuffix(".weight").rpartition(".")[2]][1] if name.startswith("blk.") else shape.vocabulary


def _held(tiles: Sequence[Tile], ram_bytes: int) -> set[Tile]:
    """Tiles that host memory holds, evenly among all: the disk then works all the time."""
    total, held, passed, taken = sum(tile.size_bytes for tile in tiles), set(), 0, 0
    for tile in tiles:
        passed += tile.size_bytes
        if taken + tile.size_bytes <= min(ram_bytes, -(-ram_bytes * passed // max(1, total))):
            held.add(tile)
            taken += tile.size_bytes
    return held
