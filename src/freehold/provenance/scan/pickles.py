"""Pickles: what a stream would import and call, found without loading it.

A pickle is a program for a small stack machine. Here it runs on descriptions of values instead of values: strings and small
containers are kept as far as names are built from them, the rest is opaque. A string that reaches an import through the memo, by
duplication or out of a tuple is thus still known; one that does not is a hidden import, which no writer makes.

Whatever was found before a stream breaks counts: a loader had run it by then.

    pickle_values    what is kept instead of values
    pickle_machine   the stack machine
    pickle_opcodes   what each opcode does to it
    pickle_arrays    joblib's arrays, which lie between the opcodes
    imports          which names are harmless
"""

import re
from dataclasses import dataclass, replace

from freehold.provenance.scan.context import Context, Tally
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.imports import Judgement, judge
from freehold.provenance.scan.pickle_arrays import ARRAY_WRAPPER, values_behind
from freehold.provenance.scan.pickle_machine import Machine
from freehold.provenance.scan.pickle_opcodes import STEPS
from freehold.provenance.scan.pickle_values import OPAQUE, Broken, Call, Global
from freehold.provenance.scan.source import Cursor, Source, Truncated, of_bytes

NESTING_LIMIT = 4
STREAMS_LIMIT = 10_000
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_STREAMS = 5  # the number, the format's version, the machine's facts, the object, the keys of its storages
_GLOBAL_START = re.compile(rb"(?:\(*c)[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")


@dataclass(slots=True)
class Outcome:
    """Of one stream: where it ended, whole or broken there for a reason. `result` describes what STOP returns."""

    end: int
    opcodes: int
    whole: bool
    reason: str = ""
    result: object = None


def scan_pickles(source: Source, context: Context) -> None:
    """All pickles that lie one after the other. Raises nothing; what is left over is a finding.

    Old PyTorch files begin with a pickle of a number of their own, have five in all, and then the tensors' bytes.
    """
    offset, streams, limit = 0, 0, STREAMS_LIMIT
    while offset < source.size_bytes:
        outcome = walk(source, context, offset)
        if not outcome.whole:
            if streams and outcome.opcodes < 2:
                context.find("trailing-data", f"{source.size_bytes - offset} bytes follow the last pickle", offset)
            else:
                context.find("unparsed", f"pickle: {outcome.reason}", outcome.end)
            return
        streams += 1
        offset = outcome.end
        if streams == 1 and outcome.result == TORCH_MAGIC:
            limit = TORCH_STREAMS
        if streams >= limit == TORCH_STREAMS:
            return
        if streams >= STREAMS_LIMIT:
            context.find("limit", f"more than {STREAMS_LIMIT} pickles in one file", offset)
            return
    if not streams:
        context.find("unparsed", "pickle: empty", 0)


def walk(source: Source, context: Context, offset: int = 0, nesting: int = 0) -> Outcome:
    """One stream, from `offset` to its STOP."""
    machine = _ScanMachine(Cursor(source, offset), context, nesting)
    try:
        machine.run()
    except (Truncated, Broken) as exc:
        reason = str(exc) or "ends before its STOP"
        upto = source.size_bytes if isinstance(exc, Truncated) else machine.cursor.offset
        if machine.at < machine.frame_end < upto:
            machine.torn()
    else:
        return Outcome(end=machine.cursor.offset, opcodes=machine.opcodes, whole=True, result=machine.result)
    return Outcome(end=machine.cursor.offset, opcodes=machine.opcodes, whole=False, reason=reason)


def looks_like_pickle(head: bytes) -> bool:
    """Whether the first bytes may be one. Protocol 2 and up say so; for 0 and 1 the text form has to fit."""
    if len(head) >= 2 and head[0] == 0x80:
        return head[1] <= 5
    return bool(_OLD_START.match(head))


# What protocols 0 and 1 begin with: an import, a mark, an empty container, a string, a number.
_OLD_START = re.compile(
    rb"(?:c[\w.]{1,200}\n[\w.]{1,200}\n|\(+[a-z]{0,2}[\w.]{1,200}\n[\w.]{1,200}\n|\(+(?:[lditcSVUXKMJFIL0N)\]}\x80-\x8f]|$)"
    rb"|[\]})][q(0.\x94ap]|[VS][^\n]{0,200}\n[p0.(c]|[IFLg][-\d.]{1,50}L?\n[p0.(c]|[KMJUXBCT][^\n]{1,9}[q(0.c]|N[.0(c]|\x8c)"
)


class _ScanMachine(Machine):
    """Tells what is imported and called, and what a stream hides."""

    steps = STEPS

    def __init__(self, cursor: Cursor, context: Context, nesting: int) -> None:
        super().__init__(cursor, context)
        self.nesting = nesting
        self.has_wrapper = False

    def nested(self, data: bytes) -> None:
        """Bytes that are a whole pickle: what it would do counts, as somebody means to load it."""
        if len(data) < 4:
            return
        begins_as_one = (data[0] == 0x80 and data[1] <= 5) or _GLOBAL_START.match(data) is not None
        if not begins_as_one and b"." not in data:  # no STOP
            return
        if self.nesting >= NESTING_LIMIT:
            if begins_as_one:
                self.context.find("limit", f"pickles lie more than {NESTING_LIMIT} deep in each other", self.at)
            return
        inside = self.context.inside("pickle in it")
        if begins_as_one:
            walk(of_bytes(data), inside, nesting=self.nesting + 1)
            return
        # Text may begin so, too: only a whole pickle that imports harm by its name is told.
        tried = replace(inside, tally=Tally())
        if walk(of_bytes(data), tried, nesting=self.nesting + 1).whole:
            for found in tried.tally.findings:
                if found.rule == "pickle-code":
                    inside.find(found.rule, found.words, found.offset)

    def imported(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str)) or not module or not name:
            self.context.find("pickle-hidden-import", "imports a name that is not in the stream as a string", self.at)
            self.push(OPAQUE)
            return
        judgement = judge(module, name, self.protocol)
        if judgement is not Judgement.HARMLESS:
            rule = "pickle-code" if judgement is Judgement.HARM else "pickle-import"
            self.context.find(rule, f"imports {shown(f'{module}.{name}')}", self.at)
        found = Global(module, name)
        self.has_wrapper |= found == ARRAY_WRAPPER
        self.push(found)

    def called(self, function: object, arguments: object) -> None:
        """A value that comes of a call. What is called was imported, and told, or is not known.

        joblib reads past the opcodes where a wrapper of its own is built. One that is made by another function would do the same
        without being known here.
        """
        hides = arguments is OPAQUE or (isinstance(arguments, tuple) and ARRAY_WRAPPER in arguments)
        if self.has_wrapper and hides and function != ARRAY_WRAPPER:
            self.context.find("pickle-hidden-import", "makes joblib's array wrapper in a roundabout way", self.at)
        if isinstance(function, Global):
            if (function.module, function.name) == ("_codecs", "encode"):
                self._check_codec(arguments)
        else:
            self.context.find("pickle-hidden-import", "calls what is not imported by name", self.at)
        self.push(Call(function, arguments))

    def _check_codec(self, arguments: object) -> None:
        codec = arguments[1] if isinstance(arguments, tuple) and len(arguments) == 2 else None
        if codec not in ("latin1", "latin-1", "utf-8", "utf8", "ascii"):
            self.context.find("pickle-code", "encodes by a codec that is none for text", self.at)

    def built(self) -> None:
        state = self.pop()
        value = self.top()
        if isinstance(value, Global):
            self.context.find("pickle-code", f"changes {shown(f'{value.module}.{value.name}')} itself", self.at)
        if isinstance(value, Call):
            value.state = state
            if value.function == ARRAY_WRAPPER:
                self._step_over_array(state)

    def _step_over_array(self, state: object) -> None:
        """What joblib reads after the wrapper's BUILD: padding and raw values, or one more pickle for objects."""
        if self.cursor.offset < self.frame_end:
            raise Broken("an array inside of a frame: its values would be read from behind it")
        self.frame_end = 0  # it ended with this opcode; what is stepped over lies behind it
        values = values_behind(state)
        if values.is_pickle:
            inner = Outcome(end=0, opcodes=0, whole=False)
            if self.nesting < NESTING_LIMIT:
                inner = walk(self.cursor.source, self.context, self.cursor.offset, self.nesting + 1)
            if not inner.whole:
                raise Broken("an array of objects whose pickle breaks")
            self.cursor.skip(inner.end - self.cursor.offset)
            return
        if values.is_aligned:
            self.cursor.skip(self.cursor.number(1))
        self.cursor.skip(values.size_bytes)
