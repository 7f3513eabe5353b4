"""The architectures we run, one line each: what a family's graph has beyond, or other than, plain Llama's.

A family is what its name alone says; the numbers come from a file's metadata (`models.shape`). Adding one that differs in these
ways only is a line here and its tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freehold.engine.kernels.graph import Activation, Rope


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Which layers see only the last positions: of every `period` layers all but the last. 0 is every layer."""

    period: int = 0
    default: int = 0  # positions, where the file does not say; 0 is no window
    base: float | None = None  # of the rotation in these layers, which is then not scaled; None is as everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    rope: Rope = Rope.HALVES
    activation: Activation = Activation.SILU
    bias: bool = False  # of q, k and v
    qk_norm: bool = False
    post_norms: bool = False
    scales_embedding: bool = False  # by sqrt(embedding length)
    attention_cap: float = 0.0  # where the file does not say
    logit_cap: float = 0.0
    windows: Windows | None = None  # None: a file that asks for them is refused
    still_period: int = 0  # in the last of so many layers nothing turns: positions are not told apart (arXiv 2501.18795)
    fused: Mapping[str, tuple[str, ...]] | None = None  # a tensor of the file that holds the rows of several matrices, end to end
    mixture: bool | None = False  # of experts: never, always, or (None) where the file says so
    # Layers of the one size whose queries are scaled by embedding / heads instead of by the head size: its
    # query_pre_attn_scalar, which files do not carry.
    odd_scale_layers: int = 0


# What the base files themselves say is not repeated here, bar where a converter leaves it out.
_GEMMA2: Final = Windows(period=2, default=4096)
_GEMMA3: Final = Windows(period=6, base=10_000.0)
_PHI3: Final = {"attn_qkv": ("attn_q", "attn_k", "attn_v"), "ffn_up": ("ffn_gate", "ffn_up")}

# fmt: off
FAMILIES: Final[Mapping[str, Family]] = {
    # Llama 2 and 3, Mistral (whose first version has a window in every layer), SmolLM 1 and 2, Mixtral
    "llama": Family(rope=Rope.INTERLEAVED, windows=Windows(), mixture=None),
    "qwen2": Family(bias=True),
    "qwen3": Family(qk_norm=True),
    "qwen3moe": Family(qk_norm=True, mixture=True),
    "smollm3": Family(rope=Rope.INTERLEAVED, still_period=4),
    "gemma": Family(activation=Activation.GELU, scales_embedding=True),
    "gemma2": Family(activation=Activation.GELU, scales_embedding=True, post_norms=True, windows=_GEMMA2, attention_cap=50.0,
                     logit_cap=30.0, odd_scale_layers=46),
    "gemma3": Family(activation=Activation.GELU, scales_embedding=True, post_norms=True, windows=_GEMMA3, qk_norm=True,
                     odd_scale_layers=62),
    "phi3": Family(windows=Windows(), fused=_PHI3),
}
# fmt: on
