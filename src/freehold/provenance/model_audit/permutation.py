"""P-values that hold exactly: by permuting, not by a limit theorem."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_ROUNDING = 1e-9  # sums in another order differ in their last bits; what is equal must count as equal


def p_value(observed: float, permuted: Floats) -> float:
    """(b + 1) / (m + 1), b of the m permuted statistics being as large as the observed one (Phipson and Smyth, 2010)."""
    slack = _ROUNDING * max(1.0, abs(observed))
    return (int((permuted >= observed - slack).sum()) + 1) / (len(permuted) + 1)


def labels(ours: int, theirs: int, times: int, rng: np.random.Generator) -> Floats:
    """(times, ours + theirs): each row has `ours` ones in random places, and zeros."""
    row = np.zeros(ours + theirs)
    row[:ours] = 1
    return rng.permuted(np.tile(row, (times, 1)), axis=1)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values: rejecting those up to alpha keeps the chance of any false rejection at alpha (Holm, 1979)."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted, largest = [1.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = largest
    return adjusted
