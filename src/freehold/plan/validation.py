"""Predicted against published, case by case: how far off the planner is, on rows it was not fitted to.

Training hours are leave-one-run-out: a run is predicted by a fit to all others. Energy and power of sites are not fitted to
their rows at all. A user's own file of runs is predicted by the stored fit. An error is predicted over published, less one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from freehold.plan.catalogue import TERA, find
from freehold.plan.export import tpp
from freehold.plan.power import chip_power
from freehold.plan.reliability import CHIP_MTBF_H, goodput, young_interval_s
from freehold.plan.streaming import Host, stream
from freehold.plan.tables import needed, rows
from freehold.plan.training_fit import RUNS, MfuFit, Run, leave_one_out, stored_fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    unit: str
    predicted: float
    published: float
    source: str

    @property
    def error(self) -> float:
        return self.predicted / self.published - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """`method` says what the prediction had seen of its case."""

    name: str
    method: str
    cases: tuple[Case, ...]

    @property
    def median_error(self) -> float:
        return median(abs(case.error) for case in self.cases)

    @property
    def p90_error(self) -> float:
        return float(np.quantile([abs(case.error) for case in self.cases], 0.9))

    @property
    def worst(self) -> Case:
        return max(self.cases, key=lambda case: abs(case.error))


def validate() -> tuple[Family, ...]:
    """Everything that the package has data for; offline, in less than a second."""
    return (_training(), _energy(), _site_power(), _goodput(), _streaming(), _performance())


def validate_runs(runs: Sequence[Run], fit: MfuFit | None = None) -> Family:
    """Runs of somebody else's file, by the stored fit."""
    fit = stored_fit() if fit is None else fit
    cases = (_hours(run, fit.mfu(run.accelerator, run.active_parameters, run.peak_tflops)) for run in runs)
    return Family(name="training hours, your runs", method="predicted by the stored fit", cases=tuple(cases))


def _training() -> Family:
    cases = (_hours(run, mfu) for run, mfu in leave_one_out(RUNS))
    return Family(name="training hours", method="each run left out in turn", cases=tuple(cases))


def _hours(run: Run, mfu: float) -> Case:
    predicted = run.flop / (run.peak_tflops * TERA * mfu * 3600)
    return Case(name=run.name, unit="chip-hours", predicted=predicted, published=run.accelerator_hours, source=run.source)


def _energy() -> Family:
    """From the published hours: what is tested is the power of a chip."""
    return Family(name="training energy", method="derived power x load, not fitted", cases=tuple(_energies()))


def _energies() -> Iterable[Case]:
    for run in RUNS:
        if run.energy_mwh is None or run.accelerator == "TPU v3":  # no TDP of it is published
            continue
        chip = find(run.accelerator)
        power = chip_power(chip, run.pue or 1.1)
        predicted = run.accelerator_hours * power.site_w * 0.8 / 1e6
        yield Case(name=run.name, unit="MWh", predicted=predicted, published=run.energy_mwh, source=run.source)


def _site_power() -> Family:
    return Family(name="power of a chip", method="catalogue or derived, not fitted", cases=tuple(_sites()))


def _sites() -> Iterable[Case]:
    for row in rows("site_power.csv"):
        power = chip_power(find(row["chip"]))
        predicted = power.site_w if row["scope"] == "site" else find(row["chip"]).need("tdp_w") * 1.25
        yield Case(name=row["name"], unit="W", predicted=predicted, published=needed(row, "w_per_chip"), source=row["source"])


def _goodput() -> Family:
    """The published figure is a lower bound, "over 90 percent"."""
    mtbf_s = CHIP_MTBF_H * 3600 / 16_384
    predicted = float(goodput(mtbf_s, young_interval_s(mtbf_s, 10.0), 10.0, 300.0))
    case = Case(name="Llama 3 405B", unit="share", predicted=predicted, published=0.9, source="arXiv 2407.21783: over 90 percent")
    return Family(name="effective training time", method="failures of the same run", cases=(case,))


def _streaming() -> Family:
    published = {"Q6_K": 0.2, "Q4_K_M": 0.3}
    source = "xaskasdf/ntransformer README: Llama 3.1 70B, RTX 3090, 6.5 GB/s"
    cases = (
        Case(
            name=f"70B {name} on one RTX 3090",
            unit="tokens/s",
            predicted=stream(70.6e9, name, find("RTX 3090"), Host(link_gb_per_s=6.5)).tokens_per_s,
            published=rate,
            source=source,
        )
        for name, rate in published.items()
    )
    return Family(name="models larger than their card", method="a bound, not fitted", cases=tuple(cases))


def _performance() -> Family:
    published = {"RTX 4090": 5285, "RTX 4090 D": 4707, "A100": 4992, "H100": 15832, "MI325X": 20918, "H20": 2368, "B200": 36000}
    cases = (
        Case(name=name, unit="TPP", predicted=float(round(tpp(find(name)))), published=value, source="makers; 91 FR 1684")
        for name, value in published.items()
    )
    return Family(name="total processing performance", method="definition", cases=tuple(cases))
