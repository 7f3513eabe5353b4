"""Which models are a card's to compute."""

import pytest

from freehold.engine.gguf import TensorInfo
from freehold.engine.gpu.suited import SUPPORTED, why_not
from freehold.engine.tensor_types import TensorType
from tests.engine.models.tiny import Tiny, tiny


def infos(model: Tiny) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(name=name, type=tensor.type, shape=tensor.shape, offset=0, size_bytes=tensor.data.nbytes)
        for name, tensor in model.tensors.items()
    }


def test_what_the_card_does_not_compute_is_named() -> None:
    fits, odd, mixture = tiny("qwen2", TensorType.Q4_K), tiny("llama", TensorType.Q3_K), tiny("qwen3moe", TensorType.Q8_0)
    assert why_not(fits.shape, infos(fits)) is None
    assert why_not(odd.shape, infos(odd)) == "tensors of type Q3_K"
    assert why_not(mixture.shape, infos(mixture)) == "a mixture of experts"


def test_the_types_are_those_that_kernels_read() -> None:
    pytest.importorskip("triton")
    from freehold.engine.gpu.unpack import FLOATS, QUANTISED  # noqa: PLC0415 - needs the extra `gpu`

    assert QUANTISED | FLOATS.keys() == SUPPORTED
