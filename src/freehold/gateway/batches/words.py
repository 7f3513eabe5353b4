"""How a client says that its work can wait, and until when.

By headers, or by fields of the body for who has none to set: `priority` and `deadline` are this node's own, in every dialect, and
go to no upstream. A number as `priority` is vLLM's and stays where it is. What a dialect has of its own (`service_tier: "flex"`)
its codec reads, and it goes on as it is: `Exchange.can_wait`. An explicit word counts before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from freehold.core.errors import InvalidRequest

PRIORITY_HEADER: Final = b"x-freehold-priority"
DEADLINE_HEADER: Final = b"x-freehold-deadline"
PRIORITY_FIELD: Final = "priority"
DEADLINE_FIELD: Final = "deadline"
DEFERRABLE: Final = "deferrable"
NOW: Final = "now"

LONGEST_WAIT_S: Final = 86_400.0  # of one request: no connection lasts longer
_WORDS_SHOWN: Final = 60
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """A request that can wait until then. Unix seconds."""

    arrived_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What was said; empty where nothing was."""

    priority: str = ""
    deadline: str = ""

    def deferral(self, arrived_s: float, *, default_wait_s: float, can_wait: bool) -> Deferral | None:
        """`can_wait` is what the dialect's own words say. Raises InvalidRequest for a deadline that makes no sense."""
        if not (self.priority == DEFERRABLE or (can_wait and self.priority != NOW)):
            if self.deadline:
                raise InvalidRequest(
                    f"a deadline goes with the priority {DEFERRABLE!r}: the header {PRIORITY_HEADER.decode()}, or the field "
                    f"{PRIORITY_FIELD}",
                    param=DEADLINE_FIELD,
                )
            return None
        if not self.deadline:
            return Deferral(arrived_s=arrived_s, deadline_s=arrived_s + default_wait_s)
        deadline_s = read_deadline(self.deadline, arrived_s)
        if deadline_s > arrived_s + LONGEST_WAIT_S:
            raise InvalidRequest("a request waits for a day at most; make it a line of a batch", code="deadline_too_late")
        return Deferral(arrived_s=arrived_s, deadline_s=deadline_s)


NOTHING_SAID: Final = Words()


def said_in_headers(headers: Mapping[bytes, bytes]) -> Words:
    """Raises InvalidRequest for a priority that is none."""
    if PRIORITY_HEADER not in headers and DEADLINE_HEADER not in headers:
        return NOTHING_SAID
    priority = _header(headers, PRIORITY_HEADER)
    return Words(priority=_known(priority, PRIORITY_HEADER.decode()), deadline=_header(headers, DEADLINE_HEADER))


def taken_out(document: Mapping[str, Any]) -> tuple[Words, Mapping[str, Any]]:
    """What a body says, and the body without it; NOTHING_SAID where it has none of the fields. Raises InvalidRequest."""
    priority, deadline = document.get(PRIORITY_FIELD), document.get(DEADLINE_FIELD)
    said = {DEADLINE_FIELD} if DEADLINE_FIELD in document else set()
    if PRIORITY_FIELD in document and type(priority) is not int:
        said.add(PRIORITY_FIELD)
    if not said:
        return NOTHING_SAID, document
    words = Words(
        priority=_known(_text(priority, PRIORITY_FIELD) if PRIORITY_FIELD in said else "", PRIORITY_FIELD),
        deadline=str(deadline) if type(deadline) is int else _text(deadline, DEADLINE_FIELD),
    )
    return words, {name: value for name, value in document.items() if name not in said}


def together(headers: Words, body: Words) -> Words:
    """Said in either place. Raises InvalidRequest where the two differ."""
    if headers is NOTHING_SAID:
        return body
    pairs = {PRIORITY_FIELD: (headers.priority, body.priority), DEADLINE_FIELD: (headers.deadline, body.deadline)}
    for field, (one, other) in pairs.items():
        if one and other and one != other:
            raise InvalidRequest(f"{field} is said by a header and by the body, and differently; keep one", param=field)
    return Words(priority=headers.priority or body.priority, deadline=headers.deadline or body.deadline)


def read_deadline(written: str, now_s: float) -> float:
    """Unix seconds of a time (`2026-03-01T14:00:00Z`, `1772373600`) or a span from now (`90m`, `24h`). Raises InvalidRequest."""
    deadline_s = _read_time(written, now_s)
    if deadline_s is None:
        shown = written[:_WORDS_SHOWN]
        raise InvalidRequest(
            f"the deadline {shown!r} is no time: write it like 2026-03-01T14:00:00Z, 90m or 24h", code="invalid_deadline"
        )
    if deadline_s <= now_s:
        raise InvalidRequest("the deadline is in the past: nothing can be done by then", code="deadline_in_the_past")
    return deadline_s


def _read_time(written: str, now_s: float) -> float | None:
    number, unit = written[:-1], _UNITS.get(written[-1:])
    if unit is not None and number.isascii() and number.isdigit() and len(number) <= 6:
        return now_s + int(number) * unit
    if written.isascii() and written.isdigit() and len(written) <= 12:
        return float(written)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp()


def _header(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").strip()


def _text(value: Any, field: str) -> str:
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{field}: expected a string", param=field, code="invalid_value")
    return (value or "").strip()


def _known(priority: str, where: str) -> str:
    if priority not in (DEFERRABLE, NOW, ""):
        raise InvalidRequest(
            f"{where} is {DEFERRABLE!r} or {NOW!r}, got {priority[:_WORDS_SHOWN]!r}", param=PRIORITY_FIELD, code="invalid_value"
        )
    return priority
