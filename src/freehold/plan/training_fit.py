"""Model FLOP utilisation of whole training campaigns, fitted to published runs: days of work over days that were paid for.

    MFU = chip * N / (N + half)

`chip` is what a chip's campaigns reach with large models; with `half` parameters a model reaches half of it, because small
layers do not fill a fast chip. `half` is fitted at two peaks and goes along a straight line of logarithms between them. A
chip's own level leans on that of all chips, the more the fewer runs it has. Everything is all-in: restarts, evaluation, idle
hours of a published GPU-hour count are in it. MFU is told of the dense BF16 peak, even where FP8 was used.

The fit that plans use is stored in the package with the digest of its data; a test makes it again.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from statistics import median

import msgspec
import numpy as np

from freehold.core.errors import MalformedArtefact, NotFound
from freehold.plan.catalogue import TERA, Precision, find
from freehold.plan.tables import Row, needed, number, rows

RUNS_FILE = "training_runs.csv"
# Chips of published runs that the catalogue does not have: dense BF16 TFLOPS.
OLDER: Mapping[str, float] = {
    "TPU v3": 123.0,  # Google Cloud docs, "TPU v3"
    "H800": 989.5,  # H100's die with slower links
}
LOW_PEAK, HIGH_PEAK = 312.0, 989.5  # A100 and H100: what most runs were made on
LEAN = 0.5  # a chip with one run keeps two thirds of its own level
_HALVES_LOW = np.geomspace(1e8, 4e9, 17)
_HALVES_HIGH = np.geomspace(1e9, 3e10, 17)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    name: str
    accelerator: str
    parameters: float
    active_parameters: float
    tokens: float
    accelerator_hours: float
    chips: int | None
    energy_mwh: float | None
    pue: float | None
    peak_tflops: float
    source: str

    @property
    def flop(self) -> float:
        return 6 * self.active_parameters * self.tokens

    @property
    def mfu(self) -> float:
        return self.flop / (self.accelerator_hours * 3600 * self.peak_tflops * TERA)


@dataclass(frozen=True, slots=True, kw_only=True)
class MfuFit:
    """Levels are MFU of large models, by chip; `level` is for chips that no run was made on."""

    level: float
    levels: Mapping[str, float]
    half_low: float  # parameters, at LOW_PEAK
    half_high: float
    sigma: float  # of ln(predicted / published), each run left out in turn
    data_sha256: str

    def mfu(self, accelerator: str, active_parameters: float, peak_tflops: float) -> float:
        level = self.levels.get(accelerator, self.level)
        half = _half(self.half_low, self.half_high, peak_tflops)
        return level * active_parameters / (active_parameters + half)


def peak_tflops_of(accelerator: str) -> float:
    """Raises NotFound, or UnknownFigure where its BF16 rate is unknown."""
    if accelerator in OLDER:
        return OLDER[accelerator]
    return find(accelerator).flop_per_s(Precision.BF16) / TERA


def parse_runs(table: Sequence[Row], where: str) -> tuple[Run, ...]:
    """Rows with the columns of our own table. Raises MalformedArtefact naming the row."""
    found = []
    for at, row in enumerate(table, start=2):
        try:
            found.append(_run(row))
        except (KeyError, TypeError, AttributeError, MalformedArtefact, NotFound) as exc:
            what = f"column {exc} is missing" if isinstance(exc, KeyError) else str(exc)
            raise MalformedArtefact(f"{where}, line {at}: {what}") from exc
    if not found:
        raise MalformedArtefact(f"{where}: no rows")
    return tuple(found)


def _run(row: Row) -> Run:
    return Run(
        name=row["run"],
        accelerator=row["accelerator"],
        parameters=needed(row, "params_b") * 1e9,
        active_parameters=needed(row, "active_params_b") * 1e9,
        tokens=needed(row, "tokens_t") * 1e12,
        accelerator_hours=needed(row, "accel_hours"),
        chips=int(number(row, "n_accel") or 0) or None,
        energy_mwh=number(row, "energy_mwh"),
        pue=number(row, "pue"),
        peak_tflops=peak_tflops_of(row["accelerator"]),
        source=row.get("source", ""),
    )


def fit(runs: Sequence[Run]) -> MfuFit:
    """The least sum of |ln error| over a grid of the two halves; each run left out in turn for `sigma`."""
    errors = [math.log(predicted / run.mfu) for run, predicted in leave_one_out(runs)]
    return _fit(runs, sigma=math.sqrt(sum(error * error for error in errors) / len(errors)))


def leave_one_out(runs: Sequence[Run]) -> list[tuple[Run, float]]:
    """Every run with the MFU that the others predict for it."""
    found = []
    for at, run in enumerate(runs):
        others = _fit([*runs[:at], *runs[at + 1 :]], sigma=0.0)
        found.append((run, others.mfu(run.accelerator, run.active_parameters, run.peak_tflops)))
    return found


def _fit(runs: Sequence[Run], sigma: float) -> MfuFit:
    best: tuple[float, float, float, float, dict[str, float]] | None = None
    for low in _HALVES_LOW:
        for high in _HALVES_HIGH:
            logs = [math.log(run.mfu) - _log_fill(run, low, high) for run in runs]
            level, levels = _levels(runs, logs)
            error = sum(abs(log - levels[run.accelerator]) for run, log in zip(runs, logs, strict=True))
            if best is None or error < best[0] - 1e-12:
                best = (error, float(low), float(high), level, levels)
    assert best is not None
    _, half_low, half_high, level, levels = best
    return MfuFit(
        level=math.exp(level),
        levels={name: math.exp(one) for name, one in levels.items()},
        half_low=half_low,
        half_high=half_high,
        sigma=sigma,
        data_sha256=data_sha256(),
    )


def _levels(runs: Sequence[Run], logs: Sequence[float]) -> tuple[float, dict[str, float]]:
    by_chip: dict[str, list[float]] = {}
    for run, log in zip(runs, logs, strict=True):
        by_chip.setdefault(run.accelerator, []).append(log)
    middles = {name: median(values) for name, values in by_chip.items()}
    level = median(middles.values())
    return level, {name: level + len(by_chip[name]) / (len(by_chip[name]) + LEAN) * (middles[name] - level) for name in middles}


def _log_fill(run: Run, low: float, high: float) -> float:
    return math.log(run.active_parameters / (run.active_parameters + _half(low, high, run.peak_tflops)))


def _half(low: float, high: float, peak_tflops: float) -> float:
    """No run says anything of slower or faster chips: beyond the two peaks the nearer one's holds."""
    at = math.log(min(max(peak_tflops, LOW_PEAK), HIGH_PEAK) / LOW_PEAK) / math.log(HIGH_PEAK / LOW_PEAK)
    return float(low * (high / low) ** at)


def data_sha256() -> str:
    return hashlib.sha256((files("freehold.plan") / "data" / RUNS_FILE).read_bytes()).hexdigest()


def stored_fit() -> MfuFit:
    document = json.loads((files("freehold.plan") / "data" / "training_fit.json").read_text(encoding="utf-8"))
    return msgspec.convert(document, MfuFit)


RUNS: tuple[Run, ...] = parse_runs(list(rows(RUNS_FILE)), f"freehold's {RUNS_FILE}")
