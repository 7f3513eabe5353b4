"""Evidence that grows over days: e-values, which may be looked at after each run, and stopped at whenever one likes.

A p-value becomes the e-value 1 / (2 sqrt p), whose mean is at most 1 if the models are equal (Vovk and Wang, 2021, kappa = 1/2).
The product over runs then passes 1/alpha with a chance of at most alpha, however long one looks on (Ville's inequality). That
needs p-values that hold whatever the runs before gave. They do where both sides are sampled anew each time. One stored baseline
that every run is compared with would not do: an unlucky one is unlucky every day. There each run is compared with the baseline
*and all runs before*: under equality its answers are a random subset of all answers so far, whatever the order of the earlier
ones, and such p-values are independent (as in online conformal testing). That stays so if only some of the answers so far are
kept, as long as chance alone chooses which.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, log


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`log_e` is the logarithm of each test's product so far; `peak` its largest value ever."""

    runs: int = 0
    log_e: Mapping[str, float] = field(default_factory=dict)
    peak: Mapping[str, float] = field(default_factory=dict)

    def after(self, ps: Mapping[str, float]) -> "Evidence":
        """One more run. A test that it did not hold leaves its product as it is."""
        log_e = dict(self.log_e)
        for test, p in ps.items():
            log_e[test] = log_e.get(test, 0.0) + log_e_value(p)
        peak = {test: max(value, self.peak.get(test, -inf)) for test, value in log_e.items()}
        return Evidence(runs=self.runs + 1, log_e=log_e, peak=peak)

    def alarms(self, alpha: float, tests: int) -> list[str]:
        """Tests whose product has ever passed its bound; with `tests` of them the chance of any, by mere chance, is alpha."""
        return sorted(test for test, value in self.peak.items() if value >= log_bound(alpha, tests))


def log_e_value(p: float) -> float:
    return -log(2.0) - 0.5 * log(p)


def log_bound(alpha: float, tests: int) -> float:
    return log(tests / alpha)
