"""What the node writes down of its meter beside each exchange: lines of the machine's energy, and changes of efficiency.

Every few minutes a row `energy_window` of the log says what the engine's meter saw since the row before: in all, and idle,
unattributed, loading, given to answers. When the engine serves another model or another build than the last one that was noted,
a row `efficiency_event` says so, as does one when prices change: what the same demand takes is another then.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from freehold.core.errors import RecordNotWritten
from freehold.core.measurement import EnergyTotals
from freehold.core.ports import AuditLog, EngineLoad, EngineLoadProbe
from freehold.core.totals import LogRow

WINDOW: Final = "energy_window"
EVENT: Final = "efficiency_event"
EVERY_S: Final = 300.0
LOOK_S: Final = 1.0
FIRST: Final = "first"  # no change: what later ones are told from
_OF_PRICES: Final = ("price_changed", FIRST)
_LINES: Final = ("seconds", "unknown_s", "energy_j", "attributed_j", "idle_j", "unattributed_j", "load_j")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the last event said of the engine: None where none was."""

    model: str
    model_id: str
    build: str


def last_served(events: Sequence[LogRow]) -> Served | None:
    for row in reversed(events):
        to = row.facts.get("to")
        if isinstance(to, dict) and {"model", "model_id", "build"} <= to.keys():
            return Served(model=str(to["model"]), model_id=str(to["model_id"]), build=str(to["build"]))
    return None


def last_prices(events: Sequence[LogRow]) -> str | None:
    """The digest of the price list that was noted last."""
    found = [to for row in events if isinstance(to := row.facts.get("to"), str) and row.facts.get("what") in _OF_PRICES]
    return found[-1] if found else None


def event(what: str, models: Sequence[str], *, before: object = None, after: object = None, note: str = "") -> dict[str, Any]:
    """The facts of a row `efficiency_event`. What is not known is left out."""
    facts = {"what": what, "models": list(models), "from": before, "to": after, "note": note}
    return {name: value for name, value in facts.items() if value not in (None, "")}


def change(before: Served | None, now: Served) -> dict[str, Any] | None:
    """What changed, as an event's facts; None where nothing did. The first is noted, so that the next can be told from it."""
    if before == now:
        return None
    to = {"model": now.model, "model_id": now.model_id, "build": now.build}
    if before is None:
        return event(FIRST, [now.model], after=to)
    old = {"model": before.model, "model_id": before.model_id, "build": before.build}
    what = "engine_upgraded" if before.model_id == now.model_id else "model_swapped"
    return event(what, sorted({before.model, now.model}), before=old, after=to)


class MeterJournal:
    """Looks at the engine each second and writes to the log. A row that can't be written is made up for by the next."""

    def __init__(
        self,
        audit: AuditLog,
        load: EngineLoadProbe,
        model: str,
        served: Served | None,
        clock: Callable[[], float],
        every_s: float = EVERY_S,
    ) -> None:
        self._audit, self._load, self._model, self._served = audit, load, model, served
        self._clock, self._every_s = clock, every_s
        self._written: EnergyTotals | None = None  # of the engine's present life, what rows have said
        self._seen: EnergyTotals | None = None
        self._due_s = clock() + every_s

    async def run(self) -> None:
        """Until it is cancelled, which writes the last row."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                with contextlib.suppress(RecordNotWritten):  # the disk is full: the next row has it all
                    await self.look()
        except asyncio.CancelledError:
            with contextlib.suppress(RecordNotWritten):
                await self.write()
            raise

    async def look(self) -> None:
        load = self._load()
        await self._note_served(load)
        totals = load.energy
        has_ended = self._seen is not None and (totals is None or totals.seconds < self._seen.seconds)
        if has_ended:  # an engine's last life is written down before the next one counts from 0
            await self.write()
            self._written = self._seen = None
        self._seen = totals
        if self._clock() >= self._due_s:
            await self.write()

    async def write(self) -> None:
        """What was seen since the last row, if there was anything."""
        self._due_s = self._clock() + self._every_s
        newest = self._load().energy
        if newest is not None and (self._seen is None or newest.seconds >= self._seen.seconds):
            self._seen = newest
        if self._seen is not None and (facts := window(self._written, self._seen)) is not None:
            await self._audit.append(WINDOW, facts)
            self._written = self._seen

    async def _note_served(self, load: EngineLoad) -> None:
        if load.model_id is None or load.build is None:
            return
        now = Served(model=self._model, model_id=load.model_id, build=load.build)
        if (facts := change(self._served, now)) is not None:
            await self._audit.append(EVENT, facts)
            self._served = now


def window(before: EnergyTotals | None, now: EnergyTotals) -> dict[str, Any] | None:
    """The facts of a row `energy_window`; None where nothing has happened. What the source can't tell is left out."""
    facts: dict[str, Any] = {"source": now.source, "grade": str(now.grade), "device": now.device}
    for name in _LINES:
        value, earlier = getattr(now, name), getattr(before, name) if before is not None else None
        if value is not None:
            facts[name] = round(value - (earlier or 0.0), 6)
    return facts if facts["seconds"] > 0 or facts["attributed_j"] else None


def lines(rows: Sequence[LogRow]) -> Mapping[str, float]:
    """Rows `energy_window` added up: seconds and joules by their names."""
    sums: dict[str, float] = {}
    for row in rows:
        for name in _LINES:
            if isinstance(value := row.facts.get(name), int | float):
                sums[name] = sums.get(name, 0.0) + value
    return sums
