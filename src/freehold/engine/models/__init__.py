"""Forward passes, one file an architecture family. `ARCHITECTURES` names what can be run."""

from collections.abc import Mapping
from typing import Any, Final

from freehold.core.errors import UnsupportedArtefact
from freehold.engine.models.llama import Batch, HasShape, Llama, LlamaShape

# general.architecture -> the forward pass. llama.py says per name what differs (rotation, biases).
ARCHITECTURES: Final[Mapping[str, type[Llama]]] = {"llama": Llama, "qwen2": Llama}


def shape_of(metadata: Mapping[str, Any], tensors: Mapping[str, HasShape]) -> LlamaShape:
    """The model's shape, or UnsupportedArtefact naming what stands in the way. Reads no weights."""
    name = metadata.get("general.architecture")
    if name not in ARCHITECTURES:
        raise UnsupportedArtefact(f"architecture {name!r} is not supported; supported are {', '.join(ARCHITECTURES)}")
    return LlamaShape.from_metadata(metadata, tensors)


__all__ = ["ARCHITECTURES", "Batch", "HasShape", "Llama", "LlamaShape", "shape_of"]
