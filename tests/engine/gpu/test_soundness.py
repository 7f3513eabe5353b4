import numpy as np
import pytest
import torch

from freehold.core.errors import DeviceError
from freehold.engine.gpu import soundness
from freehold.engine.gpu.card import Card
from freehold.engine.gpu.multiply import Columns, DeviceMatrix, multiply, resident
from freehold.engine.tensor_types import TensorType
from tests.engine.gpu.card import DEVICE, HALF, on_device
from tests.engine.kernels.blocks import random_rows


def matrix(type_: TensorType) -> DeviceMatrix:
    rows = random_rows(np.random.default_rng(1), type_, 7, 256)
    return resident(type_, 256, 7, on_device(rows.reshape(-1)))


def test_a_card_that_computes_rightly_is_taken() -> None:
    soundness.check(Card(DEVICE, HALF), [matrix(type_) for type_ in (TensorType.Q4_K, TensorType.Q6_K, TensorType.F16)])


@pytest.mark.parametrize(("column", "words"), [(5, "multiplies Q8_0 wrongly"), (3, "other bits alone")])
def test_a_card_that_does_not_is_refused(column: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def off(matrix: DeviceMatrix, columns: Columns, first: int, count: int, out: torch.Tensor) -> None:
        multiply(matrix, columns, first, count, out)
        if count > 1:
            out[column] = out[column] * (1 + (1.0 if column == 5 else 1e-6))

    monkeypatch.setattr(soundness, "multiply", off)
    with pytest.raises(DeviceError, match=words):
        soundness.check(Card(DEVICE, HALF), [matrix(TensorType.Q8_0)])
