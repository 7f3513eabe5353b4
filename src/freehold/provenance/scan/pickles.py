"""Pickles: what a stream would import and call, found without loading it.

A pickle is a program for a small stack machine. This one runs the program on descriptions of values instead of values:
strings and small containers are kept as far as names are built from them, the rest is opaque. A string that reaches an import
through the memo, by duplication or out of a tuple is thus still known; one that does not is a hidden import, which no writer
makes.

Whatever was found before a stream breaks counts: a loader had run it by then. Opcodes as in CPython's Lib/pickletools.py,
protocols 0 to 5; joblib's arrays, which lie between the opcodes, are stepped over as joblib's `NumpyArrayWrapper` would read
them.
"""

import codecs
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from freehold.provenance.scan.context import Context, Tally
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.imports import Judgement, judge
from freehold.provenance.scan.source import Cursor, Source, Truncated, of_bytes

OPCODES_LIMIT = 20_000_000
STACK_LIMIT = 1_000_000  # entries of stack and marks; the same for the memo
TEXT_LIMIT_BYTES = 1024  # a longer string is no name
LINE_LIMIT_BYTES = 64 << 20  # protocol 0 has an array's bytes in one
ITEMS_LIMIT = 64  # of a tuple, a list or a dict: names are not built from longer ones
NESTED_LIMIT_BYTES = 16 << 20
NESTING_LIMIT = 4
STREAMS_LIMIT = 10_000
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_STREAMS = 5  # the number, the format's version, the machine's facts, the object, the keys of its storages


class Broken(Exception):
    """The stream is not a pickle from here on. Holds the reason."""


@dataclass(frozen=True, slots=True)
class Global:
    module: str
    name: str


ARRAY_WRAPPER = Global("joblib.numpy_pickle", "NumpyArrayWrapper")


@dataclass(slots=True)
class Call:
    function: object
    arguments: object
    state: object = None


@dataclass(slots=True)
class Items:
    """A list or a dict, as far as it is short."""

    pairs: dict[str, object] = field(default_factory=dict)


class _Opaque:
    def __repr__(self) -> str:
        return "opaque"


OPAQUE = _Opaque()
MARK = _Opaque()
NONE = _Opaque()


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
    machine = Machine(Cursor(source, offset), context, nesting)
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


class Machine:
    """The stack machine over descriptions. `run` goes to the STOP."""

    steps: ClassVar[Mapping[int, Callable[[Any], Any]]]  # below: what each opcode does

    def __init__(self, cursor: Cursor, context: Context, nesting: int) -> None:
        self.cursor = cursor
        self.context = context
        self.nesting = nesting
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self.protocol = 0
        self.frame_end = 0
        self.has_wrapper = False
        self.opcodes = 0
        self.result: object = OPAQUE
        self.at = cursor.offset  # of the opcode that runs

    def run(self) -> None:
        take, steps = self.cursor.take, self.steps
        while True:
            self.at = self.cursor.offset
            code = take(1)[0]
            if code == 0x2E:  # STOP
                self.result = self.pop()
                return
            step = steps.get(code)
            if step is None:
                raise Broken(f"there is no opcode 0x{code:02x}")
            self.opcodes += 1
            if self.opcodes > OPCODES_LIMIT or len(self.stack) > STACK_LIMIT or len(self.memo) > STACK_LIMIT:
                raise Broken(f"more than {OPCODES_LIMIT} opcodes, or {STACK_LIMIT} values at a time")
            step(self)
            if self.at < self.frame_end < self.cursor.offset:
                self.torn()

    def torn(self) -> None:
        """No writer lets an opcode lie across the end of its frame. CPython's C reader drops what is left of the frame and reads
        on behind it, its Python reader gives up: what is read here is not what a loader reads."""
        self.context.find("pickle-hidden-import", "an opcode across the end of its frame, which readers take apart", self.at)

    # The stack

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack or self.stack[-1] is MARK:
            raise Broken("takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> object:
        if not self.stack or self.stack[-1] is MARK:
            raise Broken("looks at an empty stack")
        return self.stack[-1]

    def pop_mark(self) -> list[object]:
        """All above the topmost mark, in order."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                values = self.stack[at + 1 :]
                del self.stack[at:]
                return values
        raise Broken("there is no mark")

    def remember(self, key: int) -> None:
        self.memo[key] = self.top()

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise Broken(f"memo {key} was never written")
        self.push(self.memo[key])

    # Bytes and names

    def text_line(self) -> str:
        line = self.cursor.line(LINE_LIMIT_BYTES)
        if line is None:
            raise Broken(f"a line has more than {LINE_LIMIT_BYTES} bytes")
        return line.decode("utf-8", "replace")

    def number_line(self) -> int:
        """Readers differ in what else is a number (octal, underscores); only what all of them read alike is one here."""
        line = self.text_line().removesuffix("L")
        if not _NUMBER.fullmatch(line):
            raise Broken(f"{shown(line)} is not a number")
        return int(line) if len(line) <= 64 else 0  # a longer one is no size and no place

    def sized(self, size_bytes: int, *, as_text: bool) -> None:
        """A string or bytes of a known length: kept where it may be a name, looked into where it may be a pickle."""
        if size_bytes < 0:
            raise Broken("a string of negative length")
        if size_bytes > self.cursor.remaining:
            raise Truncated
        if size_bytes <= TEXT_LIMIT_BYTES:
            data = self.cursor.take(size_bytes)
            self.push(data.decode("utf-8", "surrogatepass" if as_text else "replace") if _is_text(data, as_text) else OPAQUE)
            self.nested(data)
            return
        if size_bytes <= NESTED_LIMIT_BYTES:
            head = self.cursor.take(2)
            if head[0] == 0x80 and head[1] <= 5:
                self.nested(head + self.cursor.take(size_bytes - 2))
            else:
                self.cursor.skip(size_bytes - 2)
        else:
            self.cursor.skip(size_bytes)
        self.push(OPAQUE)

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
        pairs = state.pairs if isinstance(state, Items) else {}
        kind, width = _dtype(pairs.get("dtype"))
        shape = pairs.get("shape")
        if not kind or not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise Broken("an array whose type or shape is not plain to see")
        if kind == "O":
            inner = Outcome(end=0, opcodes=0, whole=False)
            if self.nesting < NESTING_LIMIT:
                inner = walk(self.cursor.source, self.context, self.cursor.offset, self.nesting + 1)
            if not inner.whole:
                raise Broken("an array of objects whose pickle breaks")
            self.cursor.skip(inner.end - self.cursor.offset)
            return
        if pairs.get("numpy_array_alignment_bytes", NONE) is not NONE:
            self.cursor.skip(self.cursor.number(1))
        self.cursor.skip(math.prod(shape) * width)


def _dtype(value: object) -> tuple[str, int]:
    """(kind, bytes a value) of a pickled numpy.dtype; an empty kind where the stream leaves a doubt of its size.

    Its state is (version, byte order, subarray, names, fields, size, alignment, flags). Flags say whether values are objects, for
    any type: numpy takes them as they come.
    """
    nothing = ("", 0)
    if not isinstance(value, Call) or value.function != Global("numpy", "dtype") or not isinstance(value.arguments, tuple):
        return nothing
    code = value.arguments[0] if value.arguments else None
    found = _DTYPE.fullmatch(code) if isinstance(code, str) else None
    state = value.state
    if found is None or not isinstance(state, tuple) or len(state) < 8 or not isinstance(state[7], int):
        return nothing
    kind, width = found[1], int(found[2]) * (4 if found[1] == "U" else 1)
    if state[2] is not NONE or state[5] not in (-1, width) or (kind == "V" and state[5] == -1):
        return nothing  # a subarray, or another size than the type's
    if state[7] & 1:
        return ("O", 0)
    return (kind, width) if kind != "O" else nothing


_NUMBER = re.compile(r"00|01|0|-?[1-9][0-9]*")
_DTYPE = re.compile(r"[<>|=]?([biufcmMOSUV])([1-9][0-9]{0,4})")
_GLOBAL_START = re.compile(rb"(?:\(*c)[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")


def _is_text(data: bytes, as_text: bool) -> bool:
    if not as_text:
        return True
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise Broken("a string that is not UTF-8") from None
    return True


def _float_line(m: Machine) -> None:
    line = m.text_line()
    try:
        float(line)
    except ValueError:
        raise Broken(f"{shown(line)} is not a number") from None
    m.push(OPAQUE)


def _int_line(m: Machine) -> None:
    m.push(m.number_line())


def _string_line(m: Machine) -> None:
    line = m.cursor.line(LINE_LIMIT_BYTES)
    line = b"" if line is None else line.strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise Broken("a string without its quotes")
    try:
        data = codecs.escape_decode(line[1:-1])[0]
    except ValueError:
        raise Broken("a string with a broken escape") from None
    assert isinstance(data, bytes)
    m.push(data.decode("utf-8", "replace") if len(data) <= TEXT_LIMIT_BYTES else OPAQUE)
    m.nested(data)


def _unicode_line(m: Machine) -> None:
    line = m.cursor.line(LINE_LIMIT_BYTES)
    if line is None:
        raise Broken(f"a line has more than {LINE_LIMIT_BYTES} bytes")
    try:
        text = line.decode("raw_unicode_escape")
    except UnicodeDecodeError:
        raise Broken("a string with a broken escape") from None
    m.push(text if len(text) <= TEXT_LIMIT_BYTES else OPAQUE)


def _sized(size_bytes: int, *, as_text: bool = False, signed: bool = False) -> Callable[[Machine], None]:
    return lambda m: m.sized(m.cursor.number(size_bytes, signed=signed), as_text=as_text)


def _push(value: object) -> Callable[[Machine], None]:
    return lambda m: m.push(value)


def _small(size_bytes: int, *, signed: bool = False) -> Callable[[Machine], None]:
    return lambda m: m.push(m.cursor.number(size_bytes, signed=signed))


def _long(size_bytes: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        count = m.cursor.number(size_bytes, signed=size_bytes == 4)
        if count < 0:
            raise Broken("a number of negative length")
        if count > 16:
            m.cursor.skip(count)
            m.push(OPAQUE)
        else:
            m.push(m.cursor.number(count, signed=True))

    return step


def _opaque_after(size_bytes: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.cursor.skip(size_bytes)
        m.push(OPAQUE)

    return step


def _short(values: list[object]) -> object:
    return tuple(values) if len(values) <= ITEMS_LIMIT else OPAQUE


def _tuple(count: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        values = [m.pop() for _ in range(count)]
        m.push(tuple(reversed(values)))

    return step


def _dict_of(values: list[object]) -> Items:
    items = Items()
    _set_items(items, values)
    return items


def _set_items(into: object, values: list[object]) -> None:
    if len(values) % 2:
        raise Broken("a key without its value")
    if isinstance(into, Items):
        for key, value in zip(values[::2], values[1::2], strict=True):
            if isinstance(key, str) and (len(into.pairs) < ITEMS_LIMIT or key in into.pairs):
                into.pairs[key] = value


def _setitem(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    _set_items(m.top(), [key, value])


def _setitems(m: Machine) -> None:
    values = m.pop_mark()
    _set_items(m.top(), values)


def _append(m: Machine) -> None:
    m.pop()
    m.top()


def _opaque_of_mark(m: Machine) -> None:
    m.pop_mark()
    m.push(OPAQUE)


def _appends(m: Machine) -> None:
    m.pop_mark()
    m.top()


def _pop(m: Machine) -> None:
    if not m.stack:
        raise Broken("takes a value from an empty stack")
    m.stack.pop()  # a mark, too: C and Python agree


def _dup(m: Machine) -> None:
    m.push(m.top())


def _proto(m: Machine) -> None:
    protocol = m.cursor.number(1)
    if protocol > 5:
        raise Broken(f"protocol {protocol}")
    m.protocol = protocol


def _frame(m: Machine) -> None:
    """Its length only says how much to read ahead."""
    size_bytes = m.cursor.number(8)
    if m.cursor.offset < m.frame_end:
        m.torn()  # a frame in a frame is the same: its bytes are read anew from behind the outer one
    m.frame_end = m.cursor.offset + size_bytes


def _global(m: Machine) -> None:
    module, name = m.text_line(), m.text_line()
    m.imported(module, name)


def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    m.imported(module, name)


def _inst(m: Machine) -> None:
    module, name = m.text_line(), m.text_line()
    m.imported(module, name)
    function = m.pop()
    m.called(function, _short(m.pop_mark()))


def _obj(m: Machine) -> None:
    values = m.pop_mark()
    if not values:
        raise Broken("an object without its class")
    m.called(values[0], _short(values[1:]))


def _reduce(m: Machine) -> None:
    arguments, function = m.pop(), m.pop()
    m.called(function, arguments)


def _newobj_ex(m: Machine) -> None:
    m.pop()
    _reduce(m)


def _extension(size_bytes: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        code = m.cursor.number(size_bytes)
        m.context.find("pickle-hidden-import", f"imports by a number, {code}, of the loader's own register", m.at)
        m.push(OPAQUE)

    return step


def _persistent_line(m: Machine) -> None:
    m.text_line()
    m.push(OPAQUE)


def _persistent(m: Machine) -> None:
    m.pop()
    m.push(OPAQUE)


def _put_line(m: Machine) -> None:
    m.remember(m.number_line())


def _get_line(m: Machine) -> None:
    m.recall(m.number_line())


Machine.steps = {
    ord("("): lambda m: m.push(MARK),
    ord("0"): _pop,
    ord("1"): lambda m: m.pop_mark(),
    ord("2"): _dup,
    ord("F"): _float_line,
    ord("I"): _int_line,
    ord("J"): _small(4, signed=True),
    ord("K"): _small(1),
    ord("L"): _int_line,
    ord("M"): _small(2),
    ord("N"): _push(NONE),
    ord("P"): _persistent_line,
    ord("Q"): _persistent,
    ord("R"): _reduce,
    ord("S"): _string_line,
    ord("T"): _sized(4, signed=True),
    ord("U"): _sized(1),
    ord("V"): _unicode_line,
    ord("X"): _sized(4, as_text=True),
    ord("a"): _append,
    ord("b"): Machine.built,
    ord("c"): _global,
    ord("d"): lambda m: m.push(_dict_of(m.pop_mark())),
    ord("}"): lambda m: m.push(Items()),
    ord("e"): _appends,
    ord("g"): _get_line,
    ord("h"): lambda m: m.recall(m.cursor.number(1)),
    ord("i"): _inst,
    ord("j"): lambda m: m.recall(m.cursor.number(4)),
    ord("l"): _opaque_of_mark,
    ord("]"): _push(OPAQUE),
    ord("o"): _obj,
    ord("p"): _put_line,
    ord("q"): lambda m: m.remember(m.cursor.number(1)),
    ord("r"): lambda m: m.remember(m.cursor.number(4)),
    ord("s"): _setitem,
    ord("t"): lambda m: m.push(_short(m.pop_mark())),
    ord(")"): _push(()),
    ord("u"): _setitems,
    ord("G"): _opaque_after(8),
    ord("B"): _sized(4, signed=True),
    ord("C"): _sized(1),
    0x80: _proto,
    0x81: _reduce,  # NEWOBJ: cls.__new__(cls, *arguments)
    0x82: _extension(1),
    0x83: _extension(2),
    0x84: _extension(4),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    0x88: _push(OPAQUE),  # True
    0x89: _push(OPAQUE),  # False
    0x8A: _long(1),
    0x8B: _long(4),
    0x8C: _sized(1, as_text=True),
    0x8D: _sized(8, as_text=True),
    0x8E: _sized(8),
    0x8F: _push(OPAQUE),  # EMPTY_SET
    0x90: _appends,  # ADDITEMS
    0x91: _opaque_of_mark,  # FROZENSET
    0x92: _newobj_ex,
    0x93: _stack_global,
    0x94: lambda m: m.remember(len(m.memo)),
    0x95: _frame,
    0x96: _sized(8),  # BYTEARRAY8
    0x97: _push(OPAQUE),  # NEXT_BUFFER
    0x98: lambda m: m.top(),  # READONLY_BUFFER
}
