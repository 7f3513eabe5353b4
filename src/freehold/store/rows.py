"""Ledger entries and findings as rows, and back."""

import sqlite3
from collections.abc import Iterable

import orjson

from freehold.core.deferral import Turn
from freehold.core.exchange import ExchangeId, KeyId, ModelId
from freehold.core.findings import Action, Channel, Direction, Finding, Mode
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.measurement import Carbon, Footprint, Grade, Measurement

_ENTRY_COLUMNS = (
    "exchange_id, received_at_ns, key_id, team, dialect, operation, provider, model, model_id, stream, status, finish_reason, "
    "error_code, input_tokens, output_tokens, ttft_ms, duration_ms, energy_grade, energy_source, energy_j, energy_low_j, "
    "energy_high_j, policy_digest, cost_microusd, reserved_microusd, energy_by_tokens_j, energy_by_time_j, carbon_g, "
    "carbon_low_g, carbon_high_g, carbon_zone, carbon_year, carbon_method, embodied_g, water_l, electricity_microusd, turn"
)
_FINDING_COLUMNS = (
    "ledger_seq, n, rule, category, direction, channel, part, span_start, span_end, confidence, action, mode, value_digest"
)


def _insert(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))})"  # noqa: S608 - our constants


INSERT_ENTRY = _insert("ledger", _ENTRY_COLUMNS)
INSERT_FINDING = _insert("finding", _FINDING_COLUMNS)
ENTRY_NAMES = tuple(_ENTRY_COLUMNS.split(", "))
FINDING_NAMES = tuple(_FINDING_COLUMNS.split(", "))


def entry_row(entry: LedgerEntry) -> tuple[object, ...]:
    """As the file will give it back: the log's digest is over that."""
    energy, footprint, carbon = entry.energy, entry.footprint, entry.footprint.carbon
    return (
        entry.exchange_id,
        entry.received_at_ns,
        entry.key_id,
        entry.team,
        entry.dialect,
        entry.operation,
        entry.provider,
        entry.model,
        entry.model_id,
        int(entry.stream),
        str(entry.status),
        entry.finish_reason,
        entry.error_code,
        entry.input_tokens,
        entry.output_tokens,
        _real(entry.ttft_ms),
        _real(entry.duration_ms),
        str(energy.grade),
        energy.source,
        _real(energy.energy_j),
        _real(energy.low_j),
        _real(energy.high_j),
        entry.policy_digest,
        entry.cost_microusd,
        entry.reserved_microusd,
        _real(footprint.by_tokens_j),
        _real(footprint.by_time_j),
        carbon and _real(carbon.g),
        carbon and _real(carbon.low_g),
        carbon and _real(carbon.high_g),
        carbon and carbon.zone,
        carbon and carbon.year,
        carbon and carbon.method,
        _real(footprint.embodied_g),
        _real(footprint.water_l),
        _real(footprint.electricity_microusd),
        None if entry.turn is None else orjson.dumps(entry.turn, option=orjson.OPT_SORT_KEYS).decode(),
    )


def _real(value: float | None) -> float | None:
    """A column of reals gives 250 back as 250.0, -0.0 as 0.0, and what is no number as NULL."""
    return None if value is None or value != value else float(value) + 0.0


def finding_rows(seq: int, findings: Iterable[Finding]) -> list[tuple[object, ...]]:
    return [
        (
            seq,
            n,
            f.rule,
            f.category,
            str(f.direction),
            str(f.channel),
            f.part,
            f.start,
            f.end,
            float(f.confidence),  # as the file will give it back: the log's digest is over that
            str(f.action),
            str(f.mode),
            f.value_digest,
        )
        for n, f in enumerate(findings)
    ]


def entry_of(row: sqlite3.Row, findings: tuple[Finding, ...]) -> LedgerEntry:
    energy = Measurement(
        grade=Grade(row["energy_grade"]),
        source=row["energy_source"],
        energy_j=row["energy_j"],
        low_j=row["energy_low_j"],
        high_j=row["energy_high_j"],
    )
    return LedgerEntry(
        exchange_id=ExchangeId(row["exchange_id"]),
        received_at_ns=row["received_at_ns"],
        key_id=KeyId(row["key_id"]),
        team=row["team"],
        dialect=row["dialect"],
        operation=row["operation"],
        provider=row["provider"],
        model=row["model"],
        model_id=None if row["model_id"] is None else ModelId(row["model_id"]),
        stream=bool(row["stream"]),
        status=Status(row["status"]),
        finish_reason=row["finish_reason"],
        error_code=row["error_code"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        ttft_ms=row["ttft_ms"],
        duration_ms=row["duration_ms"],
        energy=energy,
        findings=findings,
        policy_digest=row["policy_digest"],
        cost_microusd=row["cost_microusd"],
        reserved_microusd=row["reserved_microusd"],
        footprint=_footprint(row),
        turn=None if row["turn"] is None else Turn(**orjson.loads(row["turn"])),
    )


def _footprint(row: sqlite3.Row) -> Footprint:
    carbon = None
    if row["carbon_g"] is not None:
        carbon = Carbon(
            g=row["carbon_g"],
            low_g=row["carbon_low_g"],
            high_g=row["carbon_high_g"],
            zone=row["carbon_zone"],
            year=row["carbon_year"],
            method=row["carbon_method"],
        )
    return Footprint(
        by_tokens_j=row["energy_by_tokens_j"],
        by_time_j=row["energy_by_time_j"],
        carbon=carbon,
        embodied_g=row["embodied_g"],
        water_l=row["water_l"],
        electricity_microusd=row["electricity_microusd"],
    )


def finding_of(row: sqlite3.Row) -> Finding:
    return Finding(
        rule=row["rule"],
        category=row["category"],
        direction=Direction(row["direction"]),
        channel=Channel(row["channel"]),
        part=row["part"],
        start=row["span_start"],
        end=row["span_end"],
        confidence=row["confidence"],
        action=Action(row["action"]),
        mode=Mode(row["mode"]),
        value_digest=row["value_digest"],
    )
