"""Forward passes. `ARCHITECTURES` names what can be run, `families.FAMILIES` says per name what differs."""

from collections.abc import Mapping
from typing import Any, Final

from freehold.core.errors import UnsupportedArtefact
from freehold.engine.models.families import FAMILIES
from freehold.engine.models.llama import Batch, Llama
from freehold.engine.models.shape import HasShape, LlamaShape

# general.architecture -> the forward pass.
ARCHITECTURES: Final[Mapping[str, type[Llama]]] = dict.fromkeys(FAMILIES, Llama)


def shape_of(metadata: Mapping[str, Any], tensors: Mapping[str, HasShape]) -> LlamaShape:
    """The model's shape, or UnsupportedArtefact naming what stands in the way. Reads no weights."""
    name = metadata.get("general.architecture")
    if name not in ARCHITECTURES:
        raise UnsupportedArtefact(f"architecture {name!r} is not supported; supported are {', '.join(ARCHITECTURES)}")
    return LlamaShape.from_metadata(metadata, tensors)


__all__ = ["ARCHITECTURES", "Batch", "HasShape", "Llama", "LlamaShape", "shape_of"]
