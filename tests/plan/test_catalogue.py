"""What is known of accelerators, and that what is not known stays so."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import NotFound, UnknownFigure
from freehold.plan.catalogue import CATALOGUE, Accelerator, Density, Precision, find

NAMES = st.sampled_from(sorted(CATALOGUE))


def test_the_catalogue_has_26_accelerators_each_with_a_source() -> None:
    assert len(CATALOGUE) == 26
    assert all(chip.source for chip in CATALOGUE.values())


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("H100", "H100 SXM 80GB"),
        ("h20", "H20 96GB"),
        ("4090", "RTX 4090"),
        ("rtx 4090 d", "RTX 4090 D"),
        ("CS-3", "CS-3 (WSE-3, one system)"),
        ("GB200", "GB200 (per GPU of NVL72)"),
        ("TPU v5p", "TPU v5p"),
    ],
)
def test_enough_of_a_name_finds_its_chip(query: str, name: str) -> None:
    assert find(query).name == name


@given(NAMES)
def test_every_chip_is_found_by_its_own_name(name: str) -> None:
    assert find(name).name == name


def test_a_name_that_fits_several_is_asked_about() -> None:
    with pytest.raises(NotFound, match="may be TPU v4, TPU v5p"):
        find("TPU")


@pytest.mark.parametrize("query", ["H1000", "", "??", "a hundred cards"])
def test_a_name_that_fits_none_says_what_is_near_or_known(query: str) -> None:
    with pytest.raises(NotFound, match=r"near it|known"):
        find(query)


def test_a_chip_of_which_nothing_is_published_refuses_with_all_that_is_missing() -> None:
    chip = find("MatX One")
    assert {"bf16_dense_tflops", "memory_gb", "tdp_w", "die_mm2"} <= set(chip.unknown())
    with pytest.raises(UnknownFigure, match="memory_gb of MatX One is unknown"):
        chip.need("memory_gb")
    with pytest.raises(UnknownFigure, match="fp8_dense_tflops of MatX One is unknown"):
        chip.flop_per_s(Precision.FP8)


def test_a_sparse_rate_that_nobody_published_is_not_made_up() -> None:
    with pytest.raises(UnknownFigure, match="sparse rate of TPU v5p"):
        find("TPU v5p").flop_per_s(Precision.BF16, Density.SPARSE)
    with pytest.raises(UnknownFigure):
        find("MI355X").flop_per_s(Precision.FP4, Density.SPARSE)


def test_headlines_are_the_sparse_rates() -> None:
    assert find("H100").flop_per_s(Precision.FP8, Density.SPARSE) == pytest.approx(3958e12)
    assert 72 * find("GB200").flop_per_s(Precision.FP4, Density.SPARSE) == pytest.approx(1.44e18)
    assert find("CS-3").flop_per_s(Precision.BF16, Density.SPARSE) == pytest.approx(125e15)
    assert find("CS-3").is_inferred(Precision.BF16)
    assert not find("CS-3").is_inferred(Precision.BF16, Density.SPARSE)


@given(NAMES)
def test_a_figure_is_a_number_above_zero_or_unknown(name: str) -> None:
    chip = CATALOGUE[name]
    for field in fields(Accelerator):
        value = getattr(chip, field.name)
        assert not isinstance(value, float) or value > 0
    assert {field for field in chip.unknown() if not field.endswith(("tflops", "tops"))} == {
        field.name for field in fields(Accelerator) if getattr(chip, field.name) is None
    }
