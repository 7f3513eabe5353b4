"""Exchanges as the file holds them, each with its receipt and its findings, and whether the three say the same."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import NamedTuple

import orjson

from freehold.core.findings import Finding
from freehold.core.receipts import Claims
from freehold.store.rows import finding_of

_RECEIPT_COLUMNS = (
    "receipt.digest AS r_digest, receipt.signed_by AS r_signed_by, receipt.salt AS r_salt, receipt.envelope AS r_envelope"
)
_EXCHANGES = f"""
    SELECT ledger.*, {_RECEIPT_COLUMNS} FROM ledger LEFT JOIN receipt ON receipt.ledger_seq = ledger.seq
    WHERE ledger.seq BETWEEN ? AND ? ORDER BY ledger.seq
"""  # noqa: S608 - our constants
_FINDINGS = "SELECT * FROM finding WHERE ledger_seq BETWEEN ? AND ? ORDER BY ledger_seq, n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first row that is wrong. `what` is one of: changed, deleted, inserted, reordered, replayed, truncated, forged,
    unsealed.

    `holder` is the key or team whose row in its table is wrong; `n` is then the row of the log that it is held against.
    """

    what: str
    detail: str
    n: int | None = None
    ledger_seq: int | None = None
    exchange_id: str | None = None
    holder: str | None = None


class Stop(Exception):
    def __init__(self, broken: Broken) -> None:
        self.broken = broken


class SignedReceipt(NamedTuple):
    """What a receipt's envelope says, signature not looked at yet."""

    digest: str
    previous: str | None
    claims: Claims


def broken_at(row: sqlite3.Row, what: str, detail: str) -> Broken:
    return Broken(what=what, detail=detail, n=row["n"], ledger_seq=row["ledger_seq"], exchange_id=row["exchange_id"])


def inserted(found: tuple[sqlite3.Row, list[sqlite3.Row]]) -> Broken:
    row = found[0]
    detail = f"row {row['seq']} of the ledger has no row in the log"
    return Broken(what="inserted", ledger_seq=row["seq"], exchange_id=row["exchange_id"], detail=detail)


class Exchanges:
    """Ledger rows with their receipts and findings, oldest first, one looked at ahead."""

    def __init__(self, connection: sqlite3.Connection, first: int, last: int) -> None:
        self._rows = connection.execute(_EXCHANGES, (first, last))
        findings = groupby(connection.execute(_FINDINGS, (first, last)), key=lambda row: row["ledger_seq"])
        self._findings = ((seq, list(group)) for seq, group in findings)
        self._next_findings: tuple[int, list[sqlite3.Row]] | None = next(self._findings, None)
        self._ahead: tuple[sqlite3.Row, list[sqlite3.Row]] | None = None
        self.stray_seq: int | None = None
        self._advance()

    def __iter__(self) -> Iterator[tuple[sqlite3.Row, list[sqlite3.Row]]]:
        while self._ahead is not None:
            yield self.take()

    def peek(self) -> tuple[sqlite3.Row, list[sqlite3.Row]] | None:
        return self._ahead

    def take(self) -> tuple[sqlite3.Row, list[sqlite3.Row]]:
        assert self._ahead is not None
        taken = self._ahead
        self._advance()
        return taken

    def _advance(self) -> None:
        row = self._rows.fetchone()
        self._ahead = None if row is None else (row, self._findings_of(row["seq"]))

    def _findings_of(self, seq: int) -> list[sqlite3.Row]:
        while self._next_findings is not None and self._next_findings[0] < seq:
            self.stray_seq = self.stray_seq or self._next_findings[0]
            self._next_findings = next(self._findings, None)
        if self._next_findings is None or self._next_findings[0] > seq:
            return []
        found = self._next_findings[1]
        self._next_findings = next(self._findings, None)
        return found

    def check_none_stray(self) -> None:
        """Asked at the end: a ledger row that is missing is told first, its findings after."""
        seq = self.stray_seq or (self._next_findings and self._next_findings[0])
        if seq is not None:
            detail = f"there are findings of row {seq} of the ledger, which is not there"
            raise Stop(Broken(what="inserted", ledger_seq=seq, detail=detail))


_SAME = ("dialect", "operation", "status", "finish_reason", "input_tokens", "output_tokens", "policy_digest")


def difference(exchange: sqlite3.Row, claims: Claims) -> str | None:
    """What the ledger says otherwise than the receipt."""
    signed: dict[str, object] = {name: getattr(claims, name) for name in _SAME}
    signed["provider"] = claims.served and claims.served.provider
    signed["model_id"] = claims.served and claims.served.model_id
    if claims.energy is not None:
        signed |= {"energy_j": claims.energy.energy_j, "energy_grade": str(claims.energy.grade)}
    if claims.carbon is not None:
        signed |= {"carbon_g": claims.carbon.g, "carbon_zone": claims.carbon.zone, "carbon_year": claims.carbon.year}
    for name, value in signed.items():
        if exchange[name] != value:
            return f"{name} is {exchange[name]!r}, the receipt was signed over {value!r}"
    return None


def verdict_holds(rows: list[sqlite3.Row], digest: str) -> bool:
    """As the gateway makes it, over the findings in their order; before they had value digests, without those."""
    findings = [finding_of(row) for row in rows]
    if verdict_digest(findings) == digest:
        return True
    if not rows or any(finding.value_digest for finding in findings):
        return False
    older = orjson.loads(orjson.dumps(findings))
    bare = [{name: value for name, value in finding.items() if name != "value_digest"} for finding in older]
    return sha256(orjson.dumps(bare, option=orjson.OPT_SORT_KEYS)).hexdigest() == digest


def verdict_digest(findings: list[Finding]) -> str:
    return sha256(orjson.dumps(findings, option=orjson.OPT_SORT_KEYS)).hexdigest()
