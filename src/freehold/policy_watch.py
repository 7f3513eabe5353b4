"""The policy file: read, and read again when it changes.

Where it lies is decided here: `[guard] policy`, relative to the configuration's folder, else to the home. The file is looked at
once a second. A change counts once the file has been the same for two looks, so that one that is still being written is not
taken for broken. What can't be used changes nothing but the guard's status, and raises an alert.
"""

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.findings import Alert
from freehold.core.ports import Alarm
from freehold.guard.policy_file import PolicySource, parse

LOOK_EVERY_S = 1.0
_SIZE_LIMIT_BYTES = 64 << 20  # 200,000 terms of 256 characters
_Signature = tuple[tuple[int, int, int] | None, ...]
_Prepared = TypeVar("_Prepared")


class Reloadable(Protocol[_Prepared]):
    """What the watch needs of the guard."""

    def prepare(self, policy: PolicySource | None) -> _Prepared: ...

    def adopt(self, prepared: _Prepared) -> None: ...

    def refuse(self, reason: str) -> None: ...


def policy_path(policy: str | None, config_path: Path | None, home: Path) -> Path | None:
    """The file that `[guard] policy` names; None where it names none."""
    if policy is None:
        return None
    return (config_path.parent if config_path is not None else home) / Path(policy).expanduser()


def read_policy(path: Path) -> PolicySource:
    """The file and the term files it names, those relative to its folder. Raises ConfigError."""
    bare = PolicySource(name=str(path), text=_read(path, f"cannot read the policy {path}"))
    names = {dictionary.file for dictionary in parse(bare).dictionaries if dictionary.file is not None}
    files = {name: _read(path.parent / name, f"{path}: cannot read the terms in {name}") for name in sorted(names)}
    return PolicySource(name=bare.name, text=bare.text, term_files=files)


def _read(path: Path, complaint: str) -> str:
    try:
        found = path.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # a pipe would be waited for, with no end
            raise ConfigError(f"{complaint}: it is a pipe or a device; write the policy into a file")
        if found.st_size > _SIZE_LIMIT_BYTES:
            raise ConfigError(f"{complaint}: it has more than {_SIZE_LIMIT_BYTES >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{complaint}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{complaint}: it is not UTF-8 text") from exc


class PolicyWatch:
    """Keeps a guard's policy what the file says. `on_reload` is told of every attempt whether it was taken."""

    def __init__(
        self,
        path: Path,
        guard: Reloadable[_Prepared],
        alarm: Alarm | None = None,
        on_reload: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._guard: Reloadable[object] = guard  # type: ignore[assignment]  # what it prepares goes back to it alone
        self._alarm, self._on_reload = alarm, on_reload
        self._term_files: tuple[Path, ...] = ()
        self._reloading = asyncio.Lock()
        self._note_term_files()
        self._seen = self._signature()

    async def run(self) -> None:
        """Look for changes until cancelled."""
        pending: _Signature | None = None
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            pending = await self.look(pending)

    async def look(self, pending: _Signature | None) -> _Signature | None:
        """One look: reload where the file is not what it was, and is what it was at the look before."""
        now = await asyncio.to_thread(self._signature)
        if now == self._seen:
            return None
        if now != pending:
            return now
        await self.reload()
        return None

    async def reload(self) -> bool:
        """Take the file as it is now; whether it could be taken. For SIGHUP, too."""
        async with self._reloading:
            self._seen = await asyncio.to_thread(self._signature)
            try:
                prepared = await asyncio.to_thread(lambda: self._guard.prepare(read_policy(self._path)))
            except FreeholdError as error:
                self._refuse(error.message)
                return False
            except Exception as exc:  # the watch outlives whatever a file does to it
                self._refuse(f"{self._path}: the policy cannot be taken ({type(exc).__name__})")
                return False
            self._guard.adopt(prepared)
            await asyncio.to_thread(self._note_term_files)
            self._seen = await asyncio.to_thread(self._signature)
            self._on_reload(True)
            return True

    def _refuse(self, reason: str) -> None:
        self._guard.refuse(reason)
        self._on_reload(False)
        if self._alarm is not None:
            message = f"{reason}; the policy before it stays in force"
            self._alarm.raise_alert(Alert(kind="policy_refused", severity="critical", message=message))

    def _note_term_files(self) -> None:
        """Those of the last file that could be read: a broken one names none."""
        try:
            self._term_files = tuple(self._path.parent / name for name in read_policy(self._path).term_files)
        except ConfigError:
            return

    def _signature(self) -> _Signature:
        return tuple(_stamp(path) for path in (self._path, *self._term_files))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
