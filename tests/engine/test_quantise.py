"""Errors are compared with llama.cpp's: root mean squares over the same weights, by quantize_row_*_ref in xllamacpp 2026.10."""

import numpy as np
import numpy.typing as npt
import pytest

from freehold.core.errors import MalformedArtefact
from freehold.engine.kernels.reference import dequantise
from freehold.engine.quantise import QUANTISERS, quantise
from freehold.engine.tensor_types import TensorType


def weights(kind: str) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(5)
    match kind:
        case "normal":
            return np.asarray(rng.standard_normal((24, 1024)) * 0.02, np.float32)
        case "heavy":
            return np.asarray(rng.standard_t(3, (24, 1024)) * 0.02, np.float32)
        case "uniform":
            return np.asarray(rng.uniform(-1, 1, (24, 1024)), np.float32)
        case _:
            return np.asarray(rng.exponential(1, (24, 1024)) - 0.3, np.float32)


PEER = {
    (TensorType.Q4_K, "normal"): 0.0014184,
    (TensorType.Q4_K, "heavy"): 0.0033002,
    (TensorType.Q4_K, "uniform"): 0.031449,
    (TensorType.Q4_K, "skewed"): 0.071012,
    (TensorType.Q6_K, "normal"): 0.00035405,
    (TensorType.Q6_K, "heavy"): 0.00090282,
    (TensorType.Q6_K, "uniform"): 0.0076525,
    (TensorType.Q6_K, "skewed"): 0.028179,
    (TensorType.Q8_0, "normal"): 0.00010692,
    (TensorType.Q8_0, "heavy"): 0.00030719,
    (TensorType.Q8_0, "uniform"): 0.002179,
    (TensorType.Q8_0, "skewed"): 0.008811,
    (TensorType.Q5_0, "normal"): 0.00084967,
    (TensorType.Q5_0, "heavy"): 0.0023953,
    (TensorType.Q5_0, "uniform"): 0.017969,
    (TensorType.Q5_0, "skewed"): 0.070336,
}


def rms(type_: TensorType, rows: npt.NDArray[np.float32]) -> float:
    found = dequantise(type_, quantise(type_, rows)).astype(np.float64)
    return float(np.sqrt(np.mean((found - rows) ** 2)))


@pytest.mark.parametrize(("type_", "kind"), PEER, ids=lambda value: getattr(value, "name", value))
def test_errors_are_no_larger_than_llama_cpps(type_: TensorType, kind: str) -> None:
    assert rms(type_, weights(kind)) <= 1.01 * PEER[type_, kind]


@pytest.mark.parametrize("type_", [TensorType.Q8_0, TensorType.Q5_0], ids=lambda t: t.name)
def test_types_that_need_no_search_are_ggufs_own_bytes(type_: TensorType) -> None:
    gguf = pytest.importorskip("gguf")
    rows = weights("heavy")
    theirs = gguf.quants.quantize(rows, gguf.GGMLQuantizationType[type_.name])
    np.testing.assert_array_equal(quantise(type_, rows), theirs)


@pytest.mark.parametrize("type_", QUANTISERS, ids=lambda t: t.name)
@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-30, -1e-42, 1e4])
def test_rows_of_one_number_come_back(type_: TensorType, value: float) -> None:
    found = dequantise(type_, quantise(type_, np.full((2, 256), value, np.float32)))
    np.testing.assert_allclose(found, value, rtol=0.01, atol=1e-7)


@pytest.mark.parametrize("type_", QUANTISERS, ids=lambda t: t.name)
def test_what_is_too_large_for_a_scale_stays_finite(type_: TensorType) -> None:
    rows = np.full((1, 256), 1e30, np.float32)
    rows[0, ::2] = -1e30
    assert np.isfinite(dequantise(type_, quantise(type_, rows))).all()


def test_chunks_do_not_show() -> None:
    rows = np.random.default_rng(1).standard_normal((300, 256)).astype(np.float32)
    for type_ in QUANTISERS:
        parts = [quantise(type_, rows[low : low + 7]) for low in range(0, 300, 7)]
        np.testing.assert_array_equal(quantise(type_, rows), np.concatenate(parts))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(wrong: float) -> None:
    rows = np.zeros((1, 256), np.float32)
    rows[0, 3] = wrong
    with pytest.raises(MalformedArtefact, match="not a finite number"):
        quantise(TensorType.Q4_K, rows)
    with pytest.raises(MalformedArtefact, match="not a multiple of Q4_K block size"):
        quantise(TensorType.Q4_K, np.zeros((1, 100), np.float32))
