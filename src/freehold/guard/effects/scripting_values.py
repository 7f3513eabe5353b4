"""What is known of a value in a program that is read and not run.

A value is a constant, a text with holes where it is not known, a list, a name (of a function, a module, a kind of object), or
nothing that is known. A part of a text that is not known is a `HOLE`, as in a path. Its marks say where what is in it came from;
they stay when it is cut, joined, encoded or passed on.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from freehold.guard.effects.places import HOLE

LIMIT_TEXT = 64 << 10  # characters of a folded text; "a" * 10**9 is not made
LIMIT_OTHERS = 8  # values that one name may have after branches

# Marks. Plain integers: they are joined at every step of a walk.
NETWORK = 1  # came from another machine
SOCKET = 2  # ... over a bare connection, as a remote shell's commands do
DECODED = 4  # was undone from an encoding, or decrypted
SECRET = 8  # read from a place of credentials, or captured from keyboard or screen
ENVIRONMENT = 16  # all variables of the environment together
FILE = 32  # read from a file
INPUT = 64  # from the person or program that starts this one: arguments, standard input
NAMED_SECRET = 128  # one variable of the environment whose name says that it is a credential
OUTPUT = 256  # what a command of this program printed
FOREIGN = NETWORK | SOCKET | DECODED  # made by somebody else, or hidden

# Variables of the environment that are folders, as `places` writes those.
_FOLDERS = {
    "HOME": "~",
    "USERPROFILE": "%USERPROFILE%",
    "TMPDIR": "/tmp",  # noqa: S108 - a text that is judged, not a file that is made
    "TEMP": "%TEMP%",
    "TMP": "%TEMP%",
    "APPDATA": "%APPDATA%",
    "LOCALAPPDATA": "%LOCALAPPDATA%",
    "PROGRAMDATA": "%PROGRAMDATA%",
    "WINDIR": "%WINDIR%",
    "SYSTEMROOT": "%WINDIR%",
    "PROGRAMFILES": "%PROGRAMFILES%",
}
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)


class _NotKnown:
    __slots__ = ()


NOT_KNOWN = _NotKnown()


@dataclass(slots=True, eq=False)
class Value:
    """Not changed once made, but that lists and dicts grow, and an object keeps the marks of what it is given."""

    const: object = NOT_KNOWN  # a str may have holes
    marks: int = 0
    name: str = ""  # "os.system", or the kind of an object: "<socket>"
    items: "list[Value] | dict[object, Value] | None" = None
    code: object = None  # of a function or class of this program: the walker's own noun
    others: "tuple[Value, ...]" = ()  # what it may be as well, by another branch

    def each(self) -> "tuple[Value, ...]":
        """All that it may be."""
        return (self.alone(), *self.others) if self.others else (self,)

    def alone(self) -> "Value":
        """Without what else it may be."""
        return Value(self.const, self.marks, self.name, self.items, self.code) if self.others else self

    def text(self) -> str | None:
        """Of a string or bytes, with its holes; None where nothing of it is known."""
        const = self.const
        if const.__class__ is str:
            return const
        if isinstance(const, bytes | bytearray):
            return const.decode("latin-1")
        return None

    def shown(self) -> str:
        """As it reads where it is put into a text."""
        const = self.const
        if const.__class__ is str:
            return const
        if isinstance(const, bytes | bytearray):
            return const.decode("latin-1")
        if isinstance(const, int | float) and not _is_huge(const):
            return str(const)
        return HOLE


def _is_huge(number: float) -> bool:
    return isinstance(number, int) and number.bit_length() > 256


NOTHING = Value()


def known(const: object, marks: int = 0) -> Value:
    """A constant; a text that grew too long is not known."""
    if isinstance(const, str | bytes) and len(const) > LIMIT_TEXT:
        return Value(marks=marks)
    return Value(const, marks)


def marked(marks: int) -> Value:
    """Nothing is known of it but where it came from."""
    return Value(marks=marks) if marks else NOTHING


def marks_of(values: Iterable[Value], depth: int = 3) -> int:
    """All that is in them, in lists and dicts too."""
    marks = 0
    for value in values:
        marks |= value.marks
        if value.others:
            marks |= marks_of(value.others, depth)
        if value.items is not None and depth:
            marks |= marks_of(value.items.values() if isinstance(value.items, dict) else value.items, depth - 1)
    return marks


def either(values: Sequence[Value]) -> Value:
    """One of these, and it is not known which."""
    kept: list[Value] = []
    seen: set[object] = set()
    marks = 0
    for value in values:
        for one in value.each():
            key = _key(one)
            marks |= one.marks
            if key not in seen:
                seen.add(key)
                kept.append(one)
    if len(kept) == 1:
        return kept[0]
    if not kept:
        return NOTHING
    if len(kept) > LIMIT_OTHERS:
        return Value(common_beginning(kept), marks)
    first = kept[0]
    return Value(first.const, first.marks, first.name, first.items, first.code, tuple(kept[1:]))


def common_beginning(values: Sequence[Value]) -> str:
    """What all texts begin with, and a hole."""
    texts = [value.text() or "" for value in values]
    low, high = min(texts), max(texts)
    size = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:size] + HOLE


def _key(value: Value) -> object:
    if value.items is not None or value.code is not None:
        return id(value)
    const = value.const
    return (const.__class__, const if isinstance(const, str | bytes | int | float) else id(const), value.name, value.marks)


def join(values: Sequence[Value], between: str = "") -> Value:
    """The texts of all, one after the other."""
    marks = marks_of(values)
    text = between.join(value.shown() for value in values)
    while HOLE + HOLE in text:
        text = text.replace(HOLE + HOLE, HOLE)
    return known(text, marks)


def map_each(value: Value, function: Callable[[Value], Value]) -> Value:
    """`function` of each that it may be."""
    if not value.others:
        return function(value)
    return either([function(one) for one in (value.alone(), *value.others)])


def variable(name: Value) -> Value:
    """One variable of the environment."""
    text = name.text()
    if text in _FOLDERS:
        return known(_FOLDERS[text])
    if text is not None and _SECRET_NAME.search(text):
        return marked(NAMED_SECRET)
    return marked(INPUT)


def as_path(text: str, marks: int = 0) -> Value:
    """A path object."""
    value = known(text, marks)
    value.name = "<path>"
    return value


def joined_path(parts: Sequence[Value]) -> Value:
    """As os.path.join and Path's "/": an absolute part begins anew."""
    whole = ""
    for part in parts:
        text = part.text()
        text = HOLE if text is None else text
        whole = text if text.startswith(("/", "~")) or not whole else f"{whole.rstrip('/')}/{text}"
    return as_path(whole[:LIMIT_TEXT], marks_of(parts))
