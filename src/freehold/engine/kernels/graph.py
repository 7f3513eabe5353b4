"""What differs between one family's pass and another's, as far as native code is written from it.

A graph is known before anything is emitted: what a family does not have is not in its code, and costs it nothing. Where the facts
come from is `models.shape`'s.
"""

from dataclasses import dataclass
from enum import Enum

from freehold.engine.kv_cache import KvType


class Rope(Enum):
    """Which dimensions turn together: (2 i, 2 i + 1) in llama, (i, i + half) in qwen2."""

    INTERLEAVED = "interleaved"
    HALVES = "halves"


class Activation(Enum):
    """Of the gate: x * sigmoid(x), or GELU in its tanh form."""

    SILU = "silu"
    GELU = "gelu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Plain Llama where nothing else is said. Frozen and hashable: compiled code is found by it."""

    head_dim: int
    rotated: int  # leading dimensions of a head that turn; the others pass as they are
    query_scale: float
    rope: Rope = Rope.INTERLEAVED
    activation: Activation = Activation.SILU
    qk_norm: bool = False  # every head of q and k is RMS-normalised before it turns
    post_norms: bool = False  # what attention and the feed-forward part give is RMS-normalised before it is added
    windowed: bool = False  # some layers see the last `Layer.WINDOW` positions alone
    experts: bool = False  # a router and experts stand where the feed-forward part is
    embedding_scale: float = 1.0
    attention_cap: float = 0.0  # scores become cap * tanh(score / cap); 0 is none
    logit_cap: float = 0.0
    kv_type: KvType = KvType.F16
