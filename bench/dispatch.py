"""A year's power by our linear program, and by PyPSA from the same figures: the same cost, in what time.

PyPSA is an oracle here and not a dependency. It has an environment and a process of its own (`bench/dispatch_side.py`), gets the
case as JSON, and is asked for its optimum and the time that its model took to make and solve.
"""

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.peers import environment
from bench.report import Report
from freehold.plan.dispatch import Dispatch, dispatch
from freehold.plan.dispatch_case import Case, Unit
from freehold.plan.energy_costs import TECHNOLOGIES
from freehold.plan.weather import HOURS, solar, wind

PYPSA_VERSION = "1.4.0"
ROUNDS = 3
MOST_S, MOST_APART = 3.0, 1e-4
_SIDE = Path(__file__).with_name("dispatch_side.py")
_LIMIT_S = 600


def cases() -> dict[str, Case]:
    """20 MW, hour by hour. Restarts are free here, because a pause is one generator in PyPSA."""
    built = ("pv", "wind", "battery-mw", "battery-mwh")
    hourly = Case(
        load_mw=np.full(HOURS, 20.0),
        pv=solar(),
        wind=wind(),
        step_h=1.0,
        units={name: Unit(technology=TECHNOLOGIES[name]) for name in built},
        restart_h=0.0,
    )
    hours = np.arange(HOURS)
    prices = 70 + 30 * np.cos(2 * np.pi * (hours % 24 - 19) / 24) + 15 * np.cos(2 * np.pi * hours / HOURS)
    grid = replace(hourly, grid_mw=12.0, grid_usd_per_mwh=prices, grid_g_per_kwh=370.0, carbon_usd_per_t=40.0)
    firm = {**hourly.units, "firm": Unit(technology=TECHNOLOGIES["firm"])}
    return {
        "off_grid": hourly,
        "pausable": replace(hourly, pausable=0.6),
        "grid_and_firm": replace(grid, units=firm, pausable=0.3),
        "carbon_cap": replace(hourly, units=firm, carbon_cap_t=8000.0, most_unserved=0.0),
    }


def run(report: Report, models_dir: Path) -> None:
    """`models_dir` is not needed."""
    python = environment(f"pypsa-{PYPSA_VERSION}", f"pypsa=={PYPSA_VERSION}")
    for name, hourly in cases().items():
        case = hourly.averaged(3)
        ours, seconds = _timed(case)
        report(f"dispatch.year.3h.{name}", seconds, "s of CPU", limit=MOST_S)
        if python is not None:
            theirs = _asked(python, case)
            apart = abs(ours.total_usd - theirs["usd"]) / ours.total_usd
            report(f"dispatch.cost.3h.{name}.apart", apart, "of the cost", "pypsa", PYPSA_VERSION, limit=MOST_APART)
            taken = theirs["cpu_s"]
            report(f"dispatch.year.3h.{name}.pypsa", taken, "s of CPU", "pypsa", PYPSA_VERSION, ratio=seconds / taken)
    _, seconds = _timed(cases()["off_grid"], rounds=1)
    report("dispatch.year.1h.off_grid", seconds, "s of CPU")


def _timed(case: Case, rounds: int = ROUNDS) -> tuple[Dispatch, float]:
    """Making, solving and reading, in CPU time: another program on the machine is not in it."""
    taken = []
    for _ in range(rounds):
        began_s = time.process_time()
        found = dispatch(case)
        taken.append(time.process_time() - began_s)
    return found, median(taken)


def _asked(python: Path, case: Case) -> Any:
    question = {
        "step_h": case.step_h,
        "years": case.years,
        "load_mw": case.load_mw.tolist(),
        "shares": {"pv": case.pv.tolist(), "wind": case.wind.tolist()},
        "units": {
            name: {
                "usd_per_mw_year": unit.technology.capital_usd_per_mw(case.wacc) + unit.technology.fixed_usd_per_mw,
                "usd_per_mwh": unit.technology.variable_usd_per_mwh,
                "g_per_kwh": unit.technology.carbon_g_per_kwh,
            }
            for name, unit in case.units.items()
        },
        "grid_mw": case.grid_mw,
        "grid_usd_per_mwh": np.broadcast_to(case.grid_usd_per_mwh, case.load_mw.shape).tolist(),
        "grid_g_per_kwh": case.grid_g_per_kwh or 0.0,
        "one_way": case.round_trip**0.5,
        "shed_usd_per_mwh": case.shed_usd_per_mwh,
        "most_unserved": case.most_unserved,
        "pausable": case.pausable,
        "idle": case.idle,
        "pause_usd_per_mwh": case.pause_usd_per_mwh,
        "carbon_usd_per_t": case.carbon_usd_per_t,
        "carbon_cap_t": case.carbon_cap_t,
    }
    done = subprocess.run([str(python), str(_SIDE)], input=json.dumps(question), capture_output=True, text=True, timeout=_LIMIT_S)
    if done.returncode:
        raise RuntimeError(f"PyPSA failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
