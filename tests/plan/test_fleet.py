"""From rates to chips and back, power and sites."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, NotFound, UnknownFigure
from freehold.plan.catalogue import CATALOGUE, Accelerator, Density, Precision, find
from freehold.plan.fleet import EXA, chips_for, fleet
from freehold.plan.grid import GRIDS, grid
from freehold.plan.power import chip_power
from freehold.plan.site import site_of
from freehold.plan.storage import SUPPLY, storage

KNOWN = sorted(name for name, chip in CATALOGUE.items() if chip.dense_tera_ops)
CHIPS = st.sampled_from(KNOWN).map(CATALOGUE.__getitem__)


@given(CHIPS, st.floats(1e-3, 1e3), st.data())
def test_no_chip_fewer_would_do(chip: Accelerator, exaflops: float, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(chip.readings())))
    chips = chips_for(exaflops * EXA, chip, *kind)
    one = chip.flop_per_s(*kind)
    assert chips * one >= exaflops * EXA * (1 - 1e-9)
    assert chips == 1 or (chips - 1) * one < exaflops * EXA


@given(CHIPS, st.integers(1, 10**6))
def test_twice_the_chips_are_twice_of_everything(chip: Accelerator, chips: int) -> None:
    one, two = fleet(chip, chips), fleet(chip, 2 * chips)
    for a, b in zip(one.rates, two.rates, strict=True):
        assert b.flop_per_s == pytest.approx(2 * a.flop_per_s)
    for name in ("site_mw", "it_mw", "memory_tb", "price_low_usd"):
        a, b = getattr(one, name), getattr(two, name)
        assert (a is None) == (b is None)
        assert a is None or b == pytest.approx(2 * a)


@pytest.mark.parametrize("rate", [0.0, -8e18, float("nan"), float("inf"), 1e40])
def test_an_absurd_rate_is_refused(rate: float) -> None:
    with pytest.raises(InvalidRequest):
        chips_for(rate, find("H100"), Precision.BF16, Density.DENSE)


def test_a_chip_without_a_price_or_power_has_none_in_the_fleet() -> None:
    one = fleet(find("Trainium2"), 64)
    assert one.power is None
    assert one.site_mw is None
    assert one.price_low_usd is None
    with pytest.raises(UnknownFigure, match="nothing is published of MatX One"):
        fleet(find("MatX One"), 1)


def test_power_of_a_chip_agrees_with_what_satellites_saw() -> None:
    # xAI Colossus 1: 100,000 H100 and 181 MW (epoch-research/ai-chip-counts @d1b1bc3, xai_datacenter_timelines.csv).
    assert chip_power(find("H100")).site_w == pytest.approx(1810, rel=0.05)


def test_power_without_an_all_in_figure_is_derived_and_says_so() -> None:
    power = chip_power(find("A100"), pue=1.1)
    assert power.it_w == pytest.approx(400 * 1.25 * 1.15)
    assert power.site_w == pytest.approx(power.it_w * 1.1)
    assert "derived" in power.basis
    with pytest.raises(InvalidRequest, match="PUE"):
        chip_power(find("A100"), pue=0.9)


def test_a_hundred_megawatts_of_gb200_in_india() -> None:
    one = site_of(100, find("GB200"), grid=grid("IND"))
    assert one.fleet.chips == 47_619
    assert one.racks == 661
    assert (one.fleet.rate(Precision.BF16) or 0) / EXA == pytest.approx(119, rel=0.01)
    assert one.energy_twh_per_year == pytest.approx(0.876)
    assert one.carbon_kt_per_year == pytest.approx(625, rel=0.01)


@given(st.floats(1, 1e5), st.floats(0.01, 1))
def test_a_site_never_takes_more_than_its_power(site_mw: float, load: float) -> None:
    one = site_of(site_mw, find("H100"), load=load, grid=grid("Iceland"))
    assert (one.fleet.site_mw or 0) <= site_mw * (1 + 1e-9)
    assert one.energy_twh_per_year == pytest.approx(site_mw * load * 8760 / 1e6)


@pytest.mark.parametrize("megawatts", [0, -1, 1e-4, float("nan"), 1e9])
def test_an_absurd_site_is_refused(megawatts: float) -> None:
    with pytest.raises(InvalidRequest, match="MW"):
        site_of(megawatts, find("H100"))


def test_what_is_kept_is_in_drives() -> None:
    kept = storage(405e9, 10, 15.6e12)
    assert kept.checkpoints_pb == pytest.approx(405e9 * 14 * 10 * 3 / 1e15)
    assert kept.data_pb == pytest.approx((15.6e12 * 2 * 3 / 1e15, 15.6e12 * 4 * 3 / 1e15))
    assert kept.drives["hdd"] == -(-(kept.checkpoints_pb + kept.data_pb[1]) * 1e3 // 32)
    assert SUPPLY["ssd"].lead_time_weeks is None
    assert all(one.source and one.confidence for one in SUPPLY.values())


@given(st.floats(0, 1e13), st.integers(0, 100), st.floats(0, 1e15), st.integers(1, 5))
def test_drives_hold_what_is_kept(parameters: float, checkpoints: int, tokens: float, copies: int) -> None:
    kept = storage(parameters, checkpoints, tokens, copies)
    for kind, count in kept.drives.items():
        assert count * (SUPPLY[kind].capacity_tb or 0) >= (kept.checkpoints_pb + kept.data_pb[1]) * 1e3 * (1 - 1e-9)


@pytest.mark.parametrize(
    "asked", [(-1.0, 1, 0.0, 1), (1e9, -1, 0.0, 1), (1e9, 1, float("nan"), 1), (1e9, 1, 1e9, 0), (1e18, 10**6, 0.0, 3)]
)
def test_absurd_storage_is_refused(asked: tuple[float, int, float, int]) -> None:
    with pytest.raises(InvalidRequest):
        storage(*asked)


def test_a_country_that_is_not_there_says_what_is_near() -> None:
    with pytest.raises(NotFound, match="IND"):
        grid("IN")
    assert len(GRIDS) >= 200
    assert grid("CAF").carbon_g_per_kwh is None
