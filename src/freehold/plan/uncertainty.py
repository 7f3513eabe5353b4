"""What a result may be when its inputs are ranges: P10, P50, P90, and which input moves it most.

Independent inputs, a seeded generator: the same question has the same answer. A bar of the tornado is the result with one
input at its own P10 and P90 and all others at their medians; bars are ordered by Spearman's rank correlation over all draws.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from freehold.core.errors import InvalidRequest

Array = npt.NDArray[np.float64]
DRAWS = 10_000
SEED = 20_261_128
_LOW, _HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormal:
    """As likely to be a factor above the median as the same factor below; `sigma` is of the natural logarithm."""

    median: float
    sigma: float

    def at(self, share: Array) -> Array:
        inverse = NormalDist().inv_cdf
        return np.array([self.median * np.exp(self.sigma * inverse(float(one))) for one in share])

    def draw(self, generator: np.random.Generator, count: int) -> Array:
        return self.median * np.exp(self.sigma * generator.standard_normal(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Triangular:
    low: float
    mode: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.mode <= self.high:
            raise InvalidRequest(f"a range goes up: {self.low:g}, {self.mode:g}, {self.high:g}")

    def at(self, share: Array) -> Array:
        width = self.high - self.low
        if width == 0:
            return np.full_like(share, self.mode)
        below = (self.mode - self.low) / width
        rising = self.low + np.sqrt(share * width * (self.mode - self.low))
        falling = self.high - np.sqrt((1 - share) * width * (self.high - self.mode))
        return np.where(share < below, rising, falling)

    def draw(self, generator: np.random.Generator, count: int) -> Array:
        return self.at(generator.random(count))


Spread = LogNormal | Triangular


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The result at the input's P10 and at its P90; `rank` is Spearman's correlation, in [-1, 1], None of too few draws."""

    name: str
    at_p10: float
    at_p90: float
    rank: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """`at_medians` is the result with every input in its middle: where the bars start from."""

    p10: float
    p50: float
    p90: float
    at_medians: float
    bars: tuple[Bar, ...]  # what moves it most first

    def scaled(self, factor: float) -> "Simulation":
        """The same draws in another unit."""
        return self._each(lambda value: value * factor)

    def shifted(self, by: float) -> "Simulation":
        return self._each(lambda value: value + by)

    def _each(self, change: Callable[[float], float]) -> "Simulation":
        bars = tuple(replace(bar, at_p10=change(bar.at_p10), at_p90=change(bar.at_p90)) for bar in self.bars)
        p10, p50, p90, middle = (change(value) for value in (self.p10, self.p50, self.p90, self.at_medians))
        return Simulation(p10=p10, p50=p50, p90=p90, at_medians=middle, bars=bars)


def simulate(
    model: Callable[[Mapping[str, Array]], Array], spreads: Mapping[str, Spread], *, draws: int = DRAWS, are_few: bool = False
) -> Simulation:
    """`model` takes arrays by name and gives an array of the same length.

    Where `are_few`, each input takes one value of each of so many equal parts of its range (Latin hypercube, McKay et al. 1979):
    with tens of draws their quantiles are nearer to those of thousands. Bars are then ordered by their length: ranks of so few
    draws are noise, and are not given.
    """
    generator = np.random.default_rng(SEED)
    if are_few:
        inputs = {name: spread.at((generator.permutation(draws) + 0.5) / draws) for name, spread in spreads.items()}
    else:
        inputs = {name: spread.draw(generator, draws) for name, spread in spreads.items()}
    results = model(inputs)
    middle = {name: spread.at(np.array([0.5])) for name, spread in spreads.items()}
    medians = {name: np.repeat(value, 2) for name, value in middle.items()}
    bars = []
    for name, spread in spreads.items():
        low, high = model(medians | {name: spread.at(np.array([_LOW, _HIGH]))})
        rank = None if are_few else spearman(inputs[name], results)
        bars.append(Bar(name=name, at_p10=float(low), at_p90=float(high), rank=rank))
    p10, p50, p90 = np.quantile(results, (_LOW, 0.5, _HIGH))
    ordered = sorted(bars, key=lambda bar: -abs(bar.at_p90 - bar.at_p10 if bar.rank is None else bar.rank))
    return Simulation(p10=float(p10), p50=float(p50), p90=float(p90), at_medians=float(model(middle)[0]), bars=tuple(ordered))


def spearman(one: Array, other: Array) -> float:
    """Zero where one of the two does not vary."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    first, second = (values.argsort().argsort().astype(float) for values in (one, other))
    return float(np.corrcoef(first, second)[0, 1])
