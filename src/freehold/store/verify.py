"""Walks the record and the log side by side and names the first row that is not as it was written.

One pass in one read transaction, so a running node's file can be checked; rows stream, memory stays flat. What a row binds is
recomputed from what the file holds and compared link by link; the last seal then vouches for all before it. Where that seal does
not hold, the seals are tried from the first, and the receipts after the last good one, to name the row. Exchanges from before the
log began are held by their receipts alone: each of those signatures is checked.

Of rows that were purged the digest is left, and a row of the log that says so; nothing else may be missing. A walk over the whole
log ends with the tables of keys and teams, which its rows explain (`verify_keys`), and with the tree over it (`verify_tree`).
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from freehold.core.errors import ArtefactError, InvalidRequest, VerificationError
from freehold.core.exchange import KeyId
from freehold.store.audit import (
    BEFORE_THE_FIRST,
    BEGAN,
    EXCHANGE,
    Head,
    entry_of,
    exchange_parts,
    facts_digest,
    link_of,
    receipt_facts,
    seal_message,
)
from freehold.store.exchanges import Broken, Exchanges, SignedReceipt, Stop, broken_at, difference, inserted, verdict_holds
from freehold.store.retention import purged_through
from freehold.store.verify_keys import KINDS, HolderFold, Holders
from freehold.store.verify_tree import Heads, TreeFold

_NO_LIMIT = (1 << 63) - 1


class Proofs(Heads, Protocol):
    """What can be asked about signatures. Provenance knows; the store only asks."""

    def read(self, envelope: bytes) -> SignedReceipt:
        """Raises ArtefactError."""

    def check(self, envelope: bytes) -> None:
        """Raises ArtefactError where no trusted key signed it."""

    def check_seal(self, key_id: KeyId, seal: bytes, message: bytes) -> None:
        """Raises VerificationError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """`sealed_through` is the last row that a seal vouches for; `broken` None means that all of it holds.

    `holders` is None where keys and teams were not compared: a part of the log does not tell how they came about.
    """

    head: Head | None
    first_n: int
    rows: int
    exchanges: int
    purged: int
    before_log: int
    sealed_through: int
    holders: Holders | None = None
    tree_size: int | None = None  # rows that the tree is over; None where the tree was not compared
    checkpoints: int = 0
    broken: Broken | None = None


def verify_log(
    connection: sqlite3.Connection,
    proofs: Proofs,
    *,
    first_n: int = 1,
    last_n: int | None = None,
    head: Head | None = None,
    each_signature: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> LogReport:
    """Check rows `first_n` to `last_n` of the log, and up to the next seal. `head` is one kept from an earlier time.

    Raises InvalidRequest for a range that is not there.
    """
    connection.execute("BEGIN")  # one moment of a file that goes on growing
    try:
        walk = _Walk(connection, proofs, first_n, last_n, each_signature, progress)
        broken: Broken | None = None
        try:
            walk.run(head)
        except Stop as stop:
            broken = stop.broken
        return walk.report(broken)
    finally:
        connection.execute("ROLLBACK")


class _Walk:
    def __init__(
        self,
        connection: sqlite3.Connection,
        proofs: Proofs,
        first_n: int,
        last_n: int | None,
        each_signature: bool,
        progress: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._proofs = proofs
        self._each_signature = each_signature
        self._progress = progress
        self._first_n = first_n
        self._last_n = self._through_seal(last_n)
        self._before = self._link_before(first_n)
        self._purged_n, self._purged_seq = purged_through(connection)  # by rows of the log, walked over like all others
        first = self._one("SELECT ledger_seq FROM audit WHERE ledger_seq IS NOT NULL AND n >= ? ORDER BY n LIMIT 1", first_n)
        last = self._one(
            "SELECT ledger_seq FROM audit WHERE ledger_seq IS NOT NULL AND n <= ? ORDER BY n DESC LIMIT 1", self._last_n
        )
        self._first_seq: int = _NO_LIMIT if first is None else first
        self._last_seq: int = last or 0
        self._is_whole = first_n == 1
        self._to_end = last_n is None
        self._receipt = None if self._is_whole else self._receipt_before(self._first_seq)
        self._last_seal: sqlite3.Row | None = None
        self._head: Head | None = None
        self._wanted: Head | None = None
        self._fold = HolderFold()
        self._holders: Holders | None = None
        self._tree = TreeFold(connection)
        self._last_before = 0  # the last exchange of before the log
        self.rows = self.exchanges = self.purged = self.before_log = self.sealed_through = 0

    def _one(self, query: str, *parameters: object) -> Any:
        row = self._connection.execute(query, parameters).fetchone()
        return None if row is None else row[0]

    def _through_seal(self, last_n: int | None) -> int:
        if last_n is None:
            return _NO_LIMIT
        sealed: int | None = self._one("SELECT n FROM audit WHERE n >= ? AND seal IS NOT NULL ORDER BY n LIMIT 1", last_n)
        return _NO_LIMIT if sealed is None else sealed

    def _link_before(self, first_n: int) -> tuple[bytes, bytes | None, str | None]:
        if first_n == 1:
            return BEFORE_THE_FIRST
        row = self._connection.execute("SELECT link, seal, signed_by FROM audit WHERE n = ?", (first_n - 1,)).fetchone()
        if row is None:
            raise InvalidRequest(
                f"the log has no row {first_n - 1} to start from; leave the start out, or see: freehold log show"
            )
        return row["link"], row["seal"], row["signed_by"]

    def _receipt_before(self, seq: int) -> str | None:
        digest: str | None = self._one("SELECT digest FROM receipt WHERE ledger_seq < ? ORDER BY ledger_seq DESC LIMIT 1", seq)
        return digest

    def run(self, head: Head | None) -> None:
        self._wanted = head
        try:
            if self._is_whole:
                self._check_before_log()
            self._check_rows()
            if self._to_end:
                self._check_end()
            if self._wanted is not None:
                detail = f"the log ends before row {self._wanted.n}, the head that was kept"
                raise Stop(Broken(what="truncated", n=self._wanted.n, detail=detail))
        except Stop:
            self._check_seals()  # an earlier row may be wrong, too, and hidden by new links
            raise
        self._check_seals()
        if self._head is not None and self.sealed_through < self._head.n:
            first = max(self.sealed_through + 1, self._first_n)
            detail = f"nobody vouches for it and what follows: the last seal is before row {first}"
            raise Stop(Broken(what="unsealed", n=first, detail=detail))
        if self._is_whole and self._to_end:
            self._holders = self._fold.check(self._connection)
            self._tree.check(self._proofs)

    def _check_before_log(self) -> None:
        """Exchanges older than the log: the receipt is all there is."""
        last = self._first_seq - 1
        self._receipt = self._receipt_before(min(self._purged_seq, last) + 1)
        exchanges = Exchanges(self._connection, 0, last)
        for row, findings in exchanges:
            self._check_receipt(row, findings, None, each=True)
            self.before_log += 1
            self._last_before = row["seq"]
        exchanges.check_none_stray()
        if self._last_before > self._older_seq():
            detail = (
                f"the log has no row of the exchanges up to {self._last_before}, and does not say that they are older than it "
                "(if an older release recorded them, start the node once)"
            )
            raise Stop(Broken(what="deleted", n=1, ledger_seq=self._last_before, detail=detail))

    def _older_seq(self) -> int:
        """The last exchange that is older than the log, as the log's first row says."""
        facts = self._one("SELECT facts FROM audit WHERE n = 1 AND kind = ?", BEGAN)
        return 0 if facts is None else int(orjson.loads(facts)["older_ledger_seq"])

    def _check_rows(self) -> None:
        exchanges = Exchanges(self._connection, self._first_seq, self._last_seq)
        expected = self._first_n
        query = "SELECT * FROM audit WHERE n BETWEEN ? AND ? ORDER BY n"
        for row in self._connection.execute(query, (self._first_n, self._last_n)):
            n = row["n"]
            if n != expected:
                detail = f"row {expected} of the log is missing; the next there is {n}"
                raise Stop(Broken(what="deleted", n=expected, detail=detail))
            self._check_row(row, exchanges)
            expected += 1
            self.rows += 1
            if self.rows % 10_000 == 0:
                self._progress(self.rows)
        if (extra := exchanges.peek()) is not None:
            raise Stop(inserted(extra))
        exchanges.check_none_stray()

    def _check_row(self, row: sqlite3.Row, exchanges: "Exchanges") -> None:
        n, names = row["n"], (row["exchange_id"], row["ledger_seq"])
        digest = self._exchange_row(row, exchanges) if row["kind"] == EXCHANGE else self._decision_row(row)
        entry = entry_of(self._before, n, row["at_ns"], row["kind"], names, digest)
        link = link_of(entry)
        if self._is_whole:
            self._tree.take(entry)
        if link != row["link"]:
            raise Stop(
                broken_at(
                    row, "changed", "its number, time, kind, names or digest, or the seal before it, is not what its link binds"
                )
            )
        self._before = (link, row["seal"], row["signed_by"])
        self._head = Head(n=n, link=link)
        if row["seal"] is not None:
            self._last_seal = row
            if self._each_signature:
                self._check_seal(row)
        if self._wanted is not None and self._wanted.n == n:
            if self._wanted.link != link:
                raise Stop(
                    broken_at(row, "changed", "the log was written anew: this row's link is not that of the head that was kept")
                )
            self._wanted = None

    def _decision_row(self, row: sqlite3.Row) -> bytes:
        digest: bytes = row["digest"]
        if row["facts"] is None:
            if row["n"] > self._purged_n or row["exchange_id"] is None:
                raise Stop(broken_at(row, "deleted", "its facts are gone, and no purge says so"))
            self.purged += 1
        elif facts_digest(row["facts"]) != digest:
            raise Stop(broken_at(row, "changed", "its facts are not those that were written"))
        elif row["kind"] in KINDS:
            self._fold.take(row)
        return digest

    def _exchange_row(self, row: sqlite3.Row, exchanges: "Exchanges") -> bytes:
        digest: bytes = row["digest"]
        seq = row["ledger_seq"]
        self.exchanges += 1
        if row["facts"] is not None:
            raise Stop(broken_at(row, "changed", "it has facts of its own, which no row of an exchange has"))
        found = exchanges.peek()
        if found is not None and found[0]["seq"] < seq:
            elsewhere = self._one("SELECT n FROM audit WHERE ledger_seq = ?", found[0]["seq"])
            if elsewhere is not None:
                detail = f"row {seq} of the ledger is here, before row {found[0]['seq']}, which is in row {elsewhere} of the log"
                raise Stop(broken_at(row, "reordered", detail))
            raise Stop(inserted(found))
        if found is None or found[0]["seq"] > seq:
            if seq > self._purged_seq:
                raise Stop(broken_at(row, "deleted", f"row {seq} of the ledger is missing, and no purge says so"))
            self.purged += 1
            self._receipt = self._one("SELECT digest FROM receipt WHERE ledger_seq = ?", seq)
            return digest
        exchange, findings = exchanges.take()
        self._check_exchange(row, exchange, findings, digest)
        return digest

    def _check_exchange(self, row: sqlite3.Row, exchange: sqlite3.Row, findings: list[sqlite3.Row], digest: bytes) -> None:
        self._check_receipt(exchange, findings, row, each=self._each_signature)
        receipt = receipt_facts(exchange["r_digest"], exchange["r_signed_by"], exchange["r_salt"])
        ledger = {name: exchange[name] for name in exchange.keys() if not name.startswith("r_")}  # noqa: SIM118 - sqlite3.Row
        parts = exchange_parts(ledger, [dict(finding) for finding in findings], receipt, exchange["r_envelope"])
        if digest not in (parts.digest(), parts.older_digest()):
            detail = (
                "a field that is not in its receipt is not what was written: who asked, when, how long it took, or what it cost"
            )
            raise Stop(broken_at(row, "changed", detail))

    def _check_receipt(self, exchange: sqlite3.Row, findings: list[sqlite3.Row], row: sqlite3.Row | None, *, each: bool) -> None:
        """The receipt against its own digest, the one before, the ledger row and the findings."""

        def stop(what: str, detail: str) -> Stop:
            n = None if row is None else row["n"]
            return Stop(Broken(what=what, detail=detail, n=n, ledger_seq=exchange["seq"], exchange_id=exchange["exchange_id"]))

        if exchange["r_envelope"] is None:
            raise stop("deleted", "its receipt is missing")
        try:
            signed = self._proofs.read(exchange["r_envelope"])
        except ArtefactError as error:
            raise stop("changed", f"its receipt cannot be read: {error.message}") from error
        if signed.digest != exchange["r_digest"]:
            raise stop("changed", "its receipt is not the one whose digest was stored")
        if signed.previous != self._receipt:
            if (twin := self._same_receipt(exchange)) is not None:
                raise stop("replayed", f"its receipt is that of row {twin} of the ledger, given again")
            kept = self._one("SELECT ledger_seq FROM receipt WHERE digest = ?", signed.previous)
            where = "is not in the record" if kept is None else f"is that of row {kept}"
            raise stop(
                "deleted" if kept is None else "reordered",
                f"the receipt that its own follows {where}, not that of the row before",
            )
        if signed.claims.exchange_id != exchange["exchange_id"]:
            raise stop("reordered", f"its receipt is of another exchange, {signed.claims.exchange_id}")
        if (detail := difference(exchange, signed.claims)) is not None:
            raise stop("changed", detail)
        if not verdict_holds(findings, signed.claims.verdict_digest):
            raise stop("changed", "its findings are not those its receipt was signed over")
        if each:
            try:
                self._proofs.check(exchange["r_envelope"])
            except ArtefactError as error:
                raise stop("forged", f"its receipt does not hold: {error.message}") from error
        self._receipt = signed.digest

    def _same_receipt(self, exchange: sqlite3.Row) -> int | None:
        """An earlier ledger row with the same receipt. Asked only where the receipt does not follow the one before."""
        query = "SELECT ledger_seq FROM receipt WHERE digest = ? AND ledger_seq < ? ORDER BY ledger_seq"
        seq: int | None = self._one(query, exchange["r_digest"], exchange["seq"])
        return seq

    def _check_end(self) -> None:
        last = 0 if self._head is None else self._head.n
        written = self._counted("audit")
        if written > last:
            detail = f"the log ends with row {last}, but {written} were written: the last {written - last} are missing"
            raise Stop(Broken(what="truncated", n=last + 1, detail=detail))
        after = Exchanges(self._connection, self._last_seq + 1, _NO_LIMIT) if self._last_seq else None
        if after is not None and (extra := after.peek()) is not None:
            raise Stop(inserted(extra))
        last_seq = max(self._last_seq, self._last_before, self._purged_seq)
        written = self._counted("ledger")
        if self._is_whole and written > last_seq:
            detail = f"the last exchange is row {last_seq} of the ledger, but {written} were written"
            raise Stop(Broken(what="truncated", ledger_seq=last_seq + 1, detail=detail))
        if after is not None:
            after.check_none_stray()

    def _counted(self, table: str) -> int:
        """How many rows SQLite has numbered in a table, whatever is there now."""
        return self._one("SELECT seq FROM sqlite_sequence WHERE name = ?", table) or 0

    def _check_seals(self) -> None:
        """The last seal vouches for every row before it. Only where it does not hold are the others tried, to find the first."""
        if self._last_seal is None:
            return
        last_n = self._last_seal["n"]
        try:
            self._check_seal(self._last_seal)
        except Stop:
            query = "SELECT * FROM audit WHERE n BETWEEN ? AND ? AND seal IS NOT NULL ORDER BY n"
            for row in self._connection.execute(query, (self._first_n, last_n)):
                self._check_seal(row)

    def _check_seal(self, row: sqlite3.Row) -> None:
        n = row["n"]
        try:
            self._proofs.check_seal(KeyId(row["signed_by"]), row["seal"], seal_message(n, row["link"]))
        except VerificationError as error:
            raise Stop(self._forged(n, error)) from error
        self.sealed_through = n

    def _forged(self, n: int, error: VerificationError) -> Broken:
        """The rows since the last good seal are in doubt; where one of their receipts is forged, it is that one."""
        since = self.sealed_through if self.sealed_through >= self._first_n else self._first_n - 1
        query = """
            SELECT audit.n, audit.exchange_id, audit.ledger_seq, receipt.envelope FROM audit
            JOIN receipt ON receipt.ledger_seq = audit.ledger_seq WHERE audit.n BETWEEN ? AND ? ORDER BY audit.n
        """
        for row in self._connection.execute(query, (since + 1, n)):
            try:
                if row["envelope"]:
                    self._proofs.check(row["envelope"])
            except ArtefactError as worse:
                return broken_at(row, "forged", f"its receipt does not hold: {worse.message}")
        rows = f"row {n}" if since + 1 == n else f"a row from {since + 1} to {n}"
        return Broken(
            what="forged", n=since + 1, detail=f"the seal of row {n} does not hold, so {rows} is not the node's: {error.message}"
        )

    def report(self, broken: Broken | None) -> LogReport:
        return LogReport(
            head=self._head,
            first_n=self._first_n,
            rows=self.rows,
            exchanges=self.exchanges,
            purged=self.purged,
            before_log=self.before_log,
            sealed_through=self.sealed_through,
            holders=self._holders,
            tree_size=self._tree.size if self._holders is not None else None,
            checkpoints=self._tree.checkpoints,
            broken=broken,
        )
