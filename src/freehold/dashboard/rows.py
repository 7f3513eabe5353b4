"""What a ledger entry looks like to a person: words and rounded figures. Unknown stays unknown and is never a zero."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from freehold.core.exchange import KeyId
from freehold.core.findings import Action, Finding, Mode
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.measurement import Grade, Measurement

UNKNOWN = "unknown"
NONE = "—"  # there was nothing to measure: no first token of an answer that never began

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
    cost: str  # empty where no price is known
    speed: str
    ttft: str
    energy: str
    energy_note: str
    energy_range: str  # empty where the figure has no interval
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
        cost="" if entry.cost_microusd is None else dollars(entry.cost_microusd),
        speed=_speed(entry),
        ttft=_milliseconds(entry),
        energy=joules(entry.energy.energy_j),
        energy_note=_grade(entry.energy),
        energy_range=_interval(entry.energy),
        findings=_labels(entry.findings),
    )


def totals(entries: Sequence[LedgerEntry]) -> Totals:
    known = [entry.energy.energy_j for entry in entries if entry.energy.energy_j is not None]
    unknown = len(entries) - len(known)
    return Totals(
        exchanges=len(entries),
        blocked=sum(entry.status is Status.BLOCKED for entry in entries),
        input_tokens=_sum([entry.input_tokens for entry in entries]),
        output_tokens=_sum([entry.output_tokens for entry in entries]),
        findings=sum(len(entry.findings) for entry in entries),
        energy=joules(sum(known)) if known else (UNKNOWN if entries else NONE),
        energy_note=_coverage(unknown, len(entries)),
    )


def joules(energy_j: float | None) -> str:
    if energy_j is None:
        return UNKNOWN
    if energy_j >= 10_000:
        return f"{energy_j / 1000:,.1f} kJ"
    return f"{energy_j:.0f} J" if energy_j >= 100 else f"{energy_j:.3g} J"


def dollars(microusd: int) -> str:
    """In cents, or as fine as it takes to be no zero."""
    return f"${microusd / 1e6:,.2f}" if microusd == 0 or microusd >= 10_000 else f"${microusd / 1e6:.6f}".rstrip("0")


def _grade(energy: Measurement) -> str:
    return "not measured" if energy.grade is Grade.UNKNOWN else energy.grade.value.replace("_", " ")


def _interval(energy: Measurement) -> str:
    if energy.low_j is None or energy.high_j is None:
        return ""
    return f"{joules(energy.low_j)} – {joules(energy.high_j)}"


def _coverage(unknown: int, entries: int) -> str:
    if not entries:
        return "no exchanges yet"
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
