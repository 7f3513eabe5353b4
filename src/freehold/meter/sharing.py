"""A window's joules among those who were in it: pure arithmetic.

    E  =  idle  +  unattributed  +  paid for earlier answers  +  given to this window's requests

Idle is what the machine draws while it does nothing, as far as that is known. Of the rest, what other programs drew is
unattributed; ours goes first to cover what was given to answers that ended before a window could close, and then to the requests
in proportion to their weights. What is ours with nobody to give it to is unattributed, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ALLOCATIONS: Final = 3  # by work, by tokens, by time: each a way of weighing the same requests

Weights = Sequence[float]  # one an allocation, none below 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """`idle_w` is None where idling is unseen. `ours` is our share of what is above it. `owed_j`: an allocation each."""

    energy_j: float
    seconds: float
    idle_w: float | None
    ours: float  # in [0, 1]
    owed_j: Sequence[float] = (0.0,) * ALLOCATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Joules. `given_j` by request, `unattributed_j` and `paid_j` have a number for each allocation."""

    idle_j: float
    unattributed_j: tuple[float, ...]
    paid_j: tuple[float, ...]
    given_j: Mapping[int, tuple[float, ...]]
    pool_j: tuple[float, ...]  # what was given, in all
    weights: tuple[float, ...]  # of all requests together


def share_out(window: Window, requests: Mapping[int, Weights]) -> Shares:
    """Every number is 0 or above; in each allocation they add up to the window's energy."""
    idle_j = min(window.energy_j, (window.idle_w or 0.0) * window.seconds)
    rest_j = window.energy_j - idle_j
    ours_j = rest_j * window.ours
    sums = tuple(sum(weights[k] for weights in requests.values()) for k in range(ALLOCATIONS))
    paid = tuple(min(ours_j, owed_j) for owed_j in window.owed_j)
    pool = tuple(ours_j - paid[k] if sums[k] > 0 else 0.0 for k in range(ALLOCATIONS))
    return Shares(
        idle_j=idle_j,
        unattributed_j=tuple(rest_j - paid[k] - pool[k] for k in range(ALLOCATIONS)),
        paid_j=paid,
        given_j={
            request: tuple(pool[k] * (weights[k] / sums[k]) if sums[k] > 0 else 0.0 for k in range(ALLOCATIONS))
            for request, weights in requests.items()
        },
        pool_j=pool,
        weights=sums,
    )
