"""Why energy changed between two periods: more requests, longer ones, or more joules a token.

Energy is E = R (T/R) (J/T): requests, tokens a request, joules a token. The additive LMDI-I method shares the change out over
the three without a remainder: an effect is L(E1, E0) ln(x1/x0), with the logarithmic mean L(a, b) = (a - b) / ln(a/b)
(B. W. Ang, "The LMDI approach to decomposition analysis: a practical guide", Energy Policy 33, 2005).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from freehold.core.totals import DayTotal


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What was done in a period, of exchanges whose energy is known; for each day, so that periods may differ in length."""

    requests: float
    tokens: float
    energy_j: float

    @property
    def tokens_per_request(self) -> float:
        return self.tokens / self.requests if self.requests else 0.0

    @property
    def joules_per_token(self) -> float:
        return self.energy_j / self.tokens if self.tokens else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """Joules a day; the three effects add up to `change_j`."""

    requests_j: float  # from more or fewer requests
    length_j: float  # from longer or shorter ones
    intensity_j: float  # from more or fewer joules a token
    change_j: float


def activity(totals: Iterable[DayTotal], days: int) -> Activity:
    requests, tokens, energy_j = 0, 0, 0.0
    for total in totals:
        requests += total.known_requests
        tokens += total.known_tokens
        energy_j += total.energy_j
    return Activity(requests=requests / days, tokens=tokens / days, energy_j=energy_j / days)


def decompose(before: Activity, after: Activity) -> Decomposition:
    """What made the difference. A period in which nothing happened is a limit of the formula, not an error."""
    change_j = after.energy_j - before.energy_j
    if not before.requests or not after.requests:  # it came, or went, with the requests
        return Decomposition(requests_j=change_j, length_j=0.0, intensity_j=0.0, change_j=change_j)
    if not before.energy_j or not after.energy_j:
        return Decomposition(requests_j=0.0, length_j=0.0, intensity_j=change_j, change_j=change_j)
    mean = logarithmic_mean(after.energy_j, before.energy_j)
    requests_j = mean * math.log(after.requests / before.requests)
    if not before.tokens or not after.tokens:  # requests without tokens have no length
        return Decomposition(requests_j=requests_j, length_j=0.0, intensity_j=change_j - requests_j, change_j=change_j)
    return Decomposition(
        requests_j=requests_j,
        length_j=mean * math.log(after.tokens_per_request / before.tokens_per_request),
        intensity_j=mean * math.log(after.joules_per_token / before.joules_per_token),
        change_j=change_j,
    )


def logarithmic_mean(a: float, b: float) -> float:
    """L(a, b) for a, b >= 0; near a = b by its series, where the quotient would lose all digits."""
    if a <= 0 or b <= 0:
        return 0.0
    ratio = a / b
    if abs(ratio - 1) < 1e-6:
        x = ratio - 1
        return b * (1 + x / 2 - x * x / 12)
    return (a - b) / math.log(ratio)
