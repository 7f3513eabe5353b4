"""How a dispatch reads: its facts, its plots, its document."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import numpy as np

from freehold.cli.charts import Chart, Layer, Span, bar_chart, time_chart
from freehold.cli.plan_answer import Answer, Rows, moved
from freehold.cli.plan_words import figure, money, simulated, three_digits
from freehold.plan.dispatch import Dispatch, Week
from freehold.plan.dispatch_range import Ranges
from freehold.plan.grid import Grid
from freehold.plan.uncertainty import Array
from freehold.plan.weather import HOURS

_NAMES = {"pv": "sun", "wind": "wind", "firm": "firm source", "battery-mw": "battery, power", "battery-mwh": "battery, energy"}
_COSTS = {**_NAMES, "grid": "energy of the grid", "carbon": "carbon", "shed": "load not served", "paused": "training paused"}
_AREAS = (  # what feeds, from the bottom up: the name of its series, its words, its colour
    ("firm", "firm source", "k4"),
    ("grid", "grid", "k5"),
    ("wind", "wind", "k3"),
    ("pv", "sun", "k2"),
    ("discharge", "from the battery", "k0"),
    ("paused", "training paused", "k7"),
    ("shed", "load not served", "k6"),
)
_A_YEAR = date(2025, 1, 1)  # any without a 29 February


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where figures came from that the case itself does not tell."""

    country: Grid | None
    is_own_sun: bool  # made up from a seed
    is_own_wind: bool


def answer(one: Dispatch, ranged: Ranges | None, asked: Asked) -> Answer:
    return Answer(
        title=f"Power for {figure(float(one.case.load_mw.mean()))} MW through a year",
        document=_document(one, ranged),
        facts=tuple(_facts(one, ranged)),
        tables=(_table(one, ranged),),
        spans=tuple(_spans(one, ranged)) if ranged else (),
        moved=moved(("the cost of a year", ranged.total_usd.scaled(1e-6) if ranged else None, "M USD")),
        charts=tuple(_charts(one)),
        sources=tuple(_sources(one, asked)),
        caveats=tuple(_caveats(one, ranged, asked)),
    )


def _spans(one: Dispatch, ranged: Ranges) -> Iterable[Span]:
    total = ranged.total_usd.scaled(1e-6)
    yield Span(name="cost of a year", p10=total.p10, p50=total.p50, p90=total.p90, unit="M USD")
    if ranged.usd_per_mwh:
        low, middle, high = ranged.usd_per_mwh
        yield Span(name="electricity", p10=low, p50=middle, p90=high, unit="USD/MWh")
    for name, (low, middle, high) in ranged.capacities.items():
        if one.case.units[name].most > one.case.units[name].have and middle > 1e-6:
            yield Span(name=_NAMES[name], p10=low, p50=middle, p90=high, unit=_unit(name))


def _unit(name: str) -> str:
    return "MWh" if name == "battery-mwh" else "MW"


def _table(one: Dispatch, ranged: Ranges | None) -> Rows:
    header = ("source", "there is", "of it new", *(["P10 to P90"] if ranged else []), "MWh a year", "M USD a year")
    rows: list[tuple[str, ...]] = []
    for name, size in one.capacities.items():
        unit, spread = _unit(name), []
        if ranged:
            low, _, high = ranged.capacities[name]
            spread = [f"{figure(_tidy(low))} to {figure(_tidy(high))}"]
        through = {"battery-mw": "discharge", "battery-mwh": ""}.get(name, name)
        energy = figure(round(one.energy_mwh(through))) if through else ""
        sizes = (figure(_tidy(size), unit), figure(_tidy(one.built[name]), unit))
        rows.append((_NAMES[name], *sizes, *spread, energy, _millions(one.costs_usd[name])))
    if one.case.grid_mw:
        connection, energy = figure(one.case.grid_mw, "MW"), figure(round(one.energy_mwh("grid")))
        rows.append(("grid", connection, "", *([""] if ranged else []), energy, _millions(one.costs_usd["grid"])))
    return Rows(header=header, rows=tuple(rows))


def _millions(usd: float) -> str:
    return figure(three_digits(usd / 1e6))


def _facts(one: Dispatch, ranged: Ranges | None) -> Iterable[tuple[str, str]]:
    case, load_mwh = one.case, one.energy_mwh("load")
    yield "load", f"{figure(float(case.load_mw.mean()), 'MW')} on average, {figure(round(load_mwh), 'MWh')} a year"
    spread = ranged.usd_per_mwh if ranged else None
    per_mwh = f" (P10 {figure(three_digits(spread[0]))} to P90 {figure(three_digits(spread[2]))})" if spread else ""
    price = figure(None if one.usd_per_mwh is None else three_digits(one.usd_per_mwh), "USD/MWh")
    yield "electricity", f"{price}{per_mwh}, {money(one.supply_usd, one.supply_usd)} a year"
    penalties = one.total_usd - one.supply_usd
    yield (
        "with what is not done",
        f"{money(one.total_usd, one.total_usd)} a year; {money(penalties, penalties)} of it for load and training",
    )
    shed_mwh, paused_mwh = one.energy_mwh("shed"), one.energy_mwh("paused")
    yield (
        "not served",
        f"{_share(shed_mwh, load_mwh)}, {figure(round(shed_mwh), 'MWh')} in {figure(round(one.unserved_hours), 'hours')}",
    )
    if case.pausable:
        yield (
            "training paused",
            f"{_share(paused_mwh, load_mwh)} of the load's work, in {figure(round(one.paused_hours), 'hours')}; "
            f"{case.pausable:.0%} may pause, at {figure(three_digits(case.pause_usd_per_mwh), 'USD/MWh')} of work",
        )
    made = one.energy_mwh("pv") + one.energy_mwh("wind")
    if made:
        yield (
            "sun and wind unused",
            f"{_share(one.energy_mwh('curtailed'), made)}, {figure(round(one.energy_mwh('curtailed')), 'MWh')}",
        )
    if "battery-mwh" in one.capacities:
        hours = one.capacities["battery-mwh"] / float(case.load_mw.mean())
        yield "the battery carries the load for", figure(three_digits(hours), "h")
    carbon_t = None if one.carbon_t is None else float(round(one.carbon_t))
    yield "CO2e", f"{figure(carbon_t, 't')} a year of fuel and grid, nothing for building"
    if one.cap_usd_per_t is not None:
        yield "the cap on carbon", f"one tonne more would save {figure(three_digits(one.cap_usd_per_t), 'USD')}"
    yield "binding week", _week(one.week, one)
    if ranged:
        yield (
            "range of the cost",
            f"{simulated(ranged.total_usd.scaled(1e-6), 'M USD')} a year: {ranged.draws} plans made anew on drawn prices",
        )
    yield "steps", f"{case.step_h:g} h, {case.load_mw.size:,} of them, all known beforehand"


def _week(week: Week, one: Dispatch) -> str:
    if week.is_of_battery:
        why = f"{week.share:.0%} of what the battery earns in the year, it earns in these {_days(week, one)} days"
    else:
        part = f"{week.share:.1%} of what the year's energy is worth"
        why = f"there is no battery at work; these {_days(week, one)} days are the dearest, {part}"
    means = {"sun": week.pv_share, "wind": week.wind_share}
    sky = "; ".join(f"{name} at {share:.0%} of its mean" for name, share in means.items() if _uses(one, name))
    lost = f"; {figure(round(week.unserved_mwh), 'MWh')} not served" if week.unserved_mwh >= 1 else ""
    paused = f"; {figure(round(week.paused_mwh), 'MWh')} of training paused" if week.paused_mwh >= 1 else ""
    return f"{_span(week, one)}: {why}{'; ' if sky else ''}{sky}{lost}{paused}"


def _days(week: Week, one: Dispatch) -> int:
    return round(week.steps * one.case.step_h / 24)


def _span(week: Week, one: Dispatch) -> str:
    first = _A_YEAR + timedelta(days=week.first_day - 1)
    last = first + timedelta(days=_days(week, one) - 1)
    return f"{first.day} {first:%B} to {last.day} {last:%B}"


def _charts(one: Dispatch) -> Iterable[Chart]:
    case, week = one.case, one.week
    part = slice(week.first_step, week.first_step + week.steps)
    hours = [week.first_step * case.step_h + at * case.step_h for at in range(week.steps)]
    times = [_time(at) for at in hours]
    yield time_chart(
        f"The binding week, {_span(week, one)}", times, _areas(one, part), [_load(one, part)], "MW", f"{_week(week, one)}."
    )
    if one.capacities.get("battery-mwh", 0.0) > 0:
        full, stored = one.capacities["battery-mwh"], one.series.charge_mwh[part]
        line = Layer(name="stored", values=_list(stored), colour="s1")
        top = Layer(name="room", values=[full] * week.steps, colour="s2")
        low, high, room = (figure(three_digits(float(one))) for one in (stored.min(), stored.max(), full))
        least = f"Between {low} and {high} MWh of {room}."
        yield time_chart("What the battery holds in that week", times, [], [line, top], "MWh", least)
    weeks = case.load_mw.size // week.steps
    yield time_chart(
        "The year, week by week",
        [_time(at * week.steps * case.step_h) for at in range(weeks)],
        _areas(one, slice(0, weeks * week.steps), week.steps),
        [_load(one, slice(0, weeks * week.steps), week.steps)],
        "MW",
        "Means of each week: what feeds the load, and what is not done.",
    )
    costs = [(_COSTS[name], usd / 1e6) for name, usd in one.costs_usd.items() if usd > 0]
    yield bar_chart("Costs of a year", costs, "M USD")


def _load(one: Dispatch, part: slice, mean_of: int = 1) -> Layer:
    power = (one.series.load + one.series.charge)[part]
    return Layer(name="load with charging", values=_means(power, mean_of), colour="s0")


def _areas(one: Dispatch, part: slice, mean_of: int = 1) -> list[Layer]:
    """Sun and wind as they were used: what is left over is taken from both alike."""
    series, case = one.series, one.case
    made = series.pv + series.wind
    used = 1 - np.divide(series.curtailed, made, out=np.zeros_like(made), where=made > 0)
    found = []
    for name, words, colour in _AREAS:
        power: Array = getattr(series, name)
        power = power * used if name in ("pv", "wind") else power * (1 - case.idle) if name == "paused" else power
        found.append(Layer(name=words, values=_means(power[part], mean_of), colour=colour))
    return [layer for layer in found if any(value > 1e-9 for value in layer.values)]


def _time(hour: float) -> str:
    day = _A_YEAR + timedelta(days=int(hour // 24) % (HOURS // 24))
    return f"{day.day}\u00a0{day:%b} {int(hour % 24):02d}:00"


def _means(power: Array, mean_of: int) -> Sequence[float]:
    return _list(power.reshape(-1, mean_of).mean(axis=1))


def _list(values: Array) -> Sequence[float]:
    return [float(value) for value in values]


def _sources(one: Dispatch, asked: Asked) -> Iterable[str]:
    for name, unit in one.case.units.items():
        technology = unit.technology
        price = figure(technology.capex_usd_per_kw, "USD/kWh" if name == "battery-mwh" else "USD/kW")
        yield f"{_NAMES[name]}: {price}, {technology.life_years:g} years ({technology.source}; {technology.confidence})"
    if asked.country is not None:
        of = asked.country
        yield f"grid of {of.country}, {of.year}: {figure(of.carbon_g_per_kwh, 'g/kWh')} ({of.source})"


def _caveats(one: Dispatch, ranged: Ranges | None, asked: Asked) -> Iterable[str]:
    made_up = [name for name, is_own in (("sun", asked.is_own_sun), ("wind", asked.is_own_wind)) if is_own and _uses(one, name)]
    if made_up:
        what = " and ".join(made_up).capitalize()
        yield f"{what} made up from a seed: a shape to try a plan on, not the weather of a place. Give a table of your site."
    yield "One year of weather, all of it known beforehand; an operator knows a few days. The cost is a lower bound."
    yield "No losses of lines, no outages of what is built, no connection cost, no minimum of the firm source."
    if one.case.grid_g_per_kwh is not None:
        yield "What the grid emits is an average by place; one more megawatt (marginal) may emit more or less."
    if ranged:
        prices = "building, fuel, the grid and capital"
        yield f"Ranges: {ranged.draws} plans on drawn prices of {prices}, in steps of 6 h; the weather is not drawn."


def _uses(one: Dispatch, name: str) -> bool:
    return one.capacities.get("pv" if name == "sun" else name, 0.0) > 0


def _share(part: float, whole: float) -> str:
    percent = max(0.0, part / whole * 100) if whole else 0.0
    return "under 0.01 %" if 0 < percent < 0.01 else f"{figure(three_digits(percent))} %"


def _tidy(size: float) -> float:
    """The solver's dust is nothing."""
    return three_digits(size) if size > 1e-6 else 0.0


def _document(one: Dispatch, ranged: Ranges | None) -> dict[str, object]:
    week, part = one.week, slice(one.week.first_step, one.week.first_step + one.week.steps)
    energies = ("load", "pv", "wind", "firm", "grid", "charge", "discharge", "curtailed", "paused", "shed")
    return {
        "load_mw": float(one.case.load_mw.mean()),
        "capacities": one.capacities,
        "built": one.built,
        "costs_usd_per_year": one.costs_usd,
        "total_usd_per_year": one.total_usd,
        "supply_usd_per_year": one.supply_usd,
        "usd_per_mwh": one.usd_per_mwh,
        "energy_mwh_per_year": {name: one.energy_mwh(name) for name in energies},
        "unserved_share": one.energy_mwh("shed") / one.energy_mwh("load"),
        "unserved_hours": one.unserved_hours,
        "paused_hours": one.paused_hours,
        "carbon_t_per_year": one.carbon_t,
        "carbon_cap_usd_per_t": one.cap_usd_per_t,
        "binding_week": asdict(week) | {"days": _span(week, one)},
        "binding_week_series": {name: _list(getattr(one.series, name)[part]) for name in one.series.__slots__},
        "step_h": one.case.step_h,
        "ranges": ranged,
    }
