"""What a model needs, out of its header or out of its size alone. No weights are read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from freehold.engine.fit import Need, Share, Tier
from freehold.engine.gguf import GgufHeader
from freehold.engine.models import shape_of
from freehold.engine.shapes import Dimensions, tensor_types
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiers import ROWS_CACHE_BYTES, SLOTS
from freehold.engine.tiles import TILE_BYTES

BESIDE_BYTES: Final = 220 << 20  # Python, its libraries, tokenizer and activations of a 1B to 8B model, as measured
RING_BYTES: Final = SLOTS * TILE_BYTES + ROWS_CACHE_BYTES
_EXPERTS: Final = "_exps."

_Matrix = tuple[str, TensorType, int, bool]  # kind, type, bytes, whether it is the head


def need_of_header(header: GgufHeader) -> Need:
    """Raises ArtefactError for a model that we do not run."""
    shape = shape_of(header.metadata, header.tensors)
    tied = "output.weight" not in header.tensors
    experts = _experts(header.metadata)
    shares: Counter[tuple[TensorType, bool, bool]] = Counter()
    idle_bytes = 0
    for name, info in header.tensors.items():
        if name == "token_embd.weight" and not tied:
            idle_bytes += info.size_bytes
        else:
            is_head = name in ("output.weight", "token_embd.weight")
            shares[info.type, is_head, _EXPERTS in name] += info.size_bytes
    weights = tuple(
        Share(
            tier=Tier.RAM,
            type=type_.name,
            size_bytes=size_bytes,
            is_head=is_head,
            experts=experts[0] if is_expert else 1,
            experts_used=experts[1] if is_expert else 1,
        )
        for (type_, is_head, is_expert), size_bytes in shares.items()
    )
    kv_bytes = shape.layers * shape.kv_heads * shape.head_dim * 2 * 2  # keys and values, f16
    return _need(weights, kv_bytes, idle_bytes)


def need_of_dimensions(dimensions: Dimensions, quantisation: str) -> Need:
    """Raises InvalidRequest for a quantisation that is none."""
    shares: Counter[tuple[TensorType, bool]] = Counter()
    idle_bytes = 0
    for kind, type_, size_bytes in tensor_types(dimensions, quantisation):
        if kind == "token_embd" and not dimensions.tied:
            idle_bytes += size_bytes
        else:
            shares[type_, kind in ("token_embd", "output")] += size_bytes
    weights = tuple(
        Share(tier=Tier.RAM, type=type_.name, size_bytes=size_bytes, is_head=is_head)
        for (type_, is_head), size_bytes in shares.items()
    )
    return _need(weights, dimensions.kv_bytes_per_position, idle_bytes)


def types_of(need: Need) -> Iterable[TensorType]:
    """Most bytes first."""
    sizes: Counter[str] = Counter()
    for share in need.weights:
        sizes[share.type] += share.size_bytes
    return [TensorType[name] for name, _ in sizes.most_common()]


def _need(weights: tuple[Share, ...], kv_bytes: int, idle_bytes: int) -> Need:
    return Need(
        weights=weights,
        kv_bytes_per_position=kv_bytes,
        idle_bytes=idle_bytes,
        beside_bytes=BESIDE_BYTES,
        ring_bytes=RING_BYTES,
    )


def _experts(metadata: Mapping[str, Any]) -> tuple[int, int]:
    """(experts, used by one token); (1, 1) of a dense model."""
    architecture = metadata.get("general.architecture")
    counts = [metadata.get(f"{architecture}.{name}") for name in ("expert_count", "expert_used_count")]
    found = [count if isinstance(count, int) and count > 0 else 1 for count in counts]
    return found[0], min(found)
