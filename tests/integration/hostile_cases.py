"""What hostile clients send and hostile providers answer, and how a node's vital signs are read while they do."""

import asyncio
import gzip
import json
import os
import resource
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.leak_cases import GITHUB
from tests.integration.leak_dialects import DIALECTS, Document
from tests.integration.nodes import Node
from tests.integration.scripted import EVENTS, JSON, Script, Write

MIB = 1 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

LIMITS = """
[gateway]
header_timeout_s = 2.0
body_timeout_s = 3.0
idle_timeout_s = 6.0
max_connections = 12000
"""
UPSTREAM = "idle_timeout_s = 3.0\nanswer_timeout_s = 4.0\nanswer_limit_bytes = 8589934592\n"


def raise_file_limit() -> None:
    """Ten thousand connections are as many open files, on either side."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(frozen=True, slots=True)
class Vitals:
    fds: int
    threads: int
    rss_bytes: int


def vitals(node: Node) -> Vitals:
    home = Path(f"/proc/{node.process.pid}")
    rss_bytes = int((home / "statm").read_text().split()[1]) * _PAGE_BYTES
    return Vitals(len(list((home / "fd").iterdir())), len(list((home / "task").iterdir())), rss_bytes)


async def settled(node: Node, before: Vitals, *, within_s: float = 30.0) -> Vitals:
    """The vital signs once files and threads are back to where they were, or as they are after a while."""
    until = asyncio.get_running_loop().time() + within_s
    while True:
        now = vitals(node)
        if (now.fds <= before.fds and now.threads <= before.threads) or asyncio.get_running_loop().time() > until:
            return now
        await asyncio.sleep(0.2)


def address(node: Node) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(node.url)
    return parts.hostname or "", parts.port or 0


def head(node: Node, path: str, length: int, *lines: str) -> bytes:
    own = [f"authorization: Bearer {node.client_key}", "content-type: application/json", f"content-length: {length}"]
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: x", *own, *lines, "", ""]).encode()


def error_message(dialect: str, document: Any) -> str:
    """The sentence in an error of the dialect's own shape; fails where it has another."""
    error = document["error"]
    match dialect:
        case "anthropic.messages":
            assert document["type"] == "error"
            assert isinstance(error["type"], str)
        case "google.gemini":
            assert isinstance(error["code"], int)
            assert isinstance(error["status"], str)
        case _:
            assert {"message", "type", "param", "code"} <= set(error)
    message = error["message"]
    assert isinstance(message, str)
    return message


# --- What providers send instead of an answer ---


def _http(body: bytes, *, content_type: str = EVENTS, status: str = "200 OK", more: str = "") -> Script:
    async def write(write: Write) -> None:
        await write(f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\n{more}\r\n".encode() + body)

    return Script(raw=write)


def _raw(data: bytes) -> Script:
    async def write(write: Write) -> None:
        await write(data)

    return Script(raw=write)


def _silent(data: bytes) -> Script:
    async def write(write: Write) -> None:
        await write(data)
        await asyncio.sleep(60)

    return Script(raw=write)


_DEEP = b"[" * 100_000
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def _half(dialect: str) -> bytes:
    """A stream that ends before its end."""
    events = DIALECTS[dialect].stream("text", ["Half of ", "what ", "there is to say"])
    return b"".join(events[: len(events) // 2])


BROKEN: dict[str, Callable[[str], Script]] = {
    "not HTTP": lambda dialect: _raw(b"\x00\xff\x16\x03garbage\r\n\r\n" * 100),
    "nothing": lambda dialect: _raw(b""),
    "half a head": lambda dialect: _raw(b"HTTP/1.1 200 OK\r\ncontent-ty"),
    "a head without end": lambda dialect: _raw(b"HTTP/1.1 200 OK\r\n" + b"x-more: " + b"y" * (2 * MIB)),
    "a thousand headers": lambda dialect: _raw(b"HTTP/1.1 200 OK\r\n" + b"x-more: y\r\n" * 100_000 + b"\r\n"),
    "a wrong chunk size": lambda dialect: _http(b"zzzz\r\nabc\r\n", more="transfer-encoding: chunked\r\n"),
    "a huge chunk": lambda dialect: _http(b"ffffffffffffffff\r\nabc", more="transfer-encoding: chunked\r\n"),
    "less than it said": lambda dialect: _http(_half(dialect), more="content-length: 1000000\r\n"),
    "a stream cut off": lambda dialect: _http(_half(dialect)),
    "silence": lambda dialect: _silent(_HEAD),
    "silence in the middle": lambda dialect: _silent(_HEAD + _half(dialect)),
    "an empty stream": lambda dialect: _http(b""),
    "comments alone": lambda dialect: _http(b": still here\n\n" * 1000),
    "events that are no JSON": lambda dialect: _http(b"data: {nonsense\n\n" * 3),
    "events that are no objects": lambda dialect: _http(b"data: [1, 2]\n\n" * 3),
    "invalid UTF-8": lambda dialect: _http(_half(dialect).replace(b"Half", b"\xff\xfe\xc0\x80", 1)),
    "NUL bytes": lambda dialect: _http(_half(dialect).replace(b"Half", b"\0\0\0\0", 1)),
    "deep JSON": lambda dialect: _http(b'data: {"x": ' + _DEEP + b"\n\n"),
    "a deep body": lambda dialect: _http(b'{"x": ' + _DEEP, content_type=JSON),
    "a line without end": lambda dialect: _http(b"data: " + b"x" * (17 * MIB)),
    "an event of many lines": lambda dialect: _http(b"data: x\n" * (3 * MIB)),
    "HTML": lambda dialect: _http(b"<html>502</html>", content_type="text/html"),
    "a bomb in gzip": lambda dialect: _http(gzip.compress(b"data: x\n\n" * MIB), more="content-encoding: gzip\r\n"),
    "a redirect": lambda dialect: _http(b"", status="302 Found", more="location: http://127.0.0.1:9/\r\n"),
    "no content": lambda dialect: _http(b"", status="204 No Content"),
    "an error without words": lambda dialect: _http(b"", status="500 Oops", content_type=JSON),
    "an error in HTML": lambda dialect: _http(b"<html>" + b"x" * MIB, status="400 Bad", content_type="text/html"),
    "a huge error": lambda dialect: _http(
        b'{"error": {"message": "' + b"x" * (4 * MIB) + b'"}}', status="400 Bad", content_type=JSON
    ),
}

# --- Odd answers that are answers: they may come through or be refused; nothing may leak, nothing may fail unforeseen ---


def _with_extra(dialect: str, extra: bytes) -> Script:
    """The dialect's own stream, with fields at the top of each payload."""
    stream = DIALECTS[dialect].stream("text", ["Fine ", "so ", "far."])
    return Script(pieces=[event.replace(b"data: {", b"data: {" + extra + b",", 1) for event in stream])


def _said(dialect: str, text: str) -> Script:
    return Script(pieces=DIALECTS[dialect].stream("text", [text]))


_SECRET = json.dumps(GITHUB).encode()

ODD: dict[str, Callable[[str], Script]] = {
    "a key twice, the first a secret": lambda dialect: _with_extra(dialect, b'"omen":' + _SECRET + b',"omen":"x"'),
    "a key twice, the last a secret": lambda dialect: _with_extra(dialect, b'"omen":"x","omen":' + _SECRET),
    "a secret for a key": lambda dialect: _with_extra(dialect, _SECRET + b":1"),
    "a huge integer": lambda dialect: _with_extra(dialect, b'"big":' + b"9" * 5000),
    "a huge float": lambda dialect: _with_extra(dialect, b'"big":1e999'),
    "NaN": lambda dialect: _with_extra(dialect, b'"big":NaN'),
    "a lone surrogate": lambda dialect: _with_extra(dialect, b'"odd":"\\ud800 ' + GITHUB.encode() + b'"'),
    "escaped NULs": lambda dialect: _said(dialect, f"\0\0 {GITHUB}\0 so it goes"),
    "a byte order mark": lambda dialect: Script(pieces=[b"\xef\xbb\xbf", *_said(dialect, f"{GITHUB} so it goes").pieces]),
    "lines that end in CR": lambda dialect: Script(pieces=[e.replace(b"\n", b"\r") for e in _said(dialect, GITHUB).pieces]),
    "payloads over several lines": lambda dialect: Script(
        pieces=[e.replace(b'","', b'",\ndata: "') for e in _said(dialect, f"{GITHUB} so it goes").pieces]
    ),
    "a 4 MiB delta": lambda dialect: _said(dialect, "so it goes and goes " * (MIB // 5)),
    "a 4 MiB run": lambda dialect: _said(dialect, "Zm9vYmFy" * (MIB // 2)),
    "a delta of digits": lambda dialect: _said(dialect, "1234 5678 " * (MIB // 80)),
    "ten thousand small ones": lambda dialect: Script(pieces=DIALECTS[dialect].stream("text", ["a "] * 10_000)),
}

# --- What clients send instead of a request ---


def plain(dialect: str, model: str, word: str) -> Document:
    return DIALECTS[dialect].ask(model, f"Go on, {word}.", False)


BAD_BODIES: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "nothing": (lambda good: b"", 400),
    "not JSON": (lambda good: b"{not json", 400),
    "a list": (lambda good: b"[" + good + b"]", 400),
    "a string": (lambda good: json.dumps(good.decode()).encode(), 400),
    "null": (lambda good: b"null", 400),
    "100k deep": (lambda good: b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b", " + good[1:], 400),
    "100k deep in objects": (lambda good: b'{"x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b", " + good[1:], 400),
    "33 MiB": (lambda good: b'{"x": "' + b"a" * (33 * MIB) + b'", ' + good[1:], 413),
    "a million values": (lambda good: b'{"x": [' + b"1," * 1_000_000 + b"1], " + good[1:], 413),
    "invalid UTF-8": (lambda good: good.replace(b"Go on", b"\xff\xfe"), 400),
    "a byte order mark": (lambda good: b"\xef\xbb\xbf" + good, 400),
    "UTF-16": (lambda good: good.decode().encode("utf-16"), 400),
    "a NUL byte": (lambda good: good.replace(b"Go on", b"Go\0on"), 400),
    "two documents": (lambda good: good + good, 400),
    "cut off": (lambda good: good[:-7], 400),
    "NaN": (lambda good: b'{"x": NaN, ' + good[1:], 400),
}


def flood(dialect: str, total_bytes: int, text: str = "and so it went on and on. ") -> Script:
    """A stream of so many bytes."""
    events = DIALECTS[dialect].stream("text", [text * (4096 // len(text))])
    said = next(event for event in events if text.encode() * 2 in event)  # before the summaries that repeat it
    at = events.index(said)

    async def write(write: Write) -> None:
        await write(_HEAD + b"".join(events[:at]))
        block = said * 16
        for _ in range(total_bytes // len(block)):
            await write(block)
        tail = events[at + 1 :]
        await write(b"".join(tail))

    return Script(raw=write)
