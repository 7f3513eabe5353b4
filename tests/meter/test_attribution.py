import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.events import Usage, Worked
from freehold.core.measurement import NO_FOOTPRINT, UNKNOWN_ENERGY, Grade, GridFactor, Measurement, Metered
from freehold.core.ports import SignalPoint, Use
from freehold.meter.attribution import ExchangeMeter
from freehold.meter.config import MeterConfig

seconds = st.floats(0, 1e6)
AT_S = 1_795_000_000.0  # in 2026
ICELAND = GridFactor(zone="ISL", year=2022, g_per_kwh=27.68, water_l_per_kwh=6.0)
KWH = Measurement(grade=Grade.MEASURED_COUNTER, source="rapl", energy_j=3.6e6)


def use(worked: Worked | None = None, *, model: str = "smollm2-135m", tokens: int | None = None, took_s: float = 2.0) -> Use:
    usage = None if tokens is None else Usage(input_tokens=10, output_tokens=tokens)
    return Use(worked=worked, is_remote=worked is None, model=model, usage=usage, start_s=AT_S, end_s=AT_S + took_s)


def worked(compute_s: float) -> Worked:
    return Worked(compute_s=compute_s, prefill_s=0.1, decode_s=0.2)


def metered(energy: Measurement = KWH, machine_s: float = 100.0) -> Worked:
    told = Metered(energy=energy, by_tokens_j=1.0, by_time_j=2.0, machine_s=machine_s)
    return Worked(compute_s=1.0, prefill_s=0.1, decode_s=0.2, metered=told)


class Series:
    """Implements `Signal` by points that hold for ever."""

    def __init__(self, *points: tuple[float, float | None, float | None]) -> None:
        self._points = points  # share of the time, g, price

    def between(self, start_s: float, end_s: float) -> Sequence[SignalPoint]:
        found, at_s = [], start_s
        for share, carbon, price in self._points:
            till_s = at_s + share * (end_s - start_s)
            found.append(SignalPoint(start_s=at_s, end_s=till_s, g_per_kwh=carbon, price_per_kwh=price))
            at_s = till_s
        return found


def test_work_nobody_saw_of_a_model_nobody_knows_is_unknown_and_never_zero() -> None:
    assert ExchangeMeter().account(use(tokens=100, model="gpt-99")) == (UNKNOWN_ENERGY, NO_FOOTPRINT)
    assert ExchangeMeter().account(use(model="gpt-4o")) == (UNKNOWN_ENERGY, NO_FOOTPRINT)  # nobody counted its tokens
    assert ExchangeMeter(MeterConfig(remote=False)).account(use(tokens=9, model="gpt-4o")) == (UNKNOWN_ENERGY, NO_FOOTPRINT)


def test_seen_work_without_a_meter_is_modelled_with_its_bounds() -> None:
    meter = ExchangeMeter(MeterConfig(watts_per_core=4.0, watts_per_core_low=2.0, watts_per_core_high=10.0))
    measured, _ = meter.account(use(worked(1.5)))
    assert (measured.grade, measured.source) == (Grade.MODELLED, "cpu-time-model")
    assert (measured.low_j, measured.energy_j, measured.high_j) == (3.0, 6.0, 15.0)


@given(st.lists(seconds, max_size=50))
def test_the_exchanges_joules_add_up_to_the_nodes(shares_s: list[float]) -> None:
    meter = ExchangeMeter()
    whole, _ = meter.account(use(worked(math.fsum(shares_s))))
    shares = [meter.account(use(worked(s)))[0] for s in shares_s]
    for bound in ("low_j", "energy_j", "high_j"):
        assert math.isclose(math.fsum(getattr(s, bound) for s in shares), getattr(whole, bound), rel_tol=1e-12, abs_tol=1e-300)


@pytest.mark.parametrize("compute_s", [-1.0, math.nan, math.inf])
def test_a_time_that_cannot_be_true_is_unknown_energy(compute_s: float) -> None:
    measured, footprint = ExchangeMeter(factors=[ICELAND]).account(use(worked(compute_s)))
    assert measured == UNKNOWN_ENERGY
    assert footprint.carbon is None


def test_what_a_kilowatt_hour_came_to() -> None:
    config = MeterConfig(pue=1.2, site_water_l_per_kwh=1.0, embodied_kg=1000, lifetime_years=4)
    meter = ExchangeMeter(config, factors=[ICELAND], signal=Series((1, None, 0.25)), usd_per_unit=1.1)
    energy, footprint = meter.account(use(metered()))
    assert energy == KWH
    assert footprint.carbon is not None
    assert (footprint.carbon.zone, footprint.carbon.year, footprint.carbon.method) == ("ISL", 2022, "average")
    assert footprint.carbon.g == pytest.approx(27.68 * 1.2)
    assert footprint.water_l == pytest.approx(1.0 + 1.2 * 6.0)
    assert footprint.electricity_microusd == pytest.approx(330_000)
    assert footprint.embodied_g == pytest.approx(1e6 * 100 / (4 * 365 * 86_400))
    assert (footprint.by_tokens_j, footprint.by_time_j) == (1.0, 2.0)


def test_without_what_is_needed_each_figure_is_unknown() -> None:
    _, footprint = ExchangeMeter().account(use(metered()))
    assert (footprint.carbon, footprint.water_l, footprint.electricity_microusd, footprint.embodied_g) == (None,) * 4
    _, footprint = ExchangeMeter(factors=[ICELAND], signal=Series((1, None, 0.25))).account(use(metered()))
    assert (footprint.water_l, footprint.electricity_microusd) == (None, None)  # site's water, and what a unit is in dollars


def test_the_operators_series_goes_before_the_country_where_it_covers_the_time() -> None:
    def carbon(*points: tuple[float, float | None, float | None]) -> tuple[float, str, int, str]:
        found = ExchangeMeter(factors=[ICELAND], signal=Series(*points)).account(use(metered()))[1].carbon
        assert found is not None
        return round(found.g, 6), found.zone, found.year, found.method

    assert carbon((0.5, 100.0, None), (0.5, 300.0, None)) == (200.0, "signal", 2026, "series")
    assert carbon((0.5, 100.0, None), (0.5, None, None)) == (27.68, "ISL", 2022, "average")
    assert carbon() == (27.68, "ISL", 2022, "average")


def test_a_contract_for_green_power_changes_nothing() -> None:
    plain, green = (ExchangeMeter(MeterConfig(market_g_per_kwh=g), factors=[ICELAND]) for g in (None, 0.0))
    assert plain.account(use(metered())) == green.account(use(metered()))


def test_carbon_has_the_bounds_of_its_energy() -> None:
    energy = Measurement(grade=Grade.MODELLED, source="m", energy_j=3.6e6, low_j=1.8e6, high_j=7.2e6)
    carbon = ExchangeMeter(factors=[ICELAND]).account(use(metered(energy)))[1].carbon
    assert carbon is not None
    assert (carbon.low_g, carbon.g, carbon.high_g) == pytest.approx((13.84, 27.68, 55.36))


def test_a_providers_answer_is_a_range_and_its_carbon_is_where_the_provider_is() -> None:
    usa = GridFactor(zone="USA", year=2023, g_per_kwh=400)
    energy, footprint = ExchangeMeter(factors=[ICELAND], remote_factors=[usa]).account(
        use(model="gpt-4o", tokens=1000, took_s=1e6)
    )
    assert energy.grade is Grade.REMOTE_MODEL
    assert energy.low_j is not None
    assert energy.high_j is not None
    assert energy.energy_j is not None
    assert energy.low_j < energy.energy_j < energy.high_j
    assert footprint.carbon is not None
    assert footprint.carbon.zone == "USA"
    assert footprint.carbon.g == pytest.approx(energy.energy_j / 3.6e6 * 400)
    _, unplaced = ExchangeMeter(factors=[ICELAND]).account(use(model="gpt-4o", tokens=1000))
    assert unplaced.carbon is None
