"""A request's body: read within its limits, measured, then parsed.

Limits hold while the bytes arrive, not after. How deep it nests and how many values it has is checked before any parser sees the
text, in linear time and without recursion. What the fields mean is left to the codecs.
"""

import asyncio
from array import array
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import accumulate
from typing import Any

import orjson

from freehold.core.errors import InvalidRequest, RequestTimeout, RequestTooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_PIECE_BYTES = 64 << 10
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}",'))
_STEPS = bytes.maketrans(b"[]{}", bytes([1, 255, 1, 255]))  # one level down, one level up, as signed bytes


class ClientLeft(Exception):
    """The client closed its connection. Nobody is left to tell: it is recorded, not answered."""


async def left(receive: Receive) -> None:
    """Ends when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive, *, announced_bytes: int | None, limit_bytes: int, timeout_s: float) -> bytes:
    """Read a whole body. Raises RequestTooLarge, RequestTimeout or ClientLeft."""
    if announced_bytes is not None and announced_bytes > limit_bytes:
        raise _too_large(limit_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, limit_bytes)
    except TimeoutError as exc:
        raise RequestTimeout(
            f"the body did not arrive within {timeout_s:g} s; send it faster or raise gateway.body_timeout_s"
        ) from exc


async def _read(receive: Receive, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece: bytes = message.get("body", b"")
        size_bytes += len(piece)
        if size_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body is larger than {limit_bytes} bytes; send less or raise gateway.body_limit_bytes")


def parse(body: bytes, *, depth: int, values: int) -> dict[str, Any]:
    """Parse a JSON object. Raises InvalidRequest whatever else the bytes are.

    Of duplicate keys the last one counts, for the guard and for the upstream alike: what is sent on is written anew.
    """
    if too_deep(body, depth):
        raise InvalidRequest(
            f"the body nests deeper than {depth} levels; flatten it or raise gateway.json_depth", code="json_too_deep"
        )
    if too_many(body, values):
        raise RequestTooLarge(
            f"the body has more than {values} values; send fewer or raise gateway.json_values", code="json_too_many_values"
        )
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        place = f"line {exc.lineno} column {exc.colno}"
        raise InvalidRequest(f"the body is not valid JSON in UTF-8: {exc.msg} at {place}", code="invalid_json") from exc
    if not isinstance(document, dict):
        raise InvalidRequest("the body must be a JSON object", code="invalid_json")
    return document


def too_deep(body: bytes, depth: int) -> bool:
    """Whether arrays and objects nest deeper than `depth`. Brackets that do not match up are the parser's to refuse."""
    if body.count(b"[") + body.count(b"{") <= depth:
        return False
    steps = _outside_strings(body).translate(_STEPS, b",")
    level = 0
    for start in range(0, len(steps), _PIECE_BYTES):
        piece = array("b", steps[start : start + _PIECE_BYTES])
        if max(accumulate(piece, initial=level)) > depth:
            return True
        level += sum(piece)
    return False


def too_many(body: bytes, values: int) -> bool:
    """Whether it has more than `values` values: a comma or an opening bracket comes with each but the first."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") <= values:
        return False
    outside = _outside_strings(body)
    return outside.count(b",") + outside.count(b"[") + outside.count(b"{") > values


def _outside_strings(body: bytes) -> bytes:
    """The brackets and commas of `body` that stand outside its strings.

    Escapes go first, so that every quote left opens or closes a string; two adjacent quotes then cancel out, wherever they
    stand. The rest is split at its quotes a piece at a time: a body of nothing but quotes must not become a list of its length.
    """
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    outside: list[bytes] = []
    inside = 0
    for start in range(0, len(text), _PIECE_BYTES):
        parts = text[start : start + _PIECE_BYTES].split(b'"')
        outside.append(b"".join(parts[inside::2]))
        inside = (inside + len(parts) - 1) % 2
    return b"".join(outside)
