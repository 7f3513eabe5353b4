"""Which models a card computes. Known without PyTorch, so that `freehold fit` can say it of a card that is not here."""

from collections.abc import Mapping
from typing import Final

from freehold.engine.gguf import TensorInfo
from freehold.engine.models.shape import LlamaShape
from freehold.engine.tensor_types import TensorType

_SUPPORTED: Final = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K"
SUPPORTED: Final = frozenset(TensorType[name] for name in _SUPPORTED.split())


def why_not(shape: LlamaShape, tensors: Mapping[str, TensorInfo]) -> str | None:
    """What of a model the card does not compute; None where it computes all of it."""
    if shape.experts:
        return "a mixture of experts"
    used = {"token_embd.weight", *(use.tensor for group in shape.order() for use in group)}
    others = {tensors[name].type for name in used} - SUPPORTED
    return f"tensors of type {', '.join(sorted(type_.name for type_ in others))}" if others else None
