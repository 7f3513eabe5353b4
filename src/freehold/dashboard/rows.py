"""What a ledger entry looks like to a person: words and rounded figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from freehold.core.exchange import KeyId
from freehold.core.findings import Action, Finding, Mode
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.measurement import NOTHING_RAN, Carbon, Grade, Measurement
from freehold.dashboard.figures import NONE, UNKNOWN, dollars, grams, interval, joules

_DONE: dict[Action, str] = {
    Action.ALLOW: "allowed",
    Action.TAG: "tagged",
    Action.TOKENISE: "tokenised",
    Action.MASK: "masked",
    Action.ASK: "asked about",
    Action.BLOCK: "blocked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingLabel:
    """All findings of one rule that had one fate. `tone` picks the colour."""

    rule: str
    fate: str  # "masked in the request", "shadow: would mask in the response"
    count: int
    tone: str  # "blocked" | "masked" | "tagged" | "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    amount: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    seq: int
    exchange_id: str
    time_iso: str
    time_text: str
    dialect: str
    key: str
    team: str | None
    model: str
    provider: str | None
    status: str
    status_detail: str | None
    input_tokens: str
    output_tokens: str
    speed: str
    ttft: str
    energy: str
    energy_note: str
    energy_range: str  # empty where the figure has no interval
    carbon: str
    carbon_note: str
    carbon_range: str
    costs: tuple[Cost, ...]
    findings: tuple[FindingLabel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the exchanges shown. A sum that leaves unknowns out says how many."""

    exchanges: int
    blocked: int
    input_tokens: str
    output_tokens: str
    findings: int
    energy: str
    energy_note: str


def row(seq: int, entry: LedgerEntry, key_names: Mapping[KeyId, str]) -> Row:
    carbon = entry.footprint.carbon
    received = datetime.fromtimestamp(entry.received_at_ns / 1e9, UTC)
    return Row(
        seq=seq,
        exchange_id=entry.exchange_id,
        time_iso=received.isoformat(timespec="milliseconds"),
        time_text=received.strftime("%Y-%m-%d %H:%M:%S"),
        dialect=entry.dialect,
        key=key_names.get(entry.key_id, entry.key_id),
        team=entry.team,
        model=entry.model,
        provider=entry.provider,
        status=entry.status.value,
        status_detail=entry.error_code or entry.finish_reason,
        input_tokens=_count(entry.input_tokens),
        output_tokens=_count(entry.output_tokens),
        speed=_speed(entry),
        ttft=_milliseconds(entry),
        energy=NONE if entry.energy == NOTHING_RAN else joules(entry.energy.energy_j),
        energy_note=_grade(entry.energy),
        energy_range=interval(entry.energy.low_j, entry.energy.high_j, joules),
        carbon=NONE if entry.energy == NOTHING_RAN else grams(None if carbon is None else carbon.g),
        carbon_note=_footprint(carbon),
        carbon_range="" if carbon is None else interval(carbon.low_g, carbon.high_g, grams),
        costs=_costs(entry),
        findings=_labels(entry.findings),
    )


def totals(entries: Sequence[LedgerEntry]) -> Totals:
    ran = [entry for entry in entries if entry.energy != NOTHING_RAN]
    known = [entry.energy.energy_j for entry in ran if entry.energy.energy_j is not None]
    return Totals(
        exchanges=len(entries),
        blocked=sum(entry.status is Status.BLOCKED for entry in entries),
        input_tokens=_sum([entry.input_tokens for entry in entries]),
        output_tokens=_sum([entry.output_tokens for entry in entries]),
        findings=sum(len(entry.findings) for entry in entries),
        energy=joules(sum(known)) if known else (UNKNOWN if ran else NONE),
        energy_note=_coverage(len(ran) - len(known), len(ran)),
    )


def _grade(energy: Measurement) -> str:
    if energy == NOTHING_RAN:
        return "nothing ran"
    return "not measured" if energy.grade is Grade.UNKNOWN else energy.grade.value.replace("_", " ")


def _footprint(carbon: Carbon | None) -> str:
    """By which factor: a country's and its year, or the operator's own series."""
    if carbon is None:
        return ""
    return f"{carbon.zone} {carbon.year}" + (f", {carbon.method}" if carbon.method == "marginal" else "")


def _costs(entry: LedgerEntry) -> tuple[Cost, ...]:
    """What the provider asks, and what the electricity costs that was drawn here. Two figures: they are never added."""
    priced, drawn = entry.cost_microusd, entry.footprint.electricity_microusd
    known = [Cost(amount=dollars(priced), what="by price list")] if priced is not None else []
    known += [Cost(amount=dollars(drawn), what="electricity")] if drawn is not None else []
    return tuple(known) or (Cost(amount=NONE if entry.energy == NOTHING_RAN else UNKNOWN, what=""),)


def _coverage(unknown: int, entries: int) -> str:
    if not entries:
        return "nothing ran yet"
    if unknown == entries:
        return "none known"
    return f"without {unknown} unknown" if unknown else "all known"


def _sum(counts: Sequence[int | None]) -> str:
    known = [count for count in counts if count is not None]
    if not known:
        return UNKNOWN if counts else "0"
    return f"{sum(known):,}" if len(known) == len(counts) else f"{sum(known):,}+"


def _count(tokens: int | None) -> str:
    return UNKNOWN if tokens is None else f"{tokens:,}"


def _speed(entry: LedgerEntry) -> str:
    """Tokens a second after the first: the first token's wait is the prompt's, and TTFT shows it."""
    if entry.ttft_ms is None:
        return _absent(entry)
    if entry.output_tokens is None:
        return UNKNOWN
    decode_ms = entry.duration_ms - entry.ttft_ms
    if entry.output_tokens < 2 or decode_ms < 1:  # a body that came all at once has no speed
        return NONE
    return f"{(entry.output_tokens - 1) * 1000 / decode_ms:.1f}"


def _milliseconds(entry: LedgerEntry) -> str:
    if entry.ttft_ms is None:
        return _absent(entry)
    return f"{entry.ttft_ms:.0f} ms" if entry.ttft_ms < 10_000 else f"{entry.ttft_ms / 1000:.1f} s"


def _absent(entry: LedgerEntry) -> str:
    return UNKNOWN if entry.status is Status.COMPLETED else NONE


def _labels(findings: Sequence[Finding]) -> tuple[FindingLabel, ...]:
    counts = Counter((found.rule, _fate(found), _tone(found)) for found in findings)
    return tuple(FindingLabel(rule=rule, fate=fate, count=count, tone=tone) for (rule, fate, tone), count in counts.items())


def _fate(found: Finding) -> str:
    did = f"shadow: would {found.action.value}" if found.mode is Mode.SHADOW else _DONE[found.action]
    return f"{did} in the {found.direction.value}"


def _tone(found: Finding) -> str:
    if found.mode is Mode.SHADOW:
        return "shadow"
    return {Action.BLOCK: "blocked", Action.ASK: "blocked", Action.MASK: "masked", Action.TOKENISE: "masked"}.get(
        found.action, "tagged"
    )
