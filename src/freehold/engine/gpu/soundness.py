"""Whether the card computes what it should: asked once a tensor type, when a model is loaded, of the model's own weights.

Kernels are compiled on the user's machine, by whatever Triton and driver there are, for cards we have not seen. Products of bytes
are therefore held against the same rows expanded and summed by PyTorch in f32, which shares with them nothing but how blocks are
read; and a column alone against the same column among others, bit by bit, which drafting relies on.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import torch

from freehold.core.errors import DeviceError
from freehold.engine.gpu.card import Card
from freehold.engine.gpu.multiply import MAX_COLUMNS, Columns, DeviceMatrix, expand, multiply
from freehold.engine.tensor_types import TensorType

_ROWS: Final = 64
_TOLERANCE: Final = 1e-4  # relative, of the norm: f32 sums of a few thousand terms are a tenth of it apart


def check(card: Card, matrices: Iterable[DeviceMatrix]) -> None:
    """Raises DeviceError for the first type that comes out wrong."""
    seen: set[TensorType] = set()
    for matrix in matrices:
        if matrix.type not in seen:
            seen.add(matrix.type)
            _check_one(card, matrix)


def _check_one(card: Card, matrix: DeviceMatrix) -> None:
    rows = min(_ROWS, matrix.rows)
    some = replace(matrix, rows=rows, data=matrix.data[: rows * matrix.layout.row_bytes])
    columns, x = _columns(card, matrix.elements)
    weights = torch.empty((rows, matrix.elements), dtype=torch.float32, device=card.device)
    expand(some, 0, rows, weights)
    together, alone = (torch.full((count, rows), torch.nan, device=card.device) for count in (MAX_COLUMNS, 1))
    multiply(some, columns, 0, MAX_COLUMNS, together)
    multiply(some, columns, 3, 1, alone)
    expected = (x.double() @ weights.double().T).float()
    off = float((together - expected).norm() / expected.norm())
    if not off < _TOLERANCE:
        raise DeviceError(
            f"{card.name} multiplies {matrix.type.name} wrongly (relative error {off:.1e}, {_TOLERANCE:.0e} is allowed): "
            'set engine.device to "cpu", and report the card with its driver and Triton version'
        )
    if not torch.equal(together[3], alone[0]):
        raise DeviceError(
            f"{card.name} gives {matrix.type.name} other bits alone than among others: "
            'set engine.device to "cpu", and report the card with its driver and Triton version'
        )


def _columns(card: Card, elements: int) -> tuple[Columns, torch.Tensor]:
    """Random bytes with a scale each 32, and the numbers they stand for."""
    generator = torch.Generator().manual_seed(1)
    columns = Columns(MAX_COLUMNS, elements, card.device, card.half)
    q = torch.randint(-127, 128, (MAX_COLUMNS, elements), generator=generator, dtype=torch.int8)
    scales = torch.rand((MAX_COLUMNS, elements // 32), generator=generator) + 0.5
    sums = q.view(MAX_COLUMNS, -1, 16).sum(2).float()
    x = q.float() * scales.repeat_interleave(32, 1)
    columns.q.copy_(q)
    columns.xs.copy_(scales)
    columns.hs.copy_(sums * scales.repeat_interleave(2, 1))
    columns.bs.copy_(sums.view(MAX_COLUMNS, -1, 2).sum(2) * scales)
    columns.x.copy_(x)
    return columns, x.to(card.device)
