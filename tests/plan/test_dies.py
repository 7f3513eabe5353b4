"""What is known of the area of a die, and what is not."""

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import CATALOGUE, Accelerator, find
from freehold.plan.dies import EXPOSURE_MM2, die_area, given


@drawn(st.sampled_from(sorted(CATALOGUE)).map(CATALOGUE.__getitem__))
def test_a_range_holds_what_was_published_and_nothing_is_guessed(chip: Accelerator) -> None:
    area = die_area(chip)
    if chip.die_mm2 is not None:
        assert area is not None
        assert area.low_mm2 < chip.die_mm2 < area.high_mm2
    elif area is not None:
        assert "assumed" in area.basis


def test_two_dies_of_an_exposure_each_are_two_exposures_at_most() -> None:
    area = die_area(find("B200"))
    assert area is not None
    assert area.high_mm2 == 2 * EXPOSURE_MM2
    assert die_area(find("MI300X")) is None


@pytest.mark.parametrize(("low", "high"), [(0, 5), (9, 4), (-1, 2), (1, 2e6), (float("nan"), 5), (5, float("inf"))])
def test_areas_that_are_none_are_refused(low: float, high: float) -> None:
    with pytest.raises(InvalidRequest, match="the smaller first"):
        given(low, high)
