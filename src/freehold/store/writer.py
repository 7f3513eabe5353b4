"""Makes the record durable: signs and stores drafts of exchanges, and decisions, a group to a transaction.

One thread owns the connection. It takes all that is waiting, and in one transaction reads the last receipt's digest and the end
of the log, signs the chain, inserts, seals the log, and commits; one fsync then serves the whole group. A future is resolved
after the commit: what was acknowledged is on the disk. Several processes may do this to one file: the write lock is held while
the chain is read and extended.

When the disk refuses, all of the group fail with RecordNotWritten and `status` is not ready until some write succeeds: a later
one, or the probe that is tried with growing pauses in between. What alone is at fault fails alone.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from freehold.core.errors import RecordNotWritten
from freehold.core.exchange import ExchangeId
from freehold.core.ledger import Draft
from freehold.core.ports import Cipher, ReceiptSigner, UnixClock, UpstreamStatus
from freehold.core.receipts import Receipt
from freehold.core.sealer import Sealer
from freehold.store.audit import Decision, LogEnd, decision, exchange_parts, receipt_facts
from freehold.store.config import StoreConfig
from freehold.store.content import INSERT_CONTENT
from freehold.store.database import open_writer, transaction, trouble
from freehold.store.rows import ENTRY_NAMES, FINDING_NAMES, INSERT_ENTRY, INSERT_FINDING, entry_row, finding_rows

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
PROBE_BYTES = 64 << 10  # more than a group takes, so that a probe that fits lets a group fit

_LAST_DIGEST = "SELECT digest FROM receipt ORDER BY ledger_seq DESC LIMIT 1"
_INSERT_RECEIPT = "INSERT INTO receipt (ledger_seq, digest, signed_by, salt, envelope) VALUES (?, ?, ?, ?, ?)"
_PROBE = "INSERT INTO probe (id, filler) VALUES (1, randomblob(?)) ON CONFLICT (id) DO UPDATE SET filler = excluded.filler"


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    item: Draft | Decision
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Receipt | None]"

    @property
    def name(self) -> str:
        return self.item.entry.exchange_id if isinstance(self.item, Draft) else f"a {self.item.kind!r} decision"


# What SQLite says when a draft is at fault, and not the disk or the file.
_DRAFT_FAULTS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)

_Outcome = tuple[_Waiting, Receipt | RecordNotWritten | None]


class RecordWriter:
    """Implements `core.ports.Recorder` and `core.ports.AuditLog`.

    Opening raises DeviceError or ConfigError; `close` writes what is waiting. Without a sealer the log's rows are linked, but
    nobody vouches for their end; without a cipher no exchange can be kept.
    """

    def __init__(
        self,
        path: Path,
        signer: ReceiptSigner,
        config: StoreConfig | None = None,
        sealer: Sealer | None = None,
        unix_ns: UnixClock = time.time_ns,
        cipher: Cipher | None = None,
    ) -> None:
        self._config = config or StoreConfig()
        self._path = path
        self._signer = signer
        self._sealer = sealer
        self._cipher = cipher
        self._unix_ns = unix_ns
        self._connection = open_writer(path, self._config.busy_timeout_s)
        self._file = _identity(path)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()  # bounded by whoever puts, under `_closing`
        self._trouble: str | None = None
        self._closed = False
        self._closing = threading.Lock()  # after `close` took it, nothing more enters the queue
        self._thread = threading.Thread(target=self._run, name="freehold-record", daemon=True)
        self._thread.start()

    async def record(self, draft: Draft) -> Receipt:
        receipt = await self._enqueued(draft)
        assert receipt is not None  # `_commit` gives one for every draft
        return receipt

    async def append(self, kind: str, facts: Mapping[str, object], exchange_id: ExchangeId | None = None) -> None:
        try:
            one = decision(kind, facts, self._unix_ns(), exchange_id)
        except ValueError as exc:
            raise RecordNotWritten(str(exc)) from exc
        await self._enqueued(one)

    async def _enqueued(self, item: Draft | Decision) -> Receipt | None:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, loop, loop.create_future())
        with self._closing:
            if self._closed:
                raise RecordNotWritten("the node is shutting down; the record is closed")
            if self._queue.qsize() >= self._config.queue_drafts:
                raise RecordNotWritten(
                    f"{self._config.queue_drafts} records wait for the disk of {self._path} already; it is too slow for this load"
                )
            self._queue.put(waiting)
        return await waiting.future

    def status(self) -> UpstreamStatus:
        if self._closed:
            return UpstreamStatus(ready=False, detail="the record is closed")
        if self._trouble is not None:
            return UpstreamStatus(ready=False, detail=f"records cannot be written: {self._trouble}")
        return UpstreamStatus(ready=True, detail=f"records go to {self._path}")

    def close(self) -> None:
        """Write what is waiting, then stop. May be called twice; blocks, so call it off the event loop."""
        with self._closing:
            first, self._closed = not self._closed, True
        if first:
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                first = self._queue.get(timeout=None if self._trouble is None else pause_s)
            except queue.Empty:
                self._probe()
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            group = self._group(first)
            waiting = [one for one in group if one is not None]
            if waiting:
                _resolve(self._write(waiting))
            if self._trouble is None:
                pause_s = FIRST_PAUSE_S
            if len(waiting) < len(group):
                break
        self._connection.close()

    def _group(self, first: _Waiting | None) -> list[_Waiting | None]:
        group = [first]
        while group[-1] is not None and len(group) < self._config.group_drafts:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return group

    def _write(self, group: Sequence[_Waiting]) -> list[_Outcome]:
        try:
            receipts = self._commit([waiting.item for waiting in group])
        except Exception as exc:
            if isinstance(exc, sqlite3.Error) and not isinstance(exc, _DRAFT_FAULTS):
                self._trouble = trouble(self._path, exc)
                return [(w, RecordNotWritten(f"the record could not be written: {self._trouble}")) for w in group]
            if len(group) > 1:  # one of them is at fault: the others must not suffer for it
                return [outcome for waiting in group for outcome in self._write([waiting])]
            error = RecordNotWritten(f"the record of {group[0].name} does not fit: {exc}")
            error.__cause__ = exc
            return [(group[0], error)]
        self._trouble = None
        return list(zip(group, receipts, strict=True))

    def _commit(self, items: Sequence[Draft | Decision]) -> list[Receipt | None]:
        receipts: list[Receipt | None] = []
        self._check_file()
        with transaction(self._connection):
            last = self._connection.execute(_LAST_DIGEST).fetchone()
            previous: str | None = last and last["digest"]
            end = LogEnd(self._connection)
            for item in items:
                if isinstance(item, Decision):
                    end.add(item)
                    receipts.append(None)
                    continue
                receipt = self._insert(item, previous, end)
                receipts.append(receipt)
                previous = receipt.digest
            end.write(self._sealer)
        return receipts

    def _insert(self, draft: Draft, previous: str | None, end: LogEnd) -> Receipt:
        claims, entry = draft.claims, draft.entry
        receipt = self._signer.sign(claims, previous)
        row = entry_row(entry)
        seq = self._connection.execute(INSERT_ENTRY, row).lastrowid
        assert seq is not None
        findings = finding_rows(seq, entry.findings)
        self._connection.executemany(INSERT_FINDING, findings)
        self._connection.execute(_INSERT_RECEIPT, (seq, receipt.digest, receipt.signed_by, claims.salt, receipt.envelope))
        if draft.kept is not None:
            if self._cipher is None:
                raise ValueError("it is to be kept, and there is no key to encrypt it with")
            encrypted = self._cipher.encrypt(draft.kept.content, entry.exchange_id)
            self._connection.execute(INSERT_CONTENT, (seq, entry.exchange_id, draft.kept.until_ns, encrypted))
        parts = exchange_parts(
            {"seq": seq, **dict(zip(ENTRY_NAMES, row, strict=True))},
            [dict(zip(FINDING_NAMES, finding, strict=True)) for finding in findings],
            receipt_facts(receipt.digest, receipt.signed_by, claims.salt),
            receipt.envelope,
        )
        end.add_exchange(seq, entry.exchange_id, claims.issued_at_ns, parts.digest())
        return receipt

    def _check_file(self) -> None:
        """SQLite would go on writing into a file that was deleted or replaced, and every record in it would be lost with us."""
        if _identity(self._path) != self._file:
            raise sqlite3.OperationalError("deleted or replaced under the running node; put it back, or restart the node")

    def _probe(self) -> None:
        try:
            self._check_file()
            with transaction(self._connection):
                self._connection.execute(_PROBE, (PROBE_BYTES,))
            self._trouble = None
        except sqlite3.Error as exc:
            self._trouble = trouble(self._path, exc)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is at `path`. Asked of the directory: opening it beside SQLite would drop SQLite's locks."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _resolve(outcomes: Iterable[_Outcome]) -> None:
    """Wake each event loop once for all of its futures."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome[0].loop, []).append(outcome)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_set_results, theirs)
        except RuntimeError:  # the loop is closed: nobody waits any more, and the record stands
            continue


def _set_results(outcomes: Iterable[_Outcome]) -> None:
    for waiting, result in outcomes:
        if waiting.future.done():  # its client left: the record stands all the same
            continue
        if isinstance(result, RecordNotWritten):
            waiting.future.set_exception(result)
        else:
            waiting.future.set_result(result)
