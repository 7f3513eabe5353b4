"""The linear program of a dispatch, and HiGHS, which solves it in memory.

For each step t of h hours, with everything divided by the peak load (so that a site of twice the load is the same program):

    balance   sun[t] PV + wind[t] W + firm + grid + discharge - charge - curtailed + shed + (1 - idle) paused = load
    charge    stored[t] = stored[t-1] + eta h charge - h discharge / eta,  the step before the first being the last
    limits    stored <= battery MWh,  charge + discharge <= battery MW,  firm <= its capacity,  grid <= connection
    pause     started[t] >= paused[t] - paused[t-1]

Where a price of the grid is below zero, what is curtailed is at most sun and wind: nobody is paid for power that is thrown away.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from freehold.core.errors import InvalidRequest
from freehold.plan.dispatch_case import Case
from freehold.plan.uncertainty import Array

Columns = npt.NDArray[np.int64]
Term = tuple[Columns, Array | float]  # what is multiplied by what, in a row
LIMIT_S = 300.0
_RENEWABLE = ("pv", "wind")
_PRIMAL = 4  # of HiGHS's simplex_strategy
# Scaling by powers of two as in strategy 4 took a third less time than the default on years of 3 h steps.
_OPTIONS = {"output_flag": False, "threads": 1, "time_limit": LIMIT_S, "simplex_scale_strategy": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """In MW and MWh. `series` are those of `dispatch.Series` that were decided, and the worth of a MWh."""

    capacities: dict[str, float]
    series: dict[str, Array]
    cap_usd_per_t: float | None  # what one tonne more would save; None: no cap


@dataclass(slots=True)
class _Rows:
    """A sparse matrix by its triplets, blocks of rows at a time."""

    count: int = 0
    rows: list[Columns] = field(default_factory=list)
    columns: list[Columns] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    lower: list[Array] = field(default_factory=list)
    upper: list[Array] = field(default_factory=list)

    def add(self, size: int, lower: Array | float, upper: Array | float, terms: Sequence[Term]) -> Columns:
        """`size` rows; each term has one column for all of them, or one for each. Returns the rows."""
        rows = self.count + np.arange(size)
        for columns, values in terms:
            self.rows.append(rows)
            self.columns.append(np.broadcast_to(columns, size))
            self.values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), size))
        self.lower.append(np.broadcast_to(np.asarray(lower, dtype=np.float64), size))
        self.upper.append(np.broadcast_to(np.asarray(upper, dtype=np.float64), size))
        self.count += size
        return rows

    def total(self, lower: float, upper: float, columns: Columns, values: Array | float) -> None:
        """One row over many columns."""
        self.rows.append(np.full(columns.size, self.count))
        self.columns.append(columns)
        self.values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), columns.size))
        self.lower.append(np.array([lower]))
        self.upper.append(np.array([upper]))
        self.count += 1

    def matrix(self) -> tuple[Columns, Columns, Array]:
        """Starts of the rows, columns, values: row by row, zeros left out."""
        rows, columns, values = (np.concatenate(part) for part in (self.rows, self.columns, self.values))
        kept = values != 0
        rows, columns, values = rows[kept], columns[kept], values[kept]
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(self.count + 1))
        return starts, columns[order], values[order]


class Program:
    """One case's; `again` asks for other prices from its first answer."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._peak_mw = float(case.load_mw.max())
        self._columns: dict[str, Columns] = {}
        self._lower: list[Array] = []
        self._upper: list[Array] = []
        self._rows = _Rows()
        self._cap_row: int | None = None
        self._variables()
        self._balance = self._constraints()
        self._basis: Any = None  # of the first answer
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in _OPTIONS.items():
            self._highs.setOptionValue(option, value)
        self._highs.passModel(self._model(self._costs(case)))

    def solve(self) -> Solution | None:
        """None where no plan keeps the limits. Raises InvalidRequest where it takes too long."""
        if not self._run():
            return None
        self._basis = self._highs.getBasis()
        return self._read()

    def again(self, case: Case) -> Solution | None:
        """Other prices and nothing else: the first answer still keeps the limits, and is where the search begins."""
        self._case = case
        costs = self._costs(case)
        self._highs.changeColsCost(costs.size, np.arange(costs.size, dtype=np.int32), costs)
        self._highs.setOptionValue("simplex_strategy", _PRIMAL)
        self._highs.setBasis(self._basis)
        return self._read() if self._run() else None

    def least(self, what: str) -> float | None:
        """Of MWh that are "shed", or tonnes of "carbon", in all steps, whatever it costs; None where that has no answer either.

        The limit on what is shed is lifted to find the least of it.
        """
        case, costs = self._case, np.zeros(self._size)
        if what == "shed":
            costs[self._columns["shed"]] = case.step_h
            self._highs.changeRowBounds(self._unserved, -highspy.kHighsInf, highspy.kHighsInf)
        else:
            for name, grams in self._carbon().items():
                costs[self._columns[name]] = grams * case.step_h / 1e3
        self._highs.changeColsCost(costs.size, np.arange(costs.size, dtype=np.int32), costs)
        return float(self._highs.getInfo().objective_function_value) * self._peak_mw if self._run() else None

    @property
    def _size(self) -> int:
        return sum(bounds.size for bounds in self._lower)

    def _run(self) -> bool:
        self._highs.run()
        status = self._highs.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            return True
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return False
        told = self._highs.modelStatusToString(status)
        raise InvalidRequest(f"the solver gave up after {LIMIT_S:g} s at most ({told}): try steps of 3 hours", param="step")

    def _add(self, name: str, size: int, lower: Array | float = 0.0, upper: Array | float = math.inf) -> None:
        first = self._size
        self._columns[name] = first + np.arange(size)
        self._lower.append(np.broadcast_to(np.asarray(lower, dtype=np.float64), size))
        self._upper.append(np.broadcast_to(np.asarray(upper, dtype=np.float64), size))

    def _variables(self) -> None:
        case, peak, steps = self._case, self._peak_mw, self._case.load_mw.size
        for name, unit in case.units.items():
            self._add(name, 1, unit.have / peak, unit.most / peak)
        load = case.load_mw / peak
        self._add("shed", steps, upper=load)
        self._add("curtailed", steps)
        if "firm" in case.units:
            self._add("firm power", steps)
        if case.grid_mw:
            self._add("grid", steps, upper=case.grid_mw / peak)
        if self._has_battery:
            for name in ("charge", "discharge", "stored"):
                self._add(name, steps)
        if case.pausable:
            self._add("paused", steps, upper=case.pausable * load)
            self._add("started", steps)

    @property
    def _has_battery(self) -> bool:
        return "battery-mw" in self._case.units and "battery-mwh" in self._case.units

    def _constraints(self) -> Columns:
        """Returns the rows of the balance."""
        case, at, rows, steps = self._case, self._columns, self._rows, self._case.load_mw.size
        sun_and_wind: list[Term] = [(at[name], getattr(case, name)) for name in _RENEWABLE if name in case.units]
        signs = {"firm power": 1, "grid": 1, "discharge": 1, "shed": 1, "charge": -1, "curtailed": -1, "paused": 1 - case.idle}
        flows = [(at[name], float(sign)) for name, sign in signs.items() if name in at]
        load = case.load_mw / self._peak_mw
        balance = rows.add(steps, load, load, [*sun_and_wind, *flows])
        if np.any(case.grid_usd_per_mwh < 0):
            taken = [(columns, -values) for columns, values in sun_and_wind]
            rows.add(steps, -math.inf, 0.0, [(at["curtailed"], 1.0), *taken])
        if "firm" in case.units:
            rows.add(steps, -math.inf, 0.0, [(at["firm power"], 1.0), (at["firm"], -1.0)])
        if self._has_battery:
            self._battery(math.sqrt(case.round_trip))
        if case.pausable:
            before = np.roll(at["paused"], 1)
            rows.add(steps, 0.0, math.inf, [(at["started"], 1.0), (at["paused"], -1.0), (before, 1.0)])
        self._unserved = rows.count
        rows.total(-math.inf, case.most_unserved * float(load.sum()), at["shed"], 1.0)
        if case.carbon_cap_t is not None:
            self._carbon_row(case.carbon_cap_t)
        return balance

    def _battery(self, one_way: float) -> None:
        at, rows, hours, steps = self._columns, self._rows, self._case.step_h, self._case.load_mw.size
        before = np.roll(at["stored"], 1)
        flows = [(at["charge"], -one_way * hours), (at["discharge"], hours / one_way)]
        rows.add(steps, 0.0, 0.0, [(at["stored"], 1.0), (before, -1.0), *flows])
        rows.add(steps, -math.inf, 0.0, [(at["stored"], 1.0), (at["battery-mwh"], -1.0)])
        rows.add(steps, -math.inf, 0.0, [(at["charge"], 1.0), (at["discharge"], 1.0), (at["battery-mw"], -1.0)])

    def _carbon_row(self, cap_t: float) -> None:
        case, grams = self._case, self._carbon()
        if grams:
            columns = np.concatenate([self._columns[name] for name in grams])
            values = np.concatenate([np.full(case.load_mw.size, one) for one in grams.values()]) * case.step_h / 1e3
            self._cap_row = self._rows.count
            self._rows.total(-math.inf, cap_t * case.years / self._peak_mw, columns, values)

    def _carbon(self) -> dict[str, float]:
        """Grams for a kWh, by column."""
        case, found = self._case, {}
        if "firm" in case.units:
            found["firm power"] = case.units["firm"].technology.carbon_g_per_kwh
        if case.grid_mw:
            found["grid"] = case.grid_g_per_kwh or 0.0
        return {name: grams for name, grams in found.items() if grams}

    def _costs(self, case: Case) -> Array:
        """Of all steps, for one MW of each column; what stands already costs its upkeep, and the capital that is counted for it
        here is a constant, which moves no decision."""
        costs, at, hours = np.zeros(self._size), self._columns, case.step_h
        for name, unit in case.units.items():
            technology = unit.technology
            costs[at[name]] = (technology.capital_usd_per_mw(case.wacc) + technology.fixed_usd_per_mw) * case.years
        for name in _RENEWABLE:  # all that there is, used or not, is worn
            if name in case.units:
                made = float(getattr(case, name).sum()) * hours
                costs[at[name]] += case.units[name].technology.variable_usd_per_mwh * made
        carbon = {name: grams * case.carbon_usd_per_t / 1e3 for name, grams in self._carbon().items()}
        prices: Mapping[str, Any] = {
            "shed": case.shed_usd_per_mwh,
            "grid": case.grid_usd_per_mwh,
            "firm power": case.units["firm"].technology.variable_usd_per_mwh if "firm" in case.units else 0.0,
            "discharge": case.units["battery-mw"].technology.variable_usd_per_mwh if self._has_battery else 0.0,
            "paused": case.pause_usd_per_mwh,
        }
        for name, usd_per_mwh in prices.items():
            if name in at:
                costs[at[name]] = (usd_per_mwh + carbon.get(name, 0.0)) * hours
        if "started" in at:
            costs[at["started"]] = case.pause_usd_per_mwh * case.restart_h
        return costs

    def _model(self, costs: Array) -> Any:
        starts, columns, values = self._rows.matrix()
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = self._size, self._rows.count
        model.col_cost_ = costs
        model.col_lower_, model.col_upper_ = np.concatenate(self._lower), np.concatenate(self._upper)
        model.row_lower_, model.row_upper_ = np.concatenate(self._rows.lower), np.concatenate(self._rows.upper)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = starts, columns, values
        return model

    def _read(self) -> Solution:
        case, steps = self._case, self._case.load_mw.size
        solution = self._highs.getSolution()
        values = np.array(solution.col_value) * self._peak_mw
        duals = np.array(solution.row_dual)
        worth = duals[self._balance] / case.step_h
        at = self._columns
        names = {"firm": "firm power", "charge_mwh": "stored"}
        decided = ("firm", "grid", "charge", "discharge", "charge_mwh", "curtailed", "paused", "shed")
        found = {name: at.get(names.get(name, name)) for name in decided}
        return Solution(
            capacities={name: max(0.0, float(values[at[name][0]])) for name in case.units},
            series={name: np.zeros(steps) if which is None else values[which] for name, which in found.items()}
            | {"usd_per_mwh": worth},
            cap_usd_per_t=None if self._cap_row is None else max(0.0, -float(duals[self._cap_row])),
        )
