"""What each opcode of a pickle does to the stack machine, as in CPython's Lib/pickletools.py, protocols 0 to 5."""

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.pickle_machine import LINE_LIMIT_BYTES, TEXT_LIMIT_BYTES, Machine
from freehold.provenance.scan.pickle_values import MARK, NONE, OPAQUE, Broken, Items, short


def _float_line(m: Machine) -> None:
    line = m.text_line()
    try:
        float(line)
    except ValueError:
        raise Broken(f"{shown(line)} is not a number") from None
    m.push(OPAQUE)


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
            into.put(key, value)


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
    m.called(function, short(m.pop_mark()))


def _obj(m: Machine) -> None:
    values = m.pop_mark()
    if not values:
        raise Broken("an object without its class")
    m.called(values[0], short(values[1:]))


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


STEPS: Mapping[int, Callable[[Any], Any]] = {
    ord("("): lambda m: m.push(MARK),
    ord("0"): _pop,
    ord("1"): lambda m: m.pop_mark(),
    ord("2"): lambda m: m.push(m.top()),
    ord("F"): _float_line,
    ord("I"): lambda m: m.push(m.number_line()),
    ord("J"): _small(4, signed=True),
    ord("K"): _small(1),
    ord("L"): lambda m: m.push(m.number_line()),
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
    ord("b"): lambda m: m.built(),
    ord("c"): _global,
    ord("d"): lambda m: m.push(_dict_of(m.pop_mark())),
    ord("}"): lambda m: m.push(Items()),
    ord("e"): _appends,
    ord("g"): lambda m: m.recall(m.number_line()),
    ord("h"): lambda m: m.recall(m.cursor.number(1)),
    ord("i"): _inst,
    ord("j"): lambda m: m.recall(m.cursor.number(4)),
    ord("l"): _opaque_of_mark,
    ord("]"): _push(OPAQUE),
    ord("o"): _obj,
    ord("p"): lambda m: m.remember(m.number_line()),
    ord("q"): lambda m: m.remember(m.cursor.number(1)),
    ord("r"): lambda m: m.remember(m.cursor.number(4)),
    ord("s"): _setitem,
    ord("t"): lambda m: m.push(short(m.pop_mark())),
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
