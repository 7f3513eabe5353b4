"""Sizes of models nobody has downloaded, against what their files are known to weigh."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.engine.shapes import KNOWN, QUANTISATIONS, dimensions, tensor_types


def gigabytes(size: str, quantisation: str, *, with_embedding: bool) -> float:
    kinds = tensor_types(dimensions(size), quantisation)
    return sum(size_bytes for kind, _, size_bytes in kinds if with_embedding or kind != "token_embd") / 1e9


@pytest.mark.parametrize(
    ("quantisation", "read_gb", "file_gb"), [("Q4_K_M", 41.92, 42.51), ("Q6_K", 57.01, 57.88), ("Q8_0", 73.85, 74.96)]
)
def test_llama_70b_weighs_what_its_files_weigh(quantisation: str, read_gb: float, file_gb: float) -> None:
    assert gigabytes("70B", quantisation, with_embedding=False) == pytest.approx(read_gb, abs=0.01)
    assert gigabytes("70B", quantisation, with_embedding=True) == pytest.approx(file_gb, abs=0.01)


def test_rows_that_are_no_whole_super_blocks_get_the_types_that_files_of_that_size_have() -> None:
    # The 0.5B file of Qwen 2.5 holds Q5_0, Q8_0, Q6_K and Q4_K: its rows of 896 are not a multiple of 256.
    found: Counter[str] = Counter()
    for _, type_, size_bytes in tensor_types(dimensions("qwen2.5-0.5b"), "Q4_K_M"):
        found[type_.name] += size_bytes
    assert set(found) == {"Q5_0", "Q8_0", "Q6_K", "Q4_K"}
    assert found["Q6_K"] == 42_900_480
    assert found["Q4_K"] == 29_417_472
    assert found["Q8_0"] == 146_105_344


@pytest.mark.parametrize("shape", KNOWN, ids=lambda shape: shape.name)
def test_a_known_shape_has_the_parameters_of_its_name(shape: object) -> None:
    found = dimensions(shape.name)  # type: ignore[attr-defined]
    said = float(found.name.rpartition("-")[2].removesuffix("b"))
    assert found.parameters == pytest.approx(said * 1e9, rel=0.25)
    assert not found.is_guess


def test_a_bare_size_takes_the_best_known_model_of_it() -> None:
    assert dimensions("8B").name == "llama-3.1-8b"
    assert dimensions(" 72b ").name == "qwen2.5-72b"


@given(st.floats(min_value=0.05, max_value=2000))
def test_a_size_that_nobody_knows_is_scaled_and_says_so(billions: float) -> None:
    found = dimensions(f"{billions:.4f}B")
    assert found.is_guess
    assert found.parameters == pytest.approx(billions * 1e9, rel=0.12)
    for quantisation in QUANTISATIONS:
        bits = 8 * sum(size_bytes for _, _, size_bytes in tensor_types(found, quantisation)) / found.parameters
        assert 2 < bits <= 32


@pytest.mark.parametrize("asked", ["", "0B", "big", "70", "-1B", "1e9B", "0.000001M", "999999T"])
def test_what_is_no_size_is_refused_with_what_would_be_one(asked: str) -> None:
    with pytest.raises(InvalidRequest):
        dimensions(asked)


def test_an_unknown_quantisation_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match="Q4_K_M"):
        list(tensor_types(dimensions("8B"), "Q4_K_XXL"))
