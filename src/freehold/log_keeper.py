"""Keeps the log's tree up to date in a running node, its files written out, and its witnesses asked.

What fails is tried again in the next round, stands in the status, and is told as an alert when it begins.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import aiohttp

from freehold.core.errors import ArtefactError, FreeholdError, VerificationError
from freehold.core.findings import Alert
from freehold.core.ports import Alarm, UpstreamStatus
from freehold.provenance.log_config import LogConfig, WitnessConfig
from freehold.store.tree import Checkpoint
from freehold.tile_log import TileLog
from freehold.witnessing import TIMEOUT, ask

_NOT_YET = UpstreamStatus(ready=True, detail="no tree head yet")

Count = Callable[[str, str], None]  # (witness, outcome): cosigned, failed, refused


class LogKeeper:
    """Implements `core.ports.LogState`. `publish` and `witness` are tasks of the node."""

    def __init__(
        self,
        log: TileLog,
        config: LogConfig,
        witnesses: Sequence[WitnessConfig],
        alarm: Alarm,
        *,
        folder: Path | None = None,
        count: Count = lambda witness, outcome: None,
    ) -> None:
        self._log, self._config, self._alarm, self._folder, self._count = log, config, alarm, folder, count
        self._witnesses = {one.note_key().name: one for one in witnesses}
        self._last: Checkpoint | None = None
        self._state = _NOT_YET
        self._cosigned: dict[str, int] = {}
        self._states = {name: UpstreamStatus(ready=False, detail="not asked yet") for name in self._witnesses}

    def size(self) -> int | None:
        return None if self._last is None else self._last.size

    def status(self) -> Mapping[str, UpstreamStatus]:
        return {"log": self._state, **{f"witness {name}": state for name, state in self._states.items()}}

    async def publish(self) -> None:
        """Sign a head every `checkpoint_s`, until cancelled."""
        while True:
            await self.publish_once()
            await asyncio.sleep(self._config.checkpoint_s)

    async def publish_once(self) -> None:
        try:
            self._last = await asyncio.to_thread(self._log.publish)
        except FreeholdError as error:
            self._fail(error, broken=isinstance(error, ArtefactError))
            return
        try:
            if self._folder is not None:
                await asyncio.to_thread(self._log.write_folder, self._folder)
        except FreeholdError as error:
            self._fail(error, broken=False)
            return
        size = self.size()
        self._state = _NOT_YET if size is None else UpstreamStatus(ready=True, detail=f"a tree head over {size} rows is signed")

    def _fail(self, error: FreeholdError, *, broken: bool) -> None:
        if self._state.ready:
            self._tell("log_broken" if broken else "log_not_published", error.message, critical=broken)
        self._state = UpstreamStatus(ready=False, detail=error.message)

    async def witness(self) -> None:
        """Ask each witness every `witness_s`, where rows came, until cancelled."""
        if not self._witnesses:
            return
        async with aiohttp.ClientSession(timeout=TIMEOUT) as http:
            while True:
                await self.ask_once(http)
                await asyncio.sleep(self._config.witness_s)

    async def ask_once(self, http: aiohttp.ClientSession) -> None:
        await self.publish_once()
        await asyncio.gather(*(self._ask(http, name) for name in self._witnesses))

    async def _ask(self, http: aiohttp.ClientSession, name: str) -> None:
        last = self._last
        if last is None or self._cosigned.get(name) == last.size:
            return
        try:
            await ask(http, self._witnesses[name], self._log, last)
        except FreeholdError as error:
            forked = isinstance(error, VerificationError)
            if self._states[name].detail != error.message:
                self._tell("log_forked" if forked else "witness_failed", error.message, critical=forked)
            self._states[name] = UpstreamStatus(ready=False, detail=error.message)
            self._count(name, "refused" if forked else "failed")
            return
        self._cosigned[name] = last.size
        self._states[name] = UpstreamStatus(ready=True, detail=f"has cosigned {last.size} rows")
        self._count(name, "cosigned")

    def _tell(self, kind: str, message: str, *, critical: bool) -> None:
        self._alarm.raise_alert(Alert(kind=kind, severity="critical" if critical else "warning", message=message))
