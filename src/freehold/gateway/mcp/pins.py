"""What each MCP server offers, pinned by digest: what was there at first sight stays, what changes waits for a person.

Decided here: the first list of a kind that a server gives is trusted, except for what looks poisoned; a tool whose words or
schemas change is withheld until somebody accepts it, and so is one that comes later, unless the configuration says otherwise.
The pins are in one file of the home, for the node, `freehold mcp wrap` and `freehold mcp pins` together: names, digests and
times, none of the servers' words. Every change is made under a lock and in one step.
"""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import orjson

from freehold.core.errors import DeviceError, MalformedArtefact, NotFound, os_errors
from freehold.core.ports import UnixClock

FILE_NAME: Final = "mcp-pins.json"
PINNED: Final = {"tools": "tool", "prompts": "prompt", "resourceTemplates": "resource template"}  # resources come and go
NAME: Final = re.compile(r"[A-Za-z0-9_.\-/]{1,128}")  # what a tool may be called, in the protocol's words
ITEMS_LIMIT: Final = 10_000  # of one server; the file is read whole

Why = Literal["", "changed", "new", "poisoned", "not the pinned list"]


class Pin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a server offers. `accepted` may pass; `waiting` is what the server says now, if that may not."""

    accepted: str = ""
    waiting: str = ""
    why: Why = ""
    at: int = 0  # Unix seconds of its last change

    @property
    def may_pass(self) -> bool:
        return bool(self.accepted) and not self.waiting


class ServerPins(msgspec.Struct, kw_only=True):
    kinds: dict[str, dict[str, Pin]] = {}


class _File(msgspec.Struct, kw_only=True):
    version: Literal[1] = 1
    servers: dict[str, ServerPins] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a list told that was not known before."""

    name: str
    why: Why
    was: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one look at a list came to."""

    is_first: bool
    withheld: Mapping[str, Why]
    changes: tuple[Change, ...]
    shadowed: Mapping[str, str]  # names that another server has as well, as far as they are new here
    others: frozenset[str]  # every tool's name of the other servers


def digest_of(item: Mapping[str, Any]) -> str:
    """Over all a server says of one thing, in whatever order it says it."""
    return f"sha256:{hashlib.sha256(orjson.dumps(item, option=orjson.OPT_SORT_KEYS)).hexdigest()}"


def digests_of(named: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """By name. A server may list one name twice, and a client may take either: then the digest is over all that have it."""
    items: dict[str, list[Mapping[str, Any]]] = {}
    for name, item in named:
        items.setdefault(name, []).append(item)
    return {name: digest_of(same[0] if len(same) == 1 else {"all": same}) for name, same in items.items()}


def list_digest(digests: Mapping[str, str]) -> str:
    """Of a whole list: what `pin` in the configuration names."""
    return f"sha256:{hashlib.sha256(orjson.dumps(sorted(digests.items()))).hexdigest()}"


def shown(name: str) -> str:
    """A name as it may stand in records and alerts: a server may call a tool anything."""
    return name if NAME.fullmatch(name) else f"sha256:{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:16]}"


Waiting = tuple[str, str, Pin]  # kind, name, and the pin as it was seen


class PinBook:
    """The pins of all servers. `look` blocks on the disk and on other processes, so call it off the event loop."""

    def __init__(self, path: Path, unix_ns: UnixClock) -> None:
        self._path, self._unix_ns = path, unix_ns
        self._read: tuple[tuple[int, int, int], _File] | None = None

    def servers(self) -> Mapping[str, ServerPins]:
        return self._now().servers

    def find(self, server: str, kind: str, name: str) -> Pin | None:
        """Raises MalformedArtefact for a file that is none."""
        pins = self._now().servers.get(server)
        return None if pins is None else pins.kinds.get(kind, {}).get(name)

    def look(
        self,
        server: str,
        kind: str,
        digests: Mapping[str, str],
        *,
        poisoned: frozenset[str] = frozenset(),
        takes_new: bool = False,
        pin: str | None = None,
    ) -> Sighting:
        """Compare what a server offers now with its pins, and keep what is new. `pin` is the list's digest by configuration."""
        with self._changing() as file:
            pins = file.servers.setdefault(server, ServerPins())
            known = pins.kinds.get(kind)
            items = pins.kinds.setdefault(kind, {})
            trusts = pin == list_digest(digests) if pin is not None else takes_new or known is None
            changes: list[Change] = []
            withheld: dict[str, Why] = {}
            others = {name: other for other, its in file.servers.items() if other != server for name in its.kinds.get(kind, {})}
            fresh = [name for name in digests if name not in items]
            for name, digest in digests.items():
                before = items.get(name, Pin())
                after = self._compared(before, digest, trusts=trusts, is_poisoned=name in poisoned, is_pinned=pin is not None)
                if after != before:
                    if len(items) >= ITEMS_LIMIT and name not in items:
                        withheld[name] = "new"
                        continue
                    items[name] = after
                    if not after.may_pass or before.accepted:
                        changes.append(Change(name=name, why=after.why, was=before.accepted, now=digest))
                if not after.may_pass:
                    withheld[name] = after.why
            return Sighting(
                is_first=known is None,
                withheld=withheld,
                changes=tuple(change for change in changes if change.why),
                shadowed={name: others[name] for name in fresh if name in others},
                others=frozenset(others) - frozenset(digests),
            )

    def waiting(self, server: str, names: frozenset[str] = frozenset()) -> list[Waiting]:
        """What somebody has to decide on, or those of `names` alone. Raises NotFound."""
        pins = _known(self._now(), server)
        return [
            (kind, name, pin)
            for kind, items in pins.kinds.items()
            for name, pin in items.items()
            if pin.waiting and (not names or name in names)
        ]

    def accept(self, server: str, waiting: Sequence[Waiting]) -> None:
        """Let these pass as they were seen waiting: what has changed since waits on. Raises NotFound."""
        with self._changing() as file:
            pins = _known(file, server)
            for kind, name, seen in waiting:
                if pins.kinds.get(kind, {}).get(name, Pin()).waiting == seen.waiting:
                    pins.kinds[kind][name] = Pin(accepted=seen.waiting, at=self._now_s())

    def forget(self, server: str) -> None:
        """As if it had never been seen. Raises NotFound."""
        with self._changing() as file:
            _known(file, server)
            del file.servers[server]

    def _compared(self, before: Pin, digest: str, *, trusts: bool, is_poisoned: bool, is_pinned: bool) -> Pin:
        if digest == before.accepted:
            return before if before.may_pass else Pin(accepted=digest, at=self._now_s())
        if digest == before.waiting and not (is_pinned and trusts):
            return before
        if is_pinned:
            why: Why = "" if trusts else "not the pinned list"
        elif is_poisoned:
            why = "poisoned"
        elif before.accepted or before.waiting:
            why = "changed"
        else:
            why = "" if trusts else "new"
        if not why:
            return Pin(accepted=digest, at=self._now_s())
        return Pin(accepted=before.accepted, waiting=digest, why=why, at=self._now_s())

    def _now_s(self) -> int:
        return self._unix_ns() // 1_000_000_000

    def _now(self) -> _File:
        stamp = self._stamp()
        if self._read is None or self._read[0] != stamp:
            self._read = stamp, self._load()
        return self._read[1]

    def _stamp(self) -> tuple[int, int, int]:
        with contextlib.suppress(OSError):
            facts = self._path.stat()
            return facts.st_ino, facts.st_mtime_ns, facts.st_size
        return 0, 0, 0

    def _load(self) -> _File:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except OSError as exc:
            raise DeviceError(f"cannot read the pins in {self._path}: {exc.strerror}") from exc
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise MalformedArtefact(
                f"{self._path} holds no pins that can be read; put it back from a backup, or take it away to pin all servers anew"
            ) from exc

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_File]:
        """The pins as they are, written back if the block changed them."""
        with os_errors(f"cannot write the pins beside {self._path}"):
            lock = os.open(self._path.with_name(f".{FILE_NAME}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            file = self._load()
            before = msgspec.json.encode(file)
            yield file
            after = msgspec.json.encode(file)
            if after != before:
                self._write(after)
        finally:
            os.close(lock)
        self._read = None

    def _write(self, content: bytes) -> None:
        part = self._path.with_name(f".{FILE_NAME}.new")  # under the lock nobody else writes it
        with os_errors(f"cannot write the pins to {self._path}"):
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as out:
                out.write(msgspec.json.format(content, indent=1))
                out.flush()
                os.fsync(out.fileno())
            part.replace(self._path)


def _known(file: _File, server: str) -> ServerPins:
    """Raises NotFound."""
    if (pins := file.servers.get(server)) is None:
        raise NotFound(f"no MCP server {server!r} was seen yet; 'freehold mcp pins list' shows those that were")
    return pins
