"""Ours beside Python's own unpicklers, both of them, on streams of any opcodes: what they would import, we have seen.

Their `find_class` gives an inert class, so that nothing is imported or called.
"""

import contextlib
import io
import pickle
import re
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.provenance.scan.findings import Verdict
from tests.provenance.scan.looks import look


class Inert:
    """Takes every call and state, and does nothing."""

    def __new__(cls, *arguments: object, **named: object) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *arguments: object, **named: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def recording(base: Any) -> Callable[[bytes], set[str]]:
    class Recorder(base):  # type: ignore[misc]
        seen: list[str]

        def find_class(self, module: str, name: str) -> type[Inert]:
            self.seen.append(f"{module}.{name}")
            return Inert

        def persistent_load(self, key: object) -> object:
            return None

    def run(data: bytes) -> set[str]:
        seen = []
        for file in (io.BytesIO(data), io.BufferedReader(io.BytesIO(data))):  # the C reader reads ahead where it can
            recorder = Recorder(file)
            recorder.seen = []
            with contextlib.suppress(Exception):  # a stream of any opcodes breaks in any way; what was imported before counts
                recorder.load()
            seen += recorder.seen
        return set(seen)

    return run


C, PYTHON = recording(pickle.Unpickler), recording(pickle._Unpickler)

words = st.sampled_from(
    ["os", "system", "posix", "builtins", "eval", "collections", "deque", "mylib", "x.y", "__builtin__", "a" * 300]
)
small = st.integers(0, 4)


def short(code: bytes, data: bytes) -> bytes:
    return code + bytes([len(data) % 256]) + data[: len(data) % 256]


opcodes = st.one_of(
    st.sampled_from(
        [bytes([code]) for code in b"(012NNRabdelost)]}u\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x93\x93\x94\x98.\xff"]
    ),
    st.builds(lambda a, b: f"c{a}\n{b}\n".encode(), words, words),
    st.builds(lambda a, b: f"i{a}\n{b}\n".encode(), words, words),
    st.builds(lambda a: short(b"\x8c", a.encode()[:255]), words),
    st.builds(lambda a: short(b"U", a.encode()[:255]), words),
    st.builds(lambda a: short(b"C", a.encode()[:255]), words),
    st.builds(lambda a: b"X" + len(a).to_bytes(4, "little") + a.encode(), words),
    st.builds(lambda a: b"\x8d" + len(a).to_bytes(8, "little") + a.encode(), words),
    st.builds(lambda a: b"S'" + a.encode() + b"'\n", words),
    st.builds(lambda a: b'S"' + "".join(f"\\x{ord(c):02x}" for c in a).encode() + b'"\n', words),
    st.builds(lambda a: b"V" + a.encode() + b"\n", words),
    st.builds(lambda a: b"V" + "".join(f"\\u{ord(c):04x}" for c in a).encode() + b"\n", words),
    st.builds(lambda n: b"q" + bytes([n]), small),
    st.builds(lambda n: b"h" + bytes([n]), small),
    st.builds(lambda n: f"p{n}\n".encode(), small),
    st.builds(lambda n: f"g{n}\n".encode(), small),
    st.builds(lambda n: b"r" + n.to_bytes(4, "little"), small),
    st.builds(lambda n: b"j" + n.to_bytes(4, "little"), small),
    st.builds(lambda n: b"K" + bytes([n]), small),
    st.builds(lambda n: f"I{n}\n".encode(), small),
    st.builds(lambda n: b"\x80" + bytes([n]), st.integers(0, 6)),
    st.builds(lambda n: b"\x95" + n.to_bytes(8, "little"), st.integers(0, 30)),
    st.binary(max_size=3),
)
# Shapes that come to an import more often than chance does: two strings, kept and brought back, then STACK_GLOBAL.
text = st.builds(lambda a: short(b"\x8c", a.encode()[:255]), words)
imports = st.builds(
    lambda a, b, between: a + b"\x94" + between + b + b"\x93", text, text, st.sampled_from([b"", b"20", b"N0", b"(1", b"h\x000"])
)


def plainly(words: str) -> str:
    """A name as a message has it, without what depends on how it is quoted."""
    return re.sub(r"[\\'\"]", "", words)


@settings(max_examples=300)
@given(st.lists(opcodes | imports, max_size=14), st.sampled_from([b"", b"\x80\x02", b"\x80\x04"]), st.sampled_from([b".", b""]))
def test_what_an_unpickler_would_import_is_seen(body: list[bytes], start: bytes, end: bytes) -> None:
    # An opcode that lies across a frame's end takes a number from elsewhere; of these, C would make a memo of gigabytes.
    body = [code for code in body if not (code.startswith(b"r") and any(c.startswith(b"\x95") for c in body))]
    data = start + b"".join(body) + end
    report = look(data, "m.pkl")
    told = plainly(" ".join(finding.words for finding in report.findings))
    imported = (C(data) | PYTHON(data)) - {"collections.deque"}
    assert not imported or report.verdict is not Verdict.CLEAN
    unseen = {name for name in imported if plainly(repr(name))[:60] not in told}
    # A name that ends with the file, not with its line, is one to Python's reader. Nothing can come after it to call it.
    allowed = 1 if "ends before its STOP" in told else 0
    assert "pickle-hidden-import" in {f.rule for f in report.findings} or len(unseen) <= allowed, unseen
