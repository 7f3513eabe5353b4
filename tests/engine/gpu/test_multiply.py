from collections.abc import Callable

import numpy as np
import pytest
import torch

from freehold.engine.gpu.multiply import DeviceMatrix, as_landed, expand, multiply, product, resident
from freehold.engine.gpu.suited import SUPPORTED
from freehold.engine.kernels import reference
from freehold.engine.tensor_types import TensorType
from tests.engine.gpu.card import DEVICE, HALF, columns_of, on_device
from tests.engine.kernels.blocks import random_rows

TYPES = sorted(SUPPORTED)


@pytest.mark.parametrize("layout", [as_landed, resident])
@pytest.mark.parametrize("type_", TYPES)
def test_expanded_rows_equal_the_reference(type_: TensorType, layout: Callable[..., DeviceMatrix]) -> None:
    rows = random_rows(np.random.default_rng(1), type_, 5, 512)
    matrix = layout(type_, 512, 5, on_device(rows.reshape(-1)))
    out = torch.full((3, 512), torch.nan, device=DEVICE)
    expand(matrix, 1, 3, out)
    np.testing.assert_allclose(out.cpu().numpy(), reference.dequantise(type_, rows[1:4]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layout", [as_landed, resident])
@pytest.mark.parametrize("type_", TYPES)
def test_columns_by_a_matrix_equal_the_reference(type_: TensorType, layout: Callable[..., DeviceMatrix]) -> None:
    rng = np.random.default_rng(2)
    rows, x = random_rows(rng, type_, 9, 768), rng.normal(0, 1, (3, 768)).astype(np.float32)
    out = torch.full((3, 9), torch.nan, device=DEVICE)
    multiply(layout(type_, 768, 9, on_device(rows.reshape(-1))), columns_of(x), 0, 3, out)
    expected = reference.multiply(type_, rows, x)
    assert np.abs(out.cpu().numpy() - expected).max() < 1e-5 * np.abs(expected).max() + 1e-5


@pytest.mark.parametrize("type_", [TensorType.Q4_K, TensorType.Q8_0, TensorType.F16])
def test_a_column_has_the_same_bits_whatever_is_beside_it(type_: TensorType) -> None:
    rng = np.random.default_rng(3)
    rows, x = random_rows(rng, type_, 6, 512), rng.normal(0, 1, (16, 512)).astype(np.float32)
    matrix, columns = as_landed(type_, 512, 6, on_device(rows.reshape(-1))), columns_of(x)
    whole, part, one = (torch.empty((16, 6), device=DEVICE) for _ in range(3))
    multiply(matrix, columns, 0, 16, whole)
    multiply(matrix, columns, 5, 3, part)
    multiply(matrix, columns, 6, 1, one)
    assert torch.equal(whole[5:8], part[:3])
    assert torch.equal(whole[6], one[0])


def test_prompts_meet_expanded_tiles_in_the_matrix_units() -> None:
    rng = np.random.default_rng(4)
    x, weights = (on_device(rng.normal(0, 1, shape).astype(np.float32)).to(HALF) for shape in ((19, 96), (35, 96)))
    out = torch.full((19, 35), torch.nan, device=DEVICE)
    product(x, weights, out)
    torch.testing.assert_close(out, x.float() @ weights.float().T, rtol=1e-4, atol=1e-4)
