"""The policy file, read again when it changes.

The file is looked at once a second. A change counts once the file has been the same for two looks, so that one that is still
being written is not taken for broken. What can't be used changes nothing but the guard's status, and raises an alert. Where the
file lies, and how it is read, is in `policy_read.py`.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from freehold import heap
from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.findings import Alert
from freehold.core.ports import Alarm
from freehold.guard.policy_file import PolicySource
from freehold.policy_read import read_policy

LOOK_EVERY_S = 1.0
_Stamp = tuple[int, int, int]
_Signature = tuple[_Stamp | None, ...]
_Prepared = TypeVar("_Prepared")


class Reloadable(Protocol[_Prepared]):
    """What the watch needs of the guard."""

    def prepare(self, policy: PolicySource | None) -> _Prepared: ...

    def adopt(self, prepared: _Prepared) -> None: ...

    def refuse(self, reason: str) -> None: ...


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
            before = await asyncio.to_thread(self._stamps)
            self._seen = tuple(before.values())
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
            # The guard took seconds: what was saved meanwhile is seen at the next look.
            after = await asyncio.to_thread(self._stamps)
            self._seen = tuple(before.get(path, stamp) for path, stamp in after.items())
            self._on_reload(True)
            await asyncio.to_thread(heap.give_back)
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
        return tuple(self._stamps().values())

    def _stamps(self) -> dict[Path, _Stamp | None]:
        return {path: _stamp(path) for path in (self._path, *self._term_files)}


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
