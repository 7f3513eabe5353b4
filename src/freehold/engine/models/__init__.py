"""Forward passes. `families.FAMILIES` names what can be run, and says per name what differs."""

from collections.abc import Mapping
from typing import Any

from freehold.core.errors import UnsupportedArtefact
from freehold.engine.models.families import FAMILIES
from freehold.engine.models.llama import Batch, Llama
from freehold.engine.models.moe import MixtureModel
from freehold.engine.models.shape import HasShape, LlamaShape


def shape_of(metadata: Mapping[str, Any], tensors: Mapping[str, HasShape]) -> LlamaShape:
    """The model's shape, or UnsupportedArtefact naming what stands in the way. Reads no weights."""
    name = metadata.get("general.architecture")
    if name not in FAMILIES:
        raise UnsupportedArtefact(f"architecture {name!r} is not supported; supported are {', '.join(FAMILIES)}")
    return LlamaShape.from_metadata(metadata, tensors)


def model_class(shape: LlamaShape) -> type[Llama]:
    """The forward pass of a model of this shape."""
    return MixtureModel if shape.experts else Llama


__all__ = ["FAMILIES", "Batch", "HasShape", "Llama", "LlamaShape", "MixtureModel", "model_class", "shape_of"]
