"""Power through a year: what holds of every plan, on days of made-up weather, and once on a year."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, UnknownFigure
from freehold.plan.dispatch import Dispatch, dispatch
from freehold.plan.dispatch_case import IDLE, Case, Unit, pause_usd_per_mwh
from freehold.plan.dispatch_range import ranges
from freehold.plan.energy_costs import TECHNOLOGIES, capital_recovery
from freehold.plan.profile import in_steps
from freehold.plan.weather import solar, wind

DAYS, STEP_H = 10, 3
STEPS = DAYS * 24 // STEP_H
BATTERY = ("battery-mw", "battery-mwh")
PV, WIND = in_steps(solar(), STEP_H), in_steps(wind(), STEP_H)


def units(*names: str, have: Mapping[str, float] | None = None) -> dict[str, Unit]:
    return {name: Unit(technology=TECHNOLOGIES[name], have=(have or {}).get(name, 0.0)) for name in names}


def case(*names: str, load_mw: float = 20.0, first: int = 0, steps: int = STEPS, **rest: object) -> Case:
    part = slice(first, first + steps)
    plain = Case(load_mw=np.full(steps, load_mw), pv=PV[part], wind=WIND[part], step_h=STEP_H, units=units(*names))
    return replace(plain, **rest)  # type: ignore[arg-type]


OFF_GRID = case("pv", "wind", *BATTERY)
SOURCES = st.lists(st.sampled_from(["pv", "wind", "firm"]), unique=True, min_size=1)
CASES = st.builds(
    lambda names, battery, load, first, pausable, grid, price, cap, most: case(
        *names,
        *(BATTERY if battery else ()),
        load_mw=load,
        first=first,
        pausable=pausable,
        grid_mw=grid * load,
        grid_usd_per_mwh=np.array([price]),
        grid_g_per_kwh=300.0,
        carbon_usd_per_t=cap,
        most_unserved=most,
    ),
    SOURCES,
    st.booleans(),
    st.floats(0.1, 1e4),
    st.integers(0, PV.size - STEPS),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.5]),
    st.floats(-50, 300),
    st.sampled_from([0.0, 100.0]),
    st.just(1.0),
)


def imbalance(one: Dispatch) -> float:
    """The largest of any step, over the peak load."""
    series = one.series
    comes = (
        series.pv + series.wind + series.firm + series.grid + series.discharge + series.shed + series.paused * (1 - one.case.idle)
    )
    goes = series.load + series.charge + series.curtailed
    return float(np.abs(comes - goes).max() / series.load.max())


@settings(max_examples=20)
@given(CASES)
def test_energy_balances_and_the_last_charge_is_the_first(asked: Case) -> None:
    one = dispatch(asked)
    series, peak = one.series, asked.load_mw.max()
    assert imbalance(one) <= 1e-6
    way = asked.round_trip**0.5
    gained = (series.charge * way - series.discharge / way) * asked.step_h
    assert np.abs(series.charge_mwh - np.roll(series.charge_mwh, 1) - gained).max() <= 1e-6 * peak
    assert series.charge_mwh.max() <= one.capacities.get("battery-mwh", 0.0) + 1e-6 * peak
    assert (series.charge + series.discharge).max() <= one.capacities.get("battery-mw", 0.0) + 1e-6 * peak
    assert series.firm.max() <= one.capacities.get("firm", 0.0) + 1e-6 * peak
    assert series.paused.max() <= asked.pausable * peak * (1 + 1e-6)
    assert series.curtailed.min() >= -1e-6 * peak
    assert (series.curtailed - series.pv - series.wind).max() <= 1e-6 * peak or asked.grid_usd_per_mwh[0] >= 0
    for power in (series.firm, series.grid, series.charge, series.discharge, series.shed, series.paused):
        assert power.min() >= -1e-6 * peak
    assert sum(one.costs_usd.values()) == pytest.approx(one.total_usd)


@settings(max_examples=10)
@given(CASES)
def test_twice_the_load_is_twice_of_everything(asked: Case) -> None:
    one, two = dispatch(asked), dispatch(replace(asked, load_mw=2 * asked.load_mw, grid_mw=2 * asked.grid_mw))
    assert two.total_usd == pytest.approx(2 * one.total_usd, rel=1e-9)
    for name, size in one.capacities.items():
        assert two.capacities[name] == pytest.approx(2 * size, rel=1e-9, abs=1e-9 * asked.load_mw[0])


@settings(max_examples=10)
@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=4, unique=True), st.integers(0, PV.size - STEPS))
def test_dearer_storage_never_makes_a_plan_cheaper(factors: list[float], first: int) -> None:
    costs = []
    for factor in sorted(factors):
        asked = case("pv", "wind", *BATTERY, first=first)
        energy = asked.units["battery-mwh"]
        dear = replace(energy.technology, capex_usd_per_kw=energy.technology.capex_usd_per_kw * factor)
        one = dispatch(replace(asked, units={**asked.units, "battery-mwh": replace(energy, technology=dear)}))
        costs.append((one.total_usd, one.capacities["battery-mwh"]))
    for (cheap, much), (dear_usd, little) in itertools.pairwise(costs):
        assert dear_usd >= cheap * (1 - 1e-9)
        assert little <= much * (1 + 1e-6) + 1e-6


@settings(max_examples=10)
@given(CASES, st.sampled_from(["pausable", "grid_mw", "battery"]))
def test_what_may_be_done_besides_never_costs_more(asked: Case, more: str) -> None:
    freer = {
        "pausable": replace(asked, pausable=1.0),
        "grid_mw": replace(asked, grid_mw=asked.grid_mw + asked.load_mw[0]),
        "battery": replace(asked, units={**asked.units, **units(*BATTERY)}),
    }[more]
    assert dispatch(freer).total_usd <= dispatch(asked).total_usd * (1 + 1e-9) + 1e-6


def test_what_the_program_makes_small_is_what_is_told() -> None:
    """By hand: gas alone, no sun, so that every figure is known."""
    one = dispatch(case("firm", carbon_usd_per_t=50.0))
    firm = TECHNOLOGIES["firm"]
    assert one.capacities["firm"] == pytest.approx(20)
    year_mwh = 20 * 8760
    running = year_mwh * (firm.variable_usd_per_mwh + firm.carbon_g_per_kwh / 1e3 * 50)
    standing = 20 * (firm.capital_usd_per_mw(0.07) + firm.fixed_usd_per_mw)
    assert one.total_usd == pytest.approx(running + standing)
    assert one.carbon_t == pytest.approx(year_mwh * firm.carbon_g_per_kwh / 1e3)
    assert one.usd_per_mwh == pytest.approx((running + standing) / year_mwh)


def test_what_stands_already_costs_its_upkeep_alone() -> None:
    pv = TECHNOLOGIES["pv"]
    stands = dispatch(replace(OFF_GRID, units=units("pv", "wind", *BATTERY, have={"pv": 100.0})))
    assert stands.capacities["pv"] >= 100
    assert stands.costs_usd["pv"] == pytest.approx(
        stands.built["pv"] * pv.capital_usd_per_mw(0.07) + stands.capacities["pv"] * pv.fixed_usd_per_mw
    )
    fixed = dispatch(replace(OFF_GRID, units={**OFF_GRID.units, "pv": Unit(technology=pv, have=30.0, most=30.0)}))
    assert fixed.capacities["pv"] == pytest.approx(30)


def test_power_that_is_thrown_away_is_not_bought_for_a_price_below_zero() -> None:
    one = dispatch(case("pv", grid_mw=100.0, grid_usd_per_mwh=np.array([-20.0])))
    assert one.series.grid.max() <= 20 * (1 + 1e-6)


def test_training_that_may_pause_does_so_in_place_of_storage() -> None:
    may = replace(OFF_GRID, pausable=0.8, pause_usd_per_mwh=100.0)  # in ten days alone, only a low price makes it pause
    bound, free = dispatch(OFF_GRID), dispatch(may)
    assert free.paused_hours > 0
    assert free.capacities["battery-mwh"] < bound.capacities["battery-mwh"]
    assert free.energy_mwh("paused") <= 0.8 * free.energy_mwh("load") * (1 + 1e-9)
    assert dispatch(replace(may, pause_usd_per_mwh=1e6)).paused_hours == 0
    assert dispatch(replace(may, restart_h=24.0)).total_usd > free.total_usd


def test_a_cap_on_carbon_is_kept_and_costs() -> None:
    dirty = dispatch(case("pv", "firm", *BATTERY))
    assert dirty.carbon_t is not None
    clean = dispatch(case("pv", "firm", *BATTERY, carbon_cap_t=dirty.carbon_t / 2))
    assert clean.carbon_t == pytest.approx(dirty.carbon_t / 2)
    assert clean.total_usd > dirty.total_usd
    assert dirty.cap_usd_per_t is None
    less = dispatch(replace(clean.case, carbon_cap_t=dirty.carbon_t / 2 + 1))
    assert clean.total_usd - less.total_usd == pytest.approx(clean.cap_usd_per_t, rel=0.01)
    # The same price on carbon leads to as little of it.
    assert dispatch(replace(dirty.case, carbon_usd_per_t=clean.cap_usd_per_t or 0)).carbon_t == pytest.approx(
        clean.carbon_t, rel=0.1
    )


def test_carbon_of_an_unknown_grid_is_unknown() -> None:
    bought = case("pv", grid_mw=20.0, grid_usd_per_mwh=np.array([50.0]))
    assert dispatch(bought).carbon_t is None
    with pytest.raises(UnknownFigure, match="what the grid emits is unknown"):
        dispatch(replace(bought, carbon_usd_per_t=10.0))


def test_limits_that_no_plan_keeps_are_named_with_what_is_possible() -> None:
    with pytest.raises(InvalidRequest, match=r"most-unserved: at most 0\.1 .* and 0\.[4-9]\d* is the least"):
        dispatch(case("pv", most_unserved=0.1))
    with pytest.raises(InvalidRequest, match=r"carbon-cap: 1 t a year, and [\d.,e+]+ t is the least"):
        dispatch(case("firm", most_unserved=0.0, carbon_cap_t=1.0))


def test_the_binding_week_is_the_dark_one() -> None:
    """Sun every day but for six days: the battery is paid for by those."""
    day = np.array([0.0, 0.0, 0.3, 0.8, 0.8, 0.3, 0.0, 0.0])
    sun = np.tile(day, 40)
    sun[8 * 20 : 8 * 26] *= 0.05
    asked = replace(case("pv", *BATTERY, steps=sun.size), pv=sun)
    week = dispatch(asked).week
    assert week.is_of_battery
    assert 14 <= week.first_day <= 26
    assert week.share > 0.25
    assert week.pv_share < 1
    without = dispatch(case("firm")).week
    assert not without.is_of_battery


def test_what_serves_nothing_has_no_price() -> None:
    nothing = dispatch(replace(OFF_GRID, units={"pv": Unit(technology=TECHNOLOGIES["pv"], most=0.0)}))
    assert nothing.usd_per_mwh is None
    assert nothing.unserved_hours == pytest.approx(8760)
    assert ranges(nothing.case, draws=2).usd_per_mwh is None


def test_a_year_off_the_grid_at_three_hours() -> None:
    one = dispatch(case("pv", "wind", *BATTERY, steps=PV.size))
    assert imbalance(one) <= 1e-6
    assert 0 < one.energy_mwh("shed") < 0.01 * one.energy_mwh("load")
    assert 100 < (one.usd_per_mwh or 0) < 200
    assert one.carbon_t == 0


def test_ranges_are_of_plans_made_anew() -> None:
    found = ranges(OFF_GRID, draws=6)
    assert found.total_usd.p10 < found.total_usd.p50 < found.total_usd.p90
    assert {bar.name for bar in found.total_usd.bars} >= {"price of pv", "price of battery-mwh", "cost of capital"}
    assert found.capacities["battery-mwh"][0] < found.capacities["battery-mwh"][2]
    assert found == ranges(OFF_GRID, draws=6)
    middle = dispatch(OFF_GRID).total_usd
    assert all(bar.at_p10 <= middle * 1.05 for bar in found.total_usd.bars)


def test_ranges_in_longer_steps_lie_about_the_plan_itself() -> None:
    one = dispatch(OFF_GRID)
    found = ranges(OFF_GRID.averaged(2), draws=6, about=one)
    assert found.total_usd.p10 < one.total_usd < found.total_usd.p90
    low, _, high = found.capacities["pv"]
    assert low < one.capacities["pv"] < high
    low, _, high = found.usd_per_mwh or (0, 0, 0)
    assert low < (one.usd_per_mwh or 0) < high


def test_annuities() -> None:
    assert capital_recovery(0.07, 20) == pytest.approx(0.0943929)
    assert capital_recovery(0.0, 20) == 0.05
    assert pause_usd_per_mwh() == pytest.approx(18.8e6 * capital_recovery(0.07, 5) / 8760)
    assert IDLE == 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"load_mw": np.zeros(STEPS)}, "a load"),
        ({"load_mw": np.full(STEPS, -1.0)}, "a load"),
        ({"load_mw": np.full(STEPS, np.nan)}, "a load"),
        ({"load_mw": np.full(STEPS, 1e9)}, "a load"),
        ({"pv": np.full(STEPS, 2.0)}, "share of its capacity"),
        ({"pv": np.zeros(3)}, "share of its capacity"),
        ({"units": {"magic": Unit(technology=TECHNOLOGIES["pv"])}}, "no source magic"),
        ({"units": units("pv", have={"pv": -3.0})}, "what stands"),
        ({"units": {"pv": Unit(technology=replace(TECHNOLOGIES["pv"], capex_usd_per_kw=-1.0))}}, "a price"),
        ({"units": {"pv": Unit(technology=replace(TECHNOLOGIES["pv"], capex_usd_per_kw=0.0))}}, "a price is above 0"),
        ({"units": {"pv": Unit(technology=TECHNOLOGIES["pv"], have=1e12)}}, "what stands"),
        ({"pausable": 1.5}, "pausable lies between 0 and 1"),
        ({"most_unserved": float("nan")}, "most-unserved"),
        ({"shed_usd_per_mwh": -1.0}, "shed-cost"),
        ({"round_trip": 0.0}, "gives back"),
        ({"wacc": -0.1}, "cost of capital"),
        ({"grid_mw": float("inf")}, "grid-mw lies between"),
        ({"grid_mw": 1.0, "grid_usd_per_mwh": np.array([np.inf])}, "prices of the grid"),
        ({"carbon_cap_t": -1.0}, "carbon-cap lies between"),
    ],
)
def test_absurd_figures_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        dispatch(replace(OFF_GRID, **change))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="draws"):
        ranges(OFF_GRID, draws=1)
