"""What a pass of a model goes over, as its weights are placed, and what memory that leaves a prediction to be made for."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from freehold.engine.budget import Plan
from freehold.engine.fit import PassBytes, Share, Tier
from freehold.engine.gguf import TensorInfo
from freehold.engine.kv_cache import PAGE_POSITIONS
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiers import Placement

# Both measured, on vocabularies of 49,152 and of 151,936 tokens.
_PROGRAM_BYTES: Final = 105_000_000  # an engine's process before it has read anything
_TOKEN_BYTES: Final = 650  # what header and tokenizer take for each token


def engine_bytes(vocabulary: int) -> int:
    """What an engine's process has taken when its memory is shared out."""
    return _PROGRAM_BYTES + _TOKEN_BYTES * vocabulary


def pass_bytes(plan: Plan) -> PassBytes:
    """The matrix that is used last is the head."""
    tiles = plan.placement.tiles
    head = tiles[-1].use if tiles else None
    sizes: Counter[tuple[Tier, TensorType, bool]] = Counter()
    for tile, is_streamed in zip(tiles, plan.placement.is_streamed, strict=True):
        sizes[Tier.DISK if is_streamed else Tier.RAM, tile.type, tile.use == head] += tile.size_bytes
    shares = tuple(
        Share(tier=tier, type=type_.name, size_bytes=size_bytes, is_head=is_head)
        for (tier, type_, is_head), size_bytes in sizes.items()
    )
    shares += tuple(_experts(plan.placement))
    return PassBytes(shares=shares, kv_bytes_per_position=plan.kv_bytes // (plan.pages * PAGE_POSITIONS))


def _experts(placement: Placement) -> Iterator[Share]:
    """Which ones tokens take is not known before: as many of those taken are thought to be in memory as there is room for.

    A text that keeps to its experts reads less from disk.
    """
    sizes: Counter[TensorType] = Counter()
    count = sum(len(layer) for layer in placement.experts)
    for layer in placement.experts:
        for tile in (tile for expert in layer for tile in expert):
            sizes[tile.type] += tile.size_bytes
    here = placement.expert_slots / count if placement.expert_slots else 1.0
    for type_, size_bytes in sizes.items():
        for tier, part in ((Tier.RAM, int(size_bytes * here)), (Tier.DISK, size_bytes - int(size_bytes * here))):
            if part:
                yield Share(
                    tier=tier,
                    type=type_.name,
                    size_bytes=part,
                    experts=len(placement.experts[0]),
                    experts_used=placement.experts_used,
                )


def types_of(tensors: Mapping[str, TensorInfo]) -> list[TensorType]:
    """Of the matrices, most bytes first."""
    sizes: Counter[TensorType] = Counter()
    for info in tensors.values():
        if len(info.shape) > 1:
            sizes[info.type] += info.size_bytes
    return [type_ for type_, _ in sizes.most_common()]
