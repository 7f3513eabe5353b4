"""Witnessing, both ways: this node cosigns other nodes' logs, and has witnesses cosign its own.

As a witness it takes submissions (`provenance/witness.py`), keeps the last tree head of each log durable before it answers, and
notes in its own log what it refused: a fork is worth remembering. It does not note what it cosigned, or two nodes that witness
each other would never come to rest.
"""

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from freehold.core.errors import (
    ArtefactError,
    MalformedArtefact,
    UpstreamRejected,
    UpstreamUnavailable,
    VerificationError,
    reason_of,
)
from freehold.core.findings import Alert
from freehold.core.ports import Alarm, UnixClock, WitnessAnswer
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance import note as notes
from freehold.provenance import witness
from freehold.provenance.checkpoint import Cosignature
from freehold.provenance.log_config import WitnessConfig
from freehold.provenance.note import NoteKey, NoteSignature
from freehold.provenance.witness import SIZE_MEDIA_TYPE, Conflict, Submission
from freehold.store import audit
from freehold.store.config import StoreConfig
from freehold.store.database import connected, open_writer, transaction
from freehold.store.tree import Checkpoint
from freehold.store.witnessed import Seen, advance
from freehold.tile_log import TileLog

TIMEOUT = aiohttp.ClientTimeout(total=20)
ANSWER_LIMIT_BYTES = 64 << 10
WITNESS_REFUSED = "witness_refused"  # of the log's rows
_TEXT = "text/plain; charset=utf-8"


class Witness:
    """Implements `core.ports.Witness`: cosigns the logs it was told of."""

    def __init__(
        self,
        path: Path,
        config: StoreConfig,
        logs: Mapping[str, NoteKey],
        own: TileLog,
        alarm: Alarm | None = None,
        unix_ns: UnixClock = time.time_ns,
    ) -> None:
        self._path, self._config, self._logs, self._own = path, config, logs, own
        self._alarm, self._unix_ns = alarm, unix_ns
        self._refused: tuple[str, int, bytes] | None = None

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Blocks on the disk. Raises DeviceError where what was seen can't be kept."""
        try:
            submission = witness.parse(body)
        except MalformedArtefact as error:
            return _plain(400, error.message)
        found = submission.checkpoint
        key = self._logs.get(found.origin)
        if key is None:
            return _plain(404, "this witness does not know a log of this origin")
        try:
            notes.verify(found.note, [key])
        except VerificationError as error:
            return _plain(403, error.message)
        with connected(open_writer, self._path, self._config.busy_timeout_s) as connection:
            return self._judge(connection, submission)

    def _judge(self, connection: sqlite3.Connection, submission: Submission) -> WitnessAnswer:
        found, before = submission.checkpoint, Seen()

        def check(seen: Seen) -> None:
            nonlocal before
            before = seen
            witness.check(submission, seen.size, seen.root)

        try:
            advance(connection, found.origin, Seen(size=found.size, root=found.root), str(found.note), self._unix_ns(), check)
        except Conflict as conflict:
            return WitnessAnswer(status=409, body=f"{conflict.size}\n", media_type=SIZE_MEDIA_TYPE)
        except VerificationError:
            if before.size:
                self._note_refusal(connection, submission, before)
            return _plain(409 if before.size == found.size else 422, witness.forked(before.size, found.size).message)
        signature = self._own.cosign(found, self._unix_ns() // 1_000_000_000)
        return _plain(200, str(signature).removesuffix("\n"))

    def _note_refusal(self, connection: sqlite3.Connection, submission: Submission, seen: Seen) -> None:
        """Once: the same is sent again and again by a log that does not know that it is forked."""
        found = submission.checkpoint
        if (found.origin, found.size, found.root) == self._refused:
            return
        self._refused = (found.origin, found.size, found.root)
        facts = {
            "origin": found.origin,
            "seen_size": seen.size,
            "seen_root": seen.root.hex(),
            "size": found.size,
            "root": found.root.hex(),
        }
        with transaction(connection):
            audit.append(connection, [audit.decision(WITNESS_REFUSED, facts, self._unix_ns())], self._own.sealer)
        if self._alarm is not None:
            message = f"the log {found.origin} was not cosigned: {witness.forked(seen.size, found.size).message}"
            self._alarm.raise_alert(Alert(kind="log_forked", severity="critical", message=message))


def _plain(status: int, text: str) -> WitnessAnswer:
    return WitnessAnswer(status=status, body=f"{text}\n", media_type=_TEXT)


async def ask(http: aiohttp.ClientSession, config: WitnessConfig, log: TileLog, last: Checkpoint) -> Cosignature:
    """Have one witness cosign `last`, and keep what it gives.

    Raises VerificationError where the witness has seen another log than this, UpstreamError where it does not cosign for another
    reason.
    """
    key = config.note_key()
    old_size = await asyncio.to_thread(log.cosigned_size, key)
    last = await asyncio.to_thread(_reaching, old_size, last, key, log)
    for _ in range(3):  # from the size we know of, from the one it says, and once more if another asked meanwhile
        status, media_type, body = await _post(http, config.url, await asyncio.to_thread(log.submission, old_size, last))
        if status != 409 or media_type != SIZE_MEDIA_TYPE:
            break
        told = checkpoints.read_size(body.removesuffix("\n"))
        last = await asyncio.to_thread(_reaching, told, last, key, log)
        if told == old_size:
            break  # it has this size, with another root
        old_size = told
    else:
        raise UpstreamRejected(f"the witness {key.name} is asked by others at the same time; ask again", status=status)
    if status in (409, 422):
        raise witness.forked(old_size, last.size)
    if status != 200:
        hint = " (list the log's key there, in witness_for)" if status in (403, 404) else ""
        raise UpstreamRejected(f"the witness {key.name} answered with HTTP {status}{hint}: {_line(body)}", status=status)
    signatures, given = _read_cosignatures(body, key, last)
    if not given:
        raise UpstreamRejected(f"the witness at {config.url} did not sign with the key {key.name} that is configured", status=502)
    await asyncio.to_thread(log.add_cosignatures, last, signatures)
    return given[0]


def _reaching(size: int, last: Checkpoint, key: NoteKey, log: TileLog) -> Checkpoint:
    """`last`, or a newer one: another process of this node may have asked meanwhile, over more rows."""
    if size <= last.size:
        return last
    newest = log.publish() or last
    if size > newest.size:
        raise VerificationError(
            f"the witness {key.name} has cosigned {size} rows of this log, which has {newest.size}: its end was cut off, or an "
            "older copy was put back"
        )
    return newest


def _read_cosignatures(body: str, key: NoteKey, last: Checkpoint) -> tuple[list[NoteSignature], list[Cosignature]]:
    """The lines by `key` that a witness gave, and what they say."""
    try:
        signatures = [one for one in notes.parse_signatures(body) if one.is_by(key)]
        note = checkpoints.with_signatures(checkpoints.parse(last.note).note, signatures)
        return signatures, checkpoints.cosignatures(note, [key])
    except ArtefactError as error:
        raise UpstreamRejected(f"the witness {key.name} gave no cosignature that holds: {error.message}", status=502) from error


async def _post(http: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int, str, str]:
    address = f"{url.rstrip('/')}/add-checkpoint"
    try:
        async with http.post(address, data=body, allow_redirects=False) as answer:
            raw = await answer.content.read(ANSWER_LIMIT_BYTES)
            return answer.status, answer.content_type, raw.decode()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
        raise UpstreamUnavailable(f"the witness at {url} cannot be asked: {reason_of(exc)}") from exc


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:200]).strip()
