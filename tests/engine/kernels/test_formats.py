import gguf
import numpy as np
import pytest
from gguf.quants import dequantize

from freehold.engine.kernels import reference
from freehold.engine.kernels.formats import FORMATS
from freehold.engine.kernels.library import Kernels
from freehold.engine.tensor_types import COMPUTED, TensorType
from tests.engine.kernels.blocks import random_rows
from tests.engine.kernels.native import expand, multiply, multiply_few, multiply_single

TYPES = sorted(FORMATS)


def lengths(type_: TensorType) -> list[int]:
    return [256, 768, 2304] if type_.block_elements == 256 else [32, 576, 1056]


def test_a_file_may_hold_the_types_that_there_is_code_for() -> None:
    assert set(FORMATS) == set(COMPUTED)


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name)
def test_reference_dequantises_as_the_gguf_package_does(type_: TensorType) -> None:
    rows = random_rows(np.random.default_rng(1), type_, 5, 512)
    source = rows.view(np.float32) if type_ is TensorType.F32 else rows.view(np.float16) if type_ is TensorType.F16 else rows
    theirs = dequantize(source, gguf.GGMLQuantizationType(int(type_)))
    np.testing.assert_allclose(reference.dequantise(type_, rows), theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name)
def test_every_weight_unpacks_to_its_value(kernels: Kernels, type_: TensorType) -> None:
    rows = random_rows(np.random.default_rng(2), type_, kernels.target.lanes - 1, 512)
    expected = reference.dequantise(type_, rows)
    np.testing.assert_allclose(expand(kernels, type_, rows, 512), expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name)
def test_products_equal_the_reference_for_odd_rows_and_tails(kernels: Kernels, type_: TensorType) -> None:
    rng = np.random.default_rng(3)
    for length in lengths(type_):
        for row_count, columns in ((1, 1), (19, 1), (35, 6)):
            rows = random_rows(rng, type_, row_count, length)
            x = rng.normal(size=(columns, length)).astype(np.float32)
            expected = reference.multiply(type_, rows, x)
            scale = np.abs(reference.rounded(x)).astype(np.float64) @ np.abs(reference.dequantise(type_, rows)).T
            # The unsigned form adds and takes away up to 128 scales a weight: a few f32 roundings of that size remain.
            assert np.all(np.abs(multiply(kernels, type_, rows, x) - expected) <= 4e-6 * scale + 1e-6)


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name)
def test_rounding_of_activations_costs_under_a_hundredth_of_the_largest_output(kernels: Kernels, type_: TensorType) -> None:
    rng = np.random.default_rng(4)
    rows = random_rows(rng, type_, 48, 1024)
    x = rng.normal(size=(1, 1024)).astype(np.float32)
    exact = x.astype(np.float64) @ reference.dequantise(type_, rows).astype(np.float64).T
    assert np.abs(multiply(kernels, type_, rows, x) - exact).max() < 0.01 * np.abs(exact).max()


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name)
def test_a_column_does_not_depend_on_its_neighbours(kernels: Kernels, type_: TensorType) -> None:
    rng = np.random.default_rng(5)
    rows = random_rows(rng, type_, 17, 512)
    x = rng.normal(size=(11, 512)).astype(np.float32)
    together = multiply(kernels, type_, rows, x)
    for low, high in ((0, 1), (3, 4), (10, 11), (2, 9), (4, 8)):
        assert np.array_equal(multiply(kernels, type_, rows, x[low:high]), together[low:high])


@pytest.mark.parametrize("type_", TYPES, ids=lambda t: t.name)
def test_few_columns_take_a_shorter_way_to_the_same_bits(kernels: Kernels, type_: TensorType) -> None:
    rng = np.random.default_rng(7)
    tail = 2304 if type_.block_elements == 256 else 576
    for length in (256, tail, 4096):  # rows that fit the first cache side by side, and rows that do not
        rows = random_rows(rng, type_, 2 * kernels.target.lanes, length)
        x = rng.normal(size=(9, length)).astype(np.float32)
        packed = multiply(kernels, type_, rows, x)
        assert np.array_equal(multiply_single(kernels, type_, rows, x[:1]), packed[:1])
        for count in (1, 2, 5, 9):
            assert np.array_equal(multiply_few(kernels, type_, rows, x[:count]), packed[:count])


def test_largest_bytes_do_not_saturate(kernels: Kernels) -> None:
    """vpmaddubsw would clip 255 * 127 + 255 * 127."""
    starts = {TensorType.Q8_0: 2, TensorType.Q6_K: 0, TensorType.Q5_1: 4, TensorType.Q4_1: 4, TensorType.IQ4_NL: 2}
    for type_, keep in starts.items():
        rows = random_rows(np.random.default_rng(6), type_, 1, 256)
        blocks = rows.reshape(-1, type_.block_bytes)
        end = 192 if type_ is TensorType.Q6_K else type_.block_bytes
        for fill in (0x7F, 0xFF, 0x80):
            blocks[:, keep:end] = fill
            for sign in (1.0, -1.0):
                x = np.full((1, 256), sign, np.float32)
                expected = reference.multiply(type_, rows, x)
                np.testing.assert_allclose(multiply(kernels, type_, rows, x), expected, rtol=2e-5, atol=1e-4)
