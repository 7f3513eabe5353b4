"""US export parameters of chips: total processing performance, performance density, and the dated rules that test them.

A test of parameters on a date, not legal advice: end users, headquarters, end uses and what a customer knows are not looked
at. Rules, dates and country groups are tables of this package with their sources. A figure that is unknown makes a test
undecided (Kleene's three values), unless the rest decides it. The rules before 2023-11-17 tested other figures and are not
here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

import numpy as np

from freehold.core.errors import InvalidRequest, MalformedArtefact, UnknownFigure
from freehold.plan.catalogue import Accelerator
from freehold.plan.dies import DieArea
from freehold.plan.tables import Row, cells, rows
from freehold.plan.uncertainty import Simulation, Triangular, simulate

_COMPARISON = re.compile(r"(tpp|density|bandwidth) (<|>=) ([0-9.]+)")
ANY = "any"


class Outcome(StrEnum):
    NOT_CONTROLLED = "not controlled by these parameters"
    NO_LICENCE = "no licence by these parameters for this destination"
    NOTIFY = "licence exception NAC or ACA may apply: check, and notify first"
    LICENCE = "licence required"
    CASE_BY_CASE = "licence required, reviewed case by case"
    DENIAL = "licence required, presumption of denial"
    UNDECIDED = "undecided: a figure is unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """`tpp` is tera-operations a second times bits; `density` is TPP per mm² of die; `bandwidth` GB/s of DRAM. None: unknown."""

    tpp: float | None
    density: float | None
    bandwidth: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`test` is a choice of groups of comparisons, any of which is enough: ((what, sign, limit), ...), ..."""

    id: str
    since: date
    until: date | None  # the first day on which it no longer holds
    part: str
    scope: str
    origins: frozenset[str]
    destinations: frozenset[str]
    test: tuple[tuple[tuple[str, str, float], ...], ...]
    test_words: str
    consequence: str
    source: str
    confidence: str

    def in_force(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day < self.until)

    def holds(self, parameters: Parameters) -> bool | None:
        """None where unknown figures leave it open."""
        return _any([_all([_compare(parameters, *one) for one in group]) for group in self.test])


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    rule: Rule
    holds: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    outcome: Outcome
    chip: Accelerator
    origin: str
    destination: str
    day: date
    parameters: Parameters
    hits: tuple[Hit, ...]  # every rule that was looked at
    groups: frozenset[str]
    reasons: tuple[str, ...]


def tpp(chip: Accelerator) -> float:
    """The largest of rate times bits over the formats, dense: two operations to a multiply-accumulate, counted once.

    Doubling a TFLOPS figure again is a mistake that was printed. Raises UnknownFigure.
    """
    if not chip.dense_tera_ops:
        raise UnknownFigure(f"cannot compute: TPP of {chip.name}: no rate is published; unknown: {', '.join(chip.unknown())}")
    return max(rate * precision.bits for precision, rate in chip.dense_tera_ops.items())


def parameters(chip: Accelerator) -> Parameters:
    performance = tpp(chip) if chip.dense_tera_ops else None
    density = None if performance is None or chip.die_mm2 is None else performance / chip.die_mm2
    is_dram = chip.memory_type is not None and "SRAM" not in chip.memory_type
    return Parameters(tpp=performance, density=density, bandwidth=chip.memory_gb_per_s if is_dram else None)


def decide(chip: Accelerator, destination: str, day: date, origin: str = "US") -> Decision:
    """Raises InvalidRequest for a date before the rules here or a malformed country; UnknownFigure where no rate is published."""
    for code in (origin, destination):
        if code not in GROUPS:  # a country that nobody knows is not one without rules
            raise InvalidRequest(f"a country is two capital letters (ISO 3166: CN, AE, GB), got {code[:20]!r}")
    if day < _FIRST:
        raise InvalidRequest(f"the rules here begin on {_FIRST}; those of {day} tested other figures", param="date")
    tpp(chip)
    figures = parameters(chip)
    hits = tuple(Hit(rule=rule, holds=rule.holds(figures)) for rule in RULES if rule.in_force(day) and _concerns(rule, chip))
    outcome, reasons = _outcome(hits, chip, origin, destination)
    shown = tuple(hit for hit in hits if hit.rule.part != "note" or _reaches(hit.rule, destination))
    return Decision(
        outcome=outcome,
        chip=chip,
        origin=origin,
        destination=destination,
        day=day,
        parameters=figures,
        hits=shown,
        groups=GROUPS.get(destination, frozenset()),
        reasons=tuple(reasons),
    )


DIE_DRAWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertain:
    """Of a die area that is only known to lie between two: how dense, and how often which outcome."""

    basis: str  # why it lies between those
    density: Simulation
    shares: Mapping[Outcome, float]  # of all draws, the most frequent first


def decide_uncertain(chip: Accelerator, destination: str, day: date, origin: str, die: DieArea) -> Uncertain:
    """The middle of the two areas is likeliest. Raises what `decide` does."""
    low, high = die.low_mm2, die.high_mm2
    performance, counts = tpp(chip), dict[Outcome, int]()
    spread = Triangular(low=low, mode=(low + high) / 2, high=high)
    density = simulate(lambda inputs: performance / inputs["die area"], {"die area": spread}, draws=DIE_DRAWS)
    for area in spread.at((np.arange(DIE_DRAWS) + 0.5) / DIE_DRAWS):
        outcome = decide(replace(chip, die_mm2=float(area)), destination, day, origin).outcome
        counts[outcome] = counts.get(outcome, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return Uncertain(basis=die.basis, density=density, shares={outcome: count / DIE_DRAWS for outcome, count in ordered})


def _outcome(hits: tuple[Hit, ...], chip: Accelerator, origin: str, destination: str) -> tuple[Outcome, list[str]]:
    controls = [hit for hit in hits if hit.rule.part == "control"]
    if any(hit.holds for hit in hits if hit.rule.part == "exclusion"):
        return Outcome.NOT_CONTROLLED, ["not marketed for data centres, and TPP is below 4,800"]
    held = [hit for hit in controls if hit.holds]
    if not held:
        if any(hit.holds is None for hit in controls):
            return Outcome.UNDECIDED, [f"performance density is unknown: no die area of {chip.name} is published"]
        return Outcome.NOT_CONTROLLED, ["below every limit of 3A090"]
    reasons = [hit.rule.consequence for hit in held]
    if not any(_reaches(hit.rule, destination) for hit in held):
        return Outcome.NO_LICENCE, [*reasons, f"{destination} is in none of the groups that the rule names"]
    if not chip.is_datacentre:
        return Outcome.NOTIFY, [*reasons, "not marketed for data centres: the exception is for such chips"]
    reviews = [hit for hit in hits if hit.rule.part == "review" and _reaches(hit.rule, destination)]
    for hit in reviews:
        if origin not in hit.rule.origins:
            reasons.append(f"{hit.rule.id} is for exports from {', '.join(sorted(hit.rule.origins))}, not for re-exports")
        elif hit.holds:
            return Outcome.CASE_BY_CASE, [*reasons, hit.rule.consequence]
        elif hit.holds is None:
            return Outcome.UNDECIDED, [*reasons, f"{hit.rule.test_words}: a figure is unknown"]
        else:
            reasons.append(f"outside the limits of {hit.rule.id}: {hit.rule.test_words}")
    if not any(hit.rule.id == "us-3a090a-2023" for hit in held):
        return Outcome.NOTIFY, reasons
    if "D:5" in GROUPS.get(destination, ()) or destination == "MO":
        return Outcome.DENIAL, [*reasons, "country group D:5 and Macau: presumption of denial"]
    return Outcome.LICENCE, [*reasons, "how applications are reviewed for this destination is not in the table"]


def _concerns(rule: Rule, chip: Accelerator) -> bool:
    return rule.scope == ANY or (rule.scope == "datacentre") == chip.is_datacentre


def _reaches(rule: Rule, destination: str) -> bool:
    """Groups A:5 and A:6 are left out of what is asked of D:1, D:4 and D:5."""
    groups = GROUPS.get(destination, frozenset())
    return (
        ANY in rule.destinations or destination in rule.destinations or bool(groups & rule.destinations and "A:6" not in groups)
    )


def _compare(figures: Parameters, what: str, sign: str, limit: float) -> bool | None:
    value = getattr(figures, what)
    if value is None:
        return None
    return bool(value < limit) if sign == "<" else bool(value >= limit)


def _all(values: list[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def _any(values: list[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False


def _rule(row: Row) -> Rule:
    groups = [group.split(" & ") for group in row["test"].split(" | ")] if row["test"] else [[]]
    return Rule(
        id=row["rule"],
        since=date.fromisoformat(row["effective_from"]),
        until=date.fromisoformat(row["effective_until"]) if row["effective_until"] else None,
        origins=frozenset(row["origins"].split()),
        destinations=frozenset(row["destinations"].split()),
        test=tuple(tuple(_comparison(row["rule"], text) for text in group) for group in groups),
        test_words=row["test"],
        **cells(row, Rule),
    )


def _comparison(rule: str, text: str) -> tuple[str, str, float]:
    found = _COMPARISON.fullmatch(text.strip())
    if found is None:
        raise MalformedArtefact(f"rule {rule}: {text!r} is no comparison")
    return found[1], found[2], float(found[3])


RULES: tuple[Rule, ...] = tuple(_rule(row) for row in rows("export_rules.csv"))
GROUPS: Mapping[str, frozenset[str]] = {row["code"]: frozenset(row["groups"].split()) for row in rows("export_groups.csv")}
_FIRST = min(rule.since for rule in RULES)
