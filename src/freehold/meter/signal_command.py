"""Asks an operator's own command what electricity is like: a meter, an API that this node has no client for.

It prints carbon intensity in g/kWh as a bare number; or a JSON object with any of `g_per_kwh`, `price_per_kwh`, `surplus_w`, and
`start` and `end` if it is not about now; or a list of such objects in order of time. Electricity Maps' API answers
(`carbonIntensity`, `datetime`, and lists of them as `forecast` or `history`) are read as they are.
"""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from freehold.core.errors import DeviceError, MalformedArtefact
from freehold.core.ports import SignalPoint
from freehold.meter.signal_series import ROW_LIMIT, Row, number_of, points_of, time_of

OUTPUT_LIMIT_BYTES: Final = 16 << 20
_LISTS: Final = ("points", "forecast", "history")
_SOURCE: Final = "signal.command"


def ask(command: Sequence[str], *, now_s: float, hold_s: float, timeout_s: float) -> tuple[SignalPoint, ...]:
    """Points in order. What is told of now holds for `hold_s`. Raises DeviceError, or MalformedArtefact for what it printed."""
    try:  # the operator's own words, and no shell
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL)  # noqa: S603 - the operator's own
    except subprocess.TimeoutExpired as exc:
        raise DeviceError(f"{_SOURCE} {command[0]!r} gave no answer within its {timeout_s:g} s") from exc
    except (OSError, ValueError) as exc:
        raise DeviceError(f"{_SOURCE} {command[0]!r} cannot be started: {exc}") from exc
    if done.returncode != 0:
        raise DeviceError(f"{_SOURCE} {command[0]!r} ended with status {done.returncode}; run it by hand to see why")
    return read_answer(done.stdout, now_s=now_s, hold_s=hold_s)


def read_answer(answer: bytes, *, now_s: float, hold_s: float) -> tuple[SignalPoint, ...]:
    """Raises MalformedArtefact, whatever the bytes."""
    if len(answer) > OUTPUT_LIMIT_BYTES:
        raise MalformedArtefact(f"{_SOURCE} printed {len(answer)} bytes; at most {OUTPUT_LIMIT_BYTES} are read")
    try:
        document = orjson.loads(answer)
    except orjson.JSONDecodeError as exc:
        raise MalformedArtefact(f"{_SOURCE} printed neither a number nor JSON: {exc.msg} at line {exc.lineno}") from exc
    objects = _objects(document)
    if not 0 < len(objects) <= ROW_LIMIT:
        raise MalformedArtefact(f"{_SOURCE} printed {len(objects)} points; 1 to {ROW_LIMIT} are read")
    rows = [_row(one, f"{_SOURCE} point {at + 1}", None if len(objects) > 1 else now_s) for at, one in enumerate(objects)]
    return points_of(rows, _SOURCE, last_step_s=hold_s)


def _objects(document: Any) -> list[Any]:
    if isinstance(document, int | float) and not isinstance(document, bool):
        return [{"g_per_kwh": document}]
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        lists = [document[name] for name in _LISTS if isinstance(document.get(name), list)]
        return lists[0] if lists else [document]
    raise MalformedArtefact(f"{_SOURCE} must print a number, an object or a list of objects")


def _row(one: Any, where: str, now_s: float | None) -> Row:
    if not isinstance(one, Mapping):
        raise MalformedArtefact(f"{where}: no object")
    intensity = one.get("g_per_kwh", one.get("carbonIntensity"))
    if intensity is None and one.get("price_per_kwh") is None and one.get("surplus_w") is None:
        raise MalformedArtefact(f"{where}: tells none of g_per_kwh, price_per_kwh and surplus_w")
    start, end = one.get("start", one.get("datetime")), one.get("end")
    if start is None and now_s is None:
        raise MalformedArtefact(f"{where}: says not when it begins; of several points each has a 'start'")
    return Row(
        where=where,
        start_s=now_s or 0.0 if start is None else time_of(start, where),
        end_s=None if end is None else time_of(end, where),
        g_per_kwh=number_of(intensity, "g_per_kwh", where),
        price_per_kwh=number_of(one.get("price_per_kwh"), "price_per_kwh", where),
        surplus_w=number_of(one.get("surplus_w"), "surplus_w", where),
    )
