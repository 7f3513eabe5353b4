"""Rotary position embedding: from a file's metadata to the table of cosines and sines that the kernels read.

Pair i of `dimensions / 2` turns by position * frequency(i), which is base ** (-2 i / dimensions) before any scaling to a longer
context than the base was made for:

    linear     all frequencies divided by a factor
    llama3     each divided by a factor of its own, in the tensor rope_freqs
    yarn       divided by a factor where they are slow, left alone where they are fast (arXiv 2309.00071 §3.2), and cos and sin
               grown by 1 + ln(factor) / 10
    longrope   each divided by a factor of its own, of which there are two sets (arXiv 2402.13753): one for contexts up to the
               original length, one above it
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from freehold.engine.kernels.graph import Rope

Floats = npt.NDArray[np.float32]

_AT_ONCE: Final = 1024  # positions: a few MB of angles in double precision, whatever the context


@dataclass(frozen=True, slots=True, kw_only=True)
class Yarn:
    """Pairs that turn more than `fast` times within the original context keep their frequency; below `slow` they are scaled."""

    original_context: int
    fast: float = 32.0
    slow: float = 1.0

    def kept(self, base: float, dimensions: int) -> npt.NDArray[np.float64]:
        """Per pair: the share of the unscaled frequency, in [0, 1]."""
        low, high = (self._pair(turns, base, dimensions) for turns in (self.fast, self.slow))
        low, high = max(0, math.floor(low)), min(dimensions - 1, math.ceil(high))
        ramp = (np.arange(dimensions // 2) - low) / max(0.001, high - low)
        return 1 - np.clip(ramp, 0, 1)

    def _pair(self, turns: float, base: float, dimensions: int) -> float:
        """The pair, as a real number, that turns so many times within the original context."""
        in_context = max(self.original_context / (turns * 2 * math.pi), 1e-9)
        return dimensions * math.log(in_context) / (2 * math.log(base))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How positions become angles."""

    base: float
    dimensions: int  # of a head, that turn
    scale: float = 1.0  # frequencies are divided by it
    yarn: Yarn | None = None
    magnitude: float = 1.0  # of cos and sin
    factors: str | None = None  # the tensor of (dimensions / 2) that divide the frequencies
    long_factors: str | None = None  # used instead for contexts above `original_context`
    original_context: int = 0

    def factors_for(self, positions: int) -> str | None:
        """The tensor to divide by in a context of so many positions."""
        return self.long_factors if self.long_factors and positions > self.original_context else self.factors

    def frequencies(self, factors: Floats | None = None) -> npt.NDArray[np.float64]:
        """(dimensions / 2) radians a position."""
        half = self.dimensions // 2
        whole = self.base ** (-np.arange(half, dtype=np.float64) / half)
        if factors is not None:
            whole = whole / factors.astype(np.float64)
        scaled = whole / self.scale
        if self.yarn is None:
            return scaled
        kept = self.yarn.kept(self.base, self.dimensions)
        return scaled * (1 - kept) + whole * kept

    def table(self, rope: Rope, positions: int, floats: Callable[[str], Floats]) -> Floats:
        """(positions, 2, dimensions): cos, and sin with the sign that the rotation gives its partner.

        `floats` gives a tensor by name.
        """
        name, half = self.factors_for(positions), self.dimensions // 2
        frequencies = self.frequencies(floats(name) if name else None)
        a, b = (slice(0, None, 2), slice(1, None, 2)) if rope is Rope.INTERLEAVED else (slice(0, half), slice(half, None))
        table = np.empty((positions, 2, self.dimensions), np.float32)
        for start in range(0, positions, _AT_ONCE):
            part = table[start : start + _AT_ONCE]
            angles = np.arange(start, start + len(part), dtype=np.float64)[:, None] * frequencies
            cos, sin = self.magnitude * np.cos(angles), self.magnitude * np.sin(angles)
            part[:, 0, a] = part[:, 0, b] = cos
            part[:, 1, a], part[:, 1, b] = -sin, sin
        return table
