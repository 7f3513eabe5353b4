"""Which matrices stay in the card's memory, and what becomes of the others: sent over the link each pass, or computed by the CPU.

Decided here, from a header and a few rates alone. With V bytes in the card's memory, R in the host's and D on disk, a token takes

    all on the card    max(D / disk, (R + D) / link, V / card)
    shared             max(D / disk, V / card + (R + D) / cpu)        one computes after the other: it needs the other's result

Sent layers come evenly between those that stay, so that the link never waits; a layer stays as a whole, what is left of the
memory takes single matrices. The CPU's layers are the first ones: its result, a few KB, crosses the link once a pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from freehold.engine.kv_cache import KvCache
from freehold.engine.models.shape import LlamaShape
from freehold.engine.tiles import Use

HEAD_LAYER: Final = -1
MAX_TOKENS: Final = 512  # of one pass over the weights
_EXPANDED_BYTES: Final = 128 << 20
_COLUMN_BYTES: Final = 7.5  # of an activation in all its forms
_SMALL_BYTES: Final = 256 << 20  # recorded passes, logits, tables, what the allocator loses at its edges


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRates:
    """Bytes a second. `cpu` is what the CPU's kernels get through, for one column."""

    card: float
    link: float
    disk: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    use: Use
    layer: int  # HEAD_LAYER is the head
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPlacement:
    """`resident` and `sent` are matrices by name; layers below `cpu_layers` are the CPU's."""

    resident: frozenset[str]
    sent: tuple[str, ...] = field(default=())
    cpu_layers: int = 0
    resident_bytes: int
    sent_bytes: int
    cpu_bytes: int
    ram_bytes: int  # of what is sent or the CPU's, what host memory holds; the rest is on disk
    token_s: float  # predicted

    @property
    def is_whole(self) -> bool:
        """Everything is in the card's memory."""
        return not self.sent and not self.cpu_layers


def place(
    matrices: Sequence[Matrix], card_bytes: int, ram_bytes: int, rates: LinkRates, *, shared: bool | None = None
) -> CardPlacement:
    """`card_bytes` hold matrices, `ram_bytes` host copies of those that do not fit there. `shared` forces one of the two ways."""
    ways = [_shared(matrices, card_bytes, ram_bytes, rates)] if shared is not False else []
    if shared is not True:
        ways.append(_all_on_card(matrices, card_bytes, ram_bytes, rates))
    return min(ways, key=lambda way: way.token_s)


def token_s(resident: float, elsewhere: float, ram: float, rates: LinkRates, *, shared: bool) -> float:
    """Seconds of one token: the formulas above."""
    disk = max(0.0, elsewhere - ram)
    computed = resident / rates.card + (elsewhere / rates.cpu if shared else 0.0)
    return max(disk / rates.disk, computed, 0.0 if shared else elsewhere / rates.link)


def _all_on_card(matrices: Sequence[Matrix], card_bytes: int, ram_bytes: int, rates: LinkRates) -> CardPlacement:
    layers = sorted({matrix.layer for matrix in matrices if matrix.layer != HEAD_LAYER})
    sizes = {layer: sum(matrix.size_bytes for matrix in matrices if matrix.layer == layer) for layer in [HEAD_LAYER, *layers]}
    room = card_bytes
    chosen: set[int] = set()
    if sizes[HEAD_LAYER] <= room:  # its logits are not wanted in each pass: what is sent comes always
        chosen.add(HEAD_LAYER)
        room -= sizes[HEAD_LAYER]
    total = sum(sizes[layer] for layer in layers)
    passed = taken = 0
    for layer in layers:
        passed += sizes[layer]
        # Never ahead of the even share of what has been passed.
        if taken + sizes[layer] <= min(room, -(-room * passed // max(1, total))):
            chosen.add(layer)
            taken += sizes[layer]
    for layer in layers:  # rounding left one or two out
        if layer not in chosen and taken + sizes[layer] <= room:
            chosen.add(layer)
            taken += sizes[layer]
    resident = {matrix.use.name for matrix in matrices if matrix.layer in chosen}
    left = room - taken
    for matrix in matrices:
        if matrix.use.name not in resident and matrix.size_bytes <= left:
            resident.add(matrix.use.name)
            left -= matrix.size_bytes
    return _placement(matrices, resident, 0, ram_bytes, rates)


def _shared(matrices: Sequence[Matrix], card_bytes: int, ram_bytes: int, rates: LinkRates) -> CardPlacement:
    """The last layers and the head stay on the card; what does not fit there is the CPU's."""
    layers = sorted({matrix.layer for matrix in matrices if matrix.layer != HEAD_LAYER})
    room = card_bytes - sum(matrix.size_bytes for matrix in matrices if matrix.layer == HEAD_LAYER)
    cpu_layers = len(layers)
    while cpu_layers > 0:
        room -= sum(matrix.size_bytes for matrix in matrices if matrix.layer == layers[cpu_layers - 1])
        if room < 0:
            break
        cpu_layers -= 1
    resident = {matrix.use.name for matrix in matrices if matrix.layer == HEAD_LAYER or matrix.layer >= cpu_layers}
    made = _placement(matrices, resident, cpu_layers, ram_bytes, rates)
    if made.resident_bytes > card_bytes:  # not even the head fits: no way at all
        return _placement(matrices, set(), 0, ram_bytes, rates)
    return made


def _placement(
    matrices: Sequence[Matrix], resident: set[str], cpu_layers: int, ram_bytes: int, rates: LinkRates
) -> CardPlacement:
    on_card = sum(matrix.size_bytes for matrix in matrices if matrix.use.name in resident)
    cpu = sum(matrix.size_bytes for matrix in matrices if 0 <= matrix.layer < cpu_layers)
    sent = tuple(matrix.use.name for matrix in matrices if matrix.use.name not in resident and not 0 <= matrix.layer < cpu_layers)
    sent_bytes = sum(matrix.size_bytes for matrix in matrices) - on_card - cpu
    ram = min(ram_bytes, cpu + sent_bytes)
    return CardPlacement(
        resident=frozenset(resident),
        sent=sent,
        cpu_layers=cpu_layers,
        resident_bytes=on_card,
        sent_bytes=sent_bytes,
        cpu_bytes=cpu,
        ram_bytes=ram,
        token_s=token_s(on_card, cpu + sent_bytes, ram, rates, shared=cpu_layers > 0),
    )


def fixed_bytes(shape: LlamaShape, pages: int) -> int:
    """What a pass needs of the card's memory besides weights, with so many pages of keys and values."""
    kv = pages * KvCache.page_bytes(shape.layers, shape.kv_heads, shape.head_dim)
    q = shape.heads * shape.head_dim
    columns = shape.embedding + q + shape.ffn
    floats = 2 * shape.embedding + q + 2 * shape.kv_heads * shape.head_dim + 2 * shape.ffn
    partials = MAX_TOKENS * shape.heads * (shape.head_dim + 2)
    return int(kv + MAX_TOKENS * (_COLUMN_BYTES * columns + 4 * floats) + 4 * partials) + _EXPANDED_BYTES + _SMALL_BYTES
