"""Time between two tokens while decoding: a roofline with what measured systems add to it.

    seconds = weights read / bandwidth * a + KV read / bandwidth * b + batch * c
              + layers * (d + e sqrt(batch) + f if experts + g if experts of eight bits)
              + bytes that go to experts on other chips / link * h

Every coefficient is at least zero, so no term makes a larger batch or a longer context faster. A pure roofline is wrong by
60 % in the middle, the more the larger the batch. The coefficients are fitted to rows of the ML.ENERGY benchmark
(ml-energy/leaderboard @0cd52da: H100 and B200, vLLM), which are not part of the package; a test has them and makes the stored
fit again. Some of those rows are off by several times (8 ms of steps that took 32, steps of 3,764 sequences quicker than those of
2,045), so relative errors count by their size, not by their square. Hybrids with state-space layers and data-parallel attention
are not in it.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import msgspec
import numpy as np
import numpy.typing as npt

from freehold.plan.catalogue import Accelerator
from freehold.plan.models import Decoder, Weights

Array = npt.NDArray[np.float64]
_ACTIVATION_BYTES = 2
_ROUNDS = 30  # of reweighting
_SMALL = 0.05  # relative errors below it count by their square: nobody measures better


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One decoding step of `batch` sequences, each with `context` tokens behind it. `tensor` divides what is no expert."""

    model: Decoder
    weights: Weights
    chip: Accelerator
    chips: int
    tensor: int
    batch: float
    context: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeFit:
    """`sigma` is of ln(predicted / measured), `median_error` and `p90_error` of its size, each model left out in turn."""

    coefficients: tuple[float, ...]
    sigma: float
    median_error: float
    p90_error: float
    dense_median_error: float
    rows: int
    data_sha256: str

    def seconds(self, step: Step) -> float:
        return float(np.dot(terms(step), self.coefficients))


def terms(step: Step) -> tuple[float, ...]:
    """Of weights, KV, batch, layers, layers x sqrt(batch), layers of experts, layers of FP8 experts, and of what goes to experts:
    seconds where a rate is known, else counts. Raises UnknownFigure."""
    bandwidth = step.chip.need("memory_gb_per_s") * 1e9
    has_experts = step.model.experts is not None
    layers = float(step.model.layers)
    return (
        step.model.read_parameters(step.batch, step.tensor, step.chips) * step.weights.value / bandwidth,
        step.batch * step.model.kv_bytes(step.context) / step.chips / bandwidth,
        step.batch,
        layers,
        layers * math.sqrt(step.batch),
        layers if has_experts else 0.0,
        layers if has_experts and step.weights is Weights.FP8 else 0.0,
        step.batch * layers * step.model.hidden * _ACTIVATION_BYTES / (step.chip.need("link_gb_per_s") * 1e9)
        if has_experts and step.chips > 1
        else 0.0,
    )


def fit(steps: Sequence[Step], seconds: Sequence[float], data_sha256: str) -> DecodeFit:
    """The least sum of relative errors with no coefficient below zero; each model left out in turn for the errors."""
    table, measured = np.array([terms(step) for step in steps]), np.array(seconds)
    names = np.array([step.model.name for step in steps])
    predicted = np.empty_like(measured)
    for name in sorted(set(names)):
        others = names != name
        predicted[~others] = table[~others] @ _solve(table[others], measured[others])
    errors = np.abs(predicted / measured - 1)
    is_dense = np.array([step.model.experts is None for step in steps])
    return DecodeFit(
        coefficients=tuple(float(one) for one in _solve(table, measured)),
        sigma=math.sqrt(float(np.mean(np.log(predicted / measured) ** 2))),
        median_error=float(np.median(errors)),
        p90_error=float(np.quantile(errors, 0.9)),
        dense_median_error=float(np.median(errors[is_dense])),
        rows=len(steps),
        data_sha256=data_sha256,
    )


def _solve(table: Array, measured: Array) -> Array:
    """By least squares again and again, a row's weight what makes its square count as its size."""
    weight, solved = np.ones(len(measured)), np.zeros(table.shape[1])
    for _ in range(_ROUNDS):
        relative = table * (weight / measured)[:, None]
        scale = np.linalg.norm(relative, axis=0)
        scale[scale == 0] = 1.0
        solved = non_negative(relative / scale, weight) / scale
        weight = 1 / np.sqrt(np.maximum(np.abs(table @ solved / measured - 1), _SMALL))
    return solved


def non_negative(table: Array, wanted: Array) -> Array:
    """Least squares with no coefficient below zero: Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23."""
    gram, target = table.T @ table, table.T @ wanted
    count = len(target)
    found, is_free = np.zeros(count), np.zeros(count, dtype=bool)
    for _ in range(3 * count):
        gradient = np.where(is_free, -1.0, target - gram @ found)
        best = int(np.argmax(gradient))
        if gradient[best] <= 1e-10:
            break
        is_free[best] = True
        while True:
            trial = np.zeros(count)
            trial[is_free] = np.linalg.solve(gram[np.ix_(is_free, is_free)], target[is_free])
            if trial[is_free].min() > 0:
                found = trial
                break
            falling = is_free & (trial <= 0)
            step = np.min(found[falling] / (found[falling] - trial[falling]))
            found = found + step * (trial - found)
            is_free &= found > 1e-12
            found[~is_free] = 0.0
    return found


def stored_fit() -> DecodeFit:
    document = json.loads((files("freehold.plan") / "data" / "decode_fit.json").read_text(encoding="utf-8"))
    return msgspec.convert(document, DecodeFit)
