"""Whose chips a plan hangs on: how concentrated its makers are, and the fabs that make them.

The measure is Herfindahl's and Hirschman's: the sum of the squares of the shares, 1 where one has all of it, 1/n where n have
as much each. Competition law writes it times 10,000. Shares are of what a plan's chips compute or draw, whichever it is asked in.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import CATALOGUE
from freehold.plan.tables import rows

# Above it a market is highly concentrated: US Department of Justice and FTC, Merger Guidelines of 2023, guideline 1.
HIGH = 0.18
UNKNOWN = "unknown"
FABS: Mapping[str, str] = {row["name"]: row["fab"] for row in rows("fabs.csv")}
FABS_SOURCE = "Who makes which chip is from what the companies said, from memory and not read again (data/fabs.csv)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """`shares` add up to 1, the largest first."""

    shares: Mapping[str, float]

    @property
    def hhi(self) -> float:
        """In (0, 1]. What is unknown counts as one more, so that the true figure may be higher."""
        return min(1.0, sum(share * share for share in self.shares.values()))

    @property
    def is_high(self) -> bool:
        return self.hhi > HIGH


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    vendors: Concentration
    fabs: Concentration


def exposure(chips: Mapping[str, float]) -> Exposure:
    """Of names of the catalogue, with a weight each. Raises InvalidRequest where nothing weighs anything."""
    vendors: dict[str, float] = defaultdict(float)
    fabs: dict[str, float] = defaultdict(float)
    total = sum(chips.values())
    if not total > 0:
        raise InvalidRequest("no chips to say anything about", param="chip")
    for name, weight in chips.items():
        vendors[CATALOGUE[name].vendor] += weight / total
        fabs[FABS.get(name) or UNKNOWN] += weight / total
    return Exposure(vendors=_sorted(vendors), fabs=_sorted(fabs))


def catalogue_exposure() -> Exposure:
    """Of what could be bought: each chip for data centres counts once."""
    return exposure({name: 1.0 for name, chip in CATALOGUE.items() if chip.is_datacentre and chip.dense_tera_ops})


def _sorted(shares: Mapping[str, float]) -> Concentration:
    return Concentration(shares=dict(sorted(shares.items(), key=lambda item: -item[1])))
