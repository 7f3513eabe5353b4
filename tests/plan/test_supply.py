"""Whom a plan hangs on, and the water that it takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import CATALOGUE, find
from freehold.plan.grid import grid
from freehold.plan.practice import practice
from freehold.plan.site import site_of, sites_of
from freehold.plan.supply import FABS, UNKNOWN, catalogue_exposure, exposure
from freehold.plan.water import WUE, water

NAMES = st.sampled_from(sorted(CATALOGUE))
GB200, MI355X = "GB200 (per GPU of NVL72)", "MI355X"


@settings(max_examples=50)
@given(st.dictionaries(NAMES, st.floats(0.01, 1e6), min_size=1))
def test_shares_add_up_and_concentration_lies_between_even_and_one(chips: dict[str, float]) -> None:
    found = exposure(chips)
    for one in (found.vendors, found.fabs):
        assert sum(one.shares.values()) == pytest.approx(1)
        assert 1 / len(one.shares) - 1e-9 <= one.hhi <= 1
    doubled = exposure({name: 2 * weight for name, weight in chips.items()})
    assert doubled.vendors.hhi == pytest.approx(found.vendors.hhi)


def test_concentration_by_hand() -> None:
    found = exposure({GB200: 60, MI355X: 40})
    assert found.vendors.shares == pytest.approx({"NVIDIA": 0.6, "AMD": 0.4})
    assert found.vendors.hhi == pytest.approx(0.52)
    assert found.vendors.is_high
    assert found.fabs.hhi == 1
    assert exposure({"Europa AIPU": 1}).fabs.shares == {UNKNOWN: 1.0}
    assert set(FABS) <= set(CATALOGUE)
    assert not exposure(
        dict.fromkeys((GB200, MI355X, "TPU v6e Trillium", "Trainium2", "Gaudi 3 (OAM)", "SN40L (one RDU)"), 1.0)
    ).vendors.is_high
    assert 0.2 < catalogue_exposure().vendors.hhi < 0.3
    with pytest.raises(InvalidRequest, match="no chips"):
        exposure({})


def test_a_site_of_two_kinds_is_two_sites_on_one_meter() -> None:
    parts = sites_of(100, {GB200: 0.6, MI355X: 0.4}, grid=grid("IND"))
    assert [part.fleet.chips for part in parts] == [site_of(60, find(GB200)).fleet.chips, site_of(40, find(MI355X)).fleet.chips]
    assert sum(part.carbon_kt_per_year or 0 for part in parts) == pytest.approx(625, rel=0.01)
    whole, one = practice([part.fleet for part in parts], grid("IND")), practice([site_of(100, find(GB200)).fleet], grid("IND"))
    assert whole.drawn_mw is not None
    assert one.drawn_mw is not None
    assert whole.drawn_mw.p50 == pytest.approx(one.drawn_mw.p50, rel=0.01)
    assert whole.sustained_flop_per_s is not None
    assert {bar.name for bar in whole.sustained_flop_per_s.bars} == {"mfu of GB200", "mfu of MI355X"}
    assert whole.price_usd is None  # nobody published MI355X's
    for mix in ({GB200: 0.5}, {GB200: 1.5, MI355X: -0.5}, {GB200: float("nan")}):
        with pytest.raises(InvalidRequest, match="add up to 1"):
            sites_of(100, mix)


def test_inside_and_shell_make_the_whole() -> None:
    one = site_of(100, find(GB200))
    assert one.inside_usd[0] + one.shell_usd == pytest.approx(one.whole_usd[0])


def test_water_by_hand() -> None:
    country = grid("IND")
    assert country.water_l_per_kwh is not None
    one = water(it_twh=0.5, site_twh=0.6, grid=country, wue_l_per_kwh=0.2)
    assert one.cooling.p50 == pytest.approx(100)  # 0.5e9 kWh x 0.2 l
    assert one.grid is not None
    assert one.grid.p50 == pytest.approx(600 * country.water_l_per_kwh, rel=0.02)
    assert one.total is not None
    assert one.total.p50 == pytest.approx(one.cooling.p50 + one.grid.p50, rel=0.02)


@settings(max_examples=20)
@given(st.floats(0, 10), st.floats(0, 10))
def test_water_of_an_unknown_grid_is_unknown_and_cooling_is_a_range(it_twh: float, more: float) -> None:
    one = water(it_twh, it_twh + more)
    assert one.grid is None
    assert one.total is None
    assert 0 <= one.cooling.p10 <= one.cooling.p90 <= WUE.high * it_twh * 1e3 * (1 + 1e-9)


@pytest.mark.parametrize("wue", [-1.0, float("nan"), 100.0])
def test_an_absurd_wue_is_refused(wue: float) -> None:
    with pytest.raises(InvalidRequest, match="WUE"):
        water(1, 1, wue_l_per_kwh=wue)
