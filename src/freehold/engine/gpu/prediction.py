"""What is said of a model's speed before it is loaded for a card: by the law of `engine/fit.py`, of what lies where. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from freehold.engine.fit import Machine, PassBytes, Prediction, Share, Tier, predict
from freehold.engine.gguf import TensorInfo
from freehold.engine.gpu.placement import HEAD_LAYER, CardPlacement, Matrix
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.shape import LlamaShape


def card_pass_bytes(
    placement: CardPlacement, matrices: Sequence[Matrix], tensors: Mapping[str, TensorInfo], kv_bytes_per_position: int
) -> PassBytes:
    """What does not stay on the card lies in host memory as far as that reaches, the rest on disk."""
    sizes: Counter[tuple[Tier, str, bool]] = Counter()
    for matrix in matrices:
        tier = Tier.VRAM if matrix.use.name in placement.resident else Tier.RAM
        sizes[tier, tensors[matrix.use.tensor].type.name, matrix.layer == HEAD_LAYER] += matrix.size_bytes
    shares = tuple(Share(tier=tier, type=type_, size_bytes=size, is_head=head) for (tier, type_, head), size in sizes.items())
    on_disk = placement.cpu_bytes + placement.sent_bytes - placement.ram_bytes
    return PassBytes(shares=shares, kv_bytes_per_position=kv_bytes_per_position).moved(on_disk, Tier.DISK, Tier.RAM)


def predicted(
    machine: Machine,
    placement: CardPlacement,
    matrices: Sequence[Matrix],
    tensors: Mapping[str, TensorInfo],
    shape: LlamaShape,
    context_tokens: int,
    chunk_tokens: int,
) -> Prediction:
    kv = KvCache.page_bytes(shape.layers, shape.kv_heads, shape.head_dim) // PAGE_POSITIONS
    bytes_ = card_pass_bytes(placement, matrices, tensors, kv)
    return predict(machine, bytes_, prompt_tokens=min(512, context_tokens), chunk_tokens=chunk_tokens, has_card=True)
