"""PyPSA's side of a dispatch: the case as JSON on standard input, its cost, sizes and CPU time on standard output.

Run by the interpreter of PyPSA's own environment; nothing of Freehold is there.
"""

import json
import logging
import sys
import time
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import pypsa  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    asked = json.load(sys.stdin)
    logging.disable(logging.WARNING)
    began_s = time.process_time()
    network, hours = build(asked)
    network.optimize.create_model()
    constrain(network, asked, hours)
    status, condition = network.optimize.solve_model(
        solver_name="highs", solver_options={"output_flag": False, "threads": 1, "solver": "simplex"}
    )
    taken_s = time.process_time() - began_s
    if condition != "optimal":
        raise RuntimeError(f"{status}: {condition}")
    print(json.dumps({"usd": float(network.model.objective.value) / asked["years"], "cpu_s": taken_s}))


def build(asked: Any) -> tuple[Any, float]:
    """Money is of all steps; PyPSA weighs what runs by the hours of a step."""
    units, years = asked["units"], asked["years"]
    load = np.array(asked["load_mw"])
    steps = pd.RangeIndex(load.size)
    network = pypsa.Network()
    network.set_snapshots(steps)
    network.snapshot_weightings.loc[:, :] = asked["step_h"]
    network.add("Bus", "site")
    network.add("Load", "load", bus="site", p_set=pd.Series(load, steps))

    def series(values: Any) -> Any:
        return pd.Series(np.array(values), steps)

    for name in ("pv", "wind", "firm"):
        if name not in units:
            continue
        unit = units[name]
        # Sun and wind wear with all that they could make, so that it is a price of their size.
        running = unit["usd_per_mwh"] + unit["g_per_kwh"] / 1e3 * asked["carbon_usd_per_t"] if name == "firm" else 0.0
        made = asked["shares"].get(name)
        worn = 0.0 if made is None else float(np.sum(made)) * asked["step_h"] * unit["usd_per_mwh"]
        network.add(
            "Generator",
            name,
            bus="site",
            p_nom_extendable=True,
            capital_cost=unit["usd_per_mw_year"] * years + worn,
            marginal_cost=running,
            **({} if made is None else {"p_max_pu": series(made)}),
        )
    network.add(
        "Generator",
        "shed",
        bus="site",
        p_nom=float(load.max()),
        p_max_pu=series(load / load.max()),
        marginal_cost=asked["shed_usd_per_mwh"],
    )
    if asked["pausable"]:
        relief = (1 - asked["idle"]) * asked["pausable"]
        network.add(
            "Generator",
            "paused",
            bus="site",
            p_nom=float(load.max() * relief),
            p_max_pu=series(load / load.max()),
            marginal_cost=asked["pause_usd_per_mwh"] / (1 - asked["idle"]),
        )
    if asked["grid_mw"]:
        prices = np.array(asked["grid_usd_per_mwh"]) + asked["grid_g_per_kwh"] / 1e3 * asked["carbon_usd_per_t"]
        network.add("Generator", "grid", bus="site", p_nom=asked["grid_mw"], marginal_cost=series(prices))
    battery(network, asked)
    return network, asked["step_h"]


def battery(network: Any, asked: Any) -> None:
    units, years, way = asked["units"], asked["years"], asked["one_way"]
    power = units["battery-mw"]
    network.add("Bus", "battery")
    network.add(
        "Store",
        "stored",
        bus="battery",
        e_cyclic=True,
        e_nom_extendable=True,
        capital_cost=units["battery-mwh"]["usd_per_mw_year"] * years,
    )
    network.add(
        "Link",
        "charge",
        bus0="site",
        bus1="battery",
        efficiency=way,
        p_nom_extendable=True,
        capital_cost=power["usd_per_mw_year"] * years,
    )
    # A link is measured where power goes in: MW of the battery come out of `way` times as much.
    network.add(
        "Link",
        "discharge",
        bus0="battery",
        bus1="site",
        efficiency=way,
        p_nom_extendable=True,
        marginal_cost=power["usd_per_mwh"] * way,
    )


def constrain(network: Any, asked: Any, hours: float) -> None:
    """One inverter for both ways, and the limits on what is missing and emitted."""
    model, way = network.model, asked["one_way"]
    sizes = model["Link-p_nom"]
    name = sizes.dims[0]
    model.add_constraints(sizes.sel({name: "charge"}) - way * sizes.sel({name: "discharge"}) == 0, name="one inverter")
    power = model["Generator-p"]
    names = next(one for one in power.dims if one != "snapshot")
    if asked["most_unserved"] < 1:
        missing = power.sel({names: "shed"}).sum() * hours
        model.add_constraints(missing <= asked["most_unserved"] * sum(asked["load_mw"]) * hours, name="most unserved")
    if asked["carbon_cap_t"] is not None:
        grams = {"firm": asked["units"].get("firm", {}).get("g_per_kwh", 0.0), "grid": asked["grid_g_per_kwh"]}
        there = [one for one in grams if one in network.generators.index]
        emitted = sum(power.sel({names: one}).sum() * (grams[one] * hours / 1e3) for one in there)
        model.add_constraints(emitted <= asked["carbon_cap_t"] * asked["years"], name="carbon cap")


if __name__ == "__main__":
    main()
