"""Values of a PowerShell script, as far as they can be told from its text.

Decided here: what joining, formatting, replacing, casting, decoding and the methods of strings give. What can't be told is a
`HOLE` in a text. A value remembers where it comes from: `Mark`. Nothing here has an effect; that is `powershell.py`'s.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import re2

from freehold.guard.effects.batch_words import USUAL
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.powershell_tree import Block

LIMIT_CHARS = 64 << 10
LIMIT_ITEMS = 4096


class Mark:
    """Where a value comes from: bits of an int, as they are joined at every step."""

    NONE = 0
    NETWORK = 1
    DECODED = 2
    SECRET = 4  # out of a place where credentials lie
    FILE = 8
    OUTPUT = 16  # of a command
    CHOICE = 32  # one of the items, by the branch that was taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """`text` is what it is as a string. `kind` is the type of an object: "net.webclient", "com:wscript.shell", "bytes"."""

    text: str = HOLE
    items: tuple["Value", ...] | None = None
    pairs: Mapping[str, "Value"] | None = None
    block: Block | None = None
    number: int | float | None = None
    kind: str = ""
    marks: int = Mark.NONE

    @property
    def is_known(self) -> bool:
        return HOLE not in self.text

    def marked(self, marks: int) -> "Value":
        return replace(self, marks=self.marks | marks) if marks & ~self.marks else self


UNKNOWN = Value()
EMPTY = Value(text="", items=())


def of(text: str, marks: int = Mark.NONE) -> Value:
    return Value(text=text[:LIMIT_CHARS], marks=marks)


def number(value: float) -> Value:
    return Value(text=str(value), number=value)


def array(items: Sequence[Value]) -> Value:
    kept = tuple(items[:LIMIT_ITEMS])
    marks = Mark.NONE
    for item in kept:
        marks |= item.marks & ~Mark.CHOICE
    return Value(text=" ".join(item.text for item in kept)[:LIMIT_CHARS], items=kept, marks=marks)


def either(one: Value, other: Value) -> Value:
    """What a variable is after a branch that may have changed it."""
    if one == other:
        return one
    found: list[Value] = []
    for value in (one, other):
        found += value.items if value.items is not None and value.marks & Mark.CHOICE else [value]
    return array(found[:8]).marked(Mark.CHOICE)


def items_of(value: Value) -> list[Value]:
    return list(value.items) if value.items is not None else [value]


def texts(value: Value) -> list[str]:
    """Its strings, one for each item."""
    if value.items is None:
        return [value.text]
    return [text for item in value.items[:LIMIT_ITEMS] for text in texts(item)]


def usual(value: Value) -> Value:
    """With a variable of the environment replaced by what it is on every machine, for what takes letters out of it."""
    if value.text[:1] == "%" and value.text[-1:] == "%":
        return replace(value, text=USUAL.get(value.text[1:-1].lower(), _SHELL.get(value.text.lower(), HOLE)))
    return value


_SHELL = {
    "%pshome%": r"C:\Windows\System32\WindowsPowerShell\v1.0",
    "%verbosepreference%": "SilentlyContinue",
    "%shellid%": "Microsoft.PowerShell",
}


def added(left: Value, right: Value) -> Value:
    if left.items is not None and not left.marks & Mark.CHOICE:
        return array([*left.items, *items_of(right)])
    if left.pairs is not None and right.pairs is not None:
        return Value(pairs={**left.pairs, **right.pairs})
    if left.number is not None and right.number is not None:
        return number(left.number + right.number)
    return of(left.text + right.text, (left.marks | right.marks) & ~Mark.CHOICE)


def arithmetic(op: str, left: Value, right: Value) -> Value:
    one, other = left.number, _as_number(right)
    if op == "*" and left.number is None and isinstance(other, int) and left.is_known:
        return of(left.text * max(0, min(other, LIMIT_CHARS // max(len(left.text), 1))), left.marks)
    if one is None:
        one = _as_number(left)
    if not isinstance(one, int) or not isinstance(other, int) or abs(one) > 1 << 62 or abs(other) > 1 << 62:
        return UNKNOWN
    if op == "-":
        return number(one - other)
    if op == "*":
        return number(one * other)
    if op in "/%" and other:
        return number(one % other if op == "%" else one // other if one % other == 0 else one / other)
    if op in _BITS:
        return number(_BITS[op](one, other))
    return UNKNOWN


_BITS: Mapping[str, Callable[[int, int], int]] = {
    "bxor": lambda a, b: a ^ b,
    "band": lambda a, b: a & b,
    "bor": lambda a, b: a | b,
    "shr": lambda a, b: a >> min(abs(b), 63),
    "shl": lambda a, b: (a << min(abs(b), 63)) & ((1 << 63) - 1),
}


def _as_number(value: Value) -> int | float | None:
    if value.number is not None:
        return value.number
    text = value.text.strip()
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"0x[0-9a-fA-F]{1,16}", text):
        return int(text, 16)
    return None


def spread(left: Value, right: Value) -> Value:
    """`1..5`"""
    first, last = _as_number(left), _as_number(right)
    if not isinstance(first, int) or not isinstance(last, int) or abs(last - first) > LIMIT_ITEMS:
        return UNKNOWN
    step = 1 if last >= first else -1
    return array([number(value) for value in range(first, last + step, step)])


_SLOT = re.compile(r"\{(\d{1,3})(?:,-?\d{1,3})?(?::[^{}]*)?\}|\{\{|\}\}")


def formatted(form: Value, given: Value) -> Value:
    values = items_of(given)

    def slot(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        index = int(found[1])
        return values[index].text if index < len(values) else HOLE

    return of(_SLOT.sub(slot, form.text), form.marks | given.marks)


def joined(value: Value, between: str) -> Value:
    return of(between.join(item.text for item in items_of(value)), value.marks)


def replaced(value: Value, given: Value, *, literal: bool) -> Value:
    pair = items_of(given)
    old, new = pair[0].text, pair[1].text if len(pair) > 1 else ""
    if value.items is not None and not value.marks & Mark.CHOICE:
        return array([replaced(item, given, literal=literal) for item in value.items])
    if HOLE in old or HOLE in new:
        return Value(marks=value.marks)
    if literal or not re.search(r"[\\^$.|?*+()\[\]{}]", old):
        form = re.escape(old)
        return of(
            re.sub(form, lambda _: new, value.text, flags=0 if literal else re.IGNORECASE) if old else value.text, value.marks
        )
    pattern = _pattern(old)
    if pattern is None:
        return Value(marks=value.marks)
    return of(str(pattern.sub(re.sub(r"\$\{?(\d)\}?", r"\\\1", new.replace("\\", "\\\\")), value.text)), value.marks)


_OPTIONS = re2.Options()
_OPTIONS.case_sensitive = False
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20


def _pattern(text: str) -> re2._Regexp | None:
    """RE2 takes linear time, whatever the pattern; what it does not know, look-arounds, is not followed."""
    try:
        return re2.compile(text[:512], _OPTIONS)
    except re2.error:
        return None


def split(value: Value, by: str, *, literal: bool) -> Value:
    if HOLE in by or not by:
        return Value(marks=value.marks)
    if literal:
        return array([of(part, value.marks) for part in re.split("[" + re.escape(by) + "]", value.text)])
    pattern = _pattern(by)
    return (
        Value(marks=value.marks) if pattern is None else array([of(str(part), value.marks) for part in pattern.split(value.text)])
    )


def indexed(value: Value, at: Value) -> Value:
    value = usual(value)
    if value.pairs is not None:
        return value.pairs.get(at.text.lower(), UNKNOWN)
    known = value.items if value.items is not None else tuple(of(sign) for sign in value.text) if value.is_known else ()
    found = []
    for index in items_of(at):
        place = _as_number(index)
        if not isinstance(place, int) or not -len(known) <= place < len(known):
            if value.is_known and isinstance(place, int) and known:
                continue
            return Value(marks=value.marks)
        found.append(known[place].marked(value.marks))
    return found[0] if len(found) == 1 else array(found)


def cast(kind: str, value: Value) -> Value:
    name = kind.removeprefix("system.")
    if name in ("char[]", "byte[]") and value.items is None and value.is_known and value.number is None and value.kind != "bytes":
        return array([of(sign, value.marks) for sign in value.text])
    if name == "char":
        return _char(value)
    if name in ("char[]",):
        return array([_char(item) for item in items_of(value)])
    if name == "byte[]":
        codes = [_as_number(item) for item in items_of(value)]
        if all(isinstance(code, int) and 0 <= code < 256 for code in codes):
            return Value(
                text="".join(chr(int(code)) for code in codes if code is not None)[:LIMIT_CHARS], kind="bytes", marks=value.marks
            )
        return replace(value, kind="bytes")
    if name in ("int", "int32", "int64", "long", "byte", "uint32", "int16"):
        if len(value.text) == 1 and value.number is None and not value.text.isdigit():
            return number(ord(value.text))
        found = _as_number(value)
        return UNKNOWN if found is None else number(int(found))
    if name == "string":
        return joined(value, " ") if value.items is not None else value
    if name in (
        "array",
        "object[]",
        "string[]",
        "psobject",
        "object",
        "void",
        "pscustomobject",
        "hashtable",
        "ordered",
        "bool",
        "double",
    ):
        return value
    return replace(value, kind=name)


def _char(value: Value) -> Value:
    code = _as_number(value)
    if isinstance(code, int) and 0 <= code < 0x110000 and (value.number is not None or len(value.text) > 1):
        return of(chr(code), value.marks)
    return value if len(value.text) == 1 else Value(marks=value.marks)


# ---- methods ------------------------------------------------------------------------------------
_ENCODINGS = {
    "unicode": "utf-16-le",
    "bigendianunicode": "utf-16-be",
    "utf8": "utf-8",
    "ascii": "latin-1",
    "utf32": "utf-32-le",
    "utf7": "utf-7",
    "default": "latin-1",
}


def method(value: Value, name: str, arguments: Sequence[Value]) -> Value | None:
    """What a method of a string or an array gives; None where it is none of theirs."""
    first = arguments[0] if arguments else EMPTY
    if name in (
        "tostring",
        "trim",
        "trimstart",
        "trimend",
        "normalize",
        "clone",
        "toarray",
        "getenumerator",
        "gettype",
        "aslist",
    ):
        plain = usual(value)
        return plain if name != "trim" or not plain.is_known else replace(plain, text=plain.text.strip(first.text or None))
    if name in ("tolower", "toupper", "tolowerinvariant", "toupperinvariant"):
        return replace(value, text=value.text.lower() if "lower" in name else value.text.upper())
    if name == "replace" and len(arguments) > 1:
        return replaced(value, array(arguments[:2]), literal=True)
    if name == "split":
        return split(value, first.text, literal=True)
    if name == "substring":
        return _substring(usual(value), arguments)
    if name in ("insert", "remove"):
        return _cut(name, value, arguments)
    if name == "tochararray":
        return array([of(sign, value.marks) for sign in usual(value).text]) if value.is_known else value
    if name == "invoke" and value.block is None:
        return None
    if name in ("padleft", "padright"):
        return value
    if name == "reverse" and value.items is not None:
        return array(value.items[::-1])
    return None


def _substring(value: Value, arguments: Sequence[Value]) -> Value:
    places = [_as_number(argument) for argument in arguments[:2]]
    if not value.is_known or not places or not all(isinstance(place, int) and place >= 0 for place in places):
        return Value(marks=value.marks)
    start = int(places[0] or 0)
    end = start + int(places[1] or 0) if len(places) > 1 else len(value.text)
    return of(value.text[start:end], value.marks)


def _cut(name: str, value: Value, arguments: Sequence[Value]) -> Value:
    at = _as_number(arguments[0]) if arguments else None
    if not isinstance(at, int) or at < 0 or (len(arguments) < 2 and name == "insert"):
        return Value(marks=value.marks)
    if name == "insert":
        return of(value.text[:at] + arguments[1].text + value.text[at:], value.marks)
    count = _as_number(arguments[1]) if len(arguments) > 1 else len(value.text)
    return of(value.text[:at] + value.text[at + int(count or 0) :], value.marks)


def static_method(kind: str, name: str, arguments: Sequence[Value]) -> Value | None:
    """What a static method of the types that make text of text gives; None where it is none of theirs."""
    first = arguments[0] if arguments else EMPTY
    if kind == "convert":
        return _convert(name, first, arguments)
    if kind == "string":
        if name == "join" and len(arguments) > 1:
            rest = arguments[1] if len(arguments) == 2 else array(arguments[1:])
            return joined(rest, first.text)
        if name == "concat":
            return joined(array(arguments) if len(arguments) > 1 else first, "")
        if name == "format" and len(arguments) > 1:
            return formatted(first, arguments[1] if len(arguments) == 2 else array(arguments[1:]))
    if kind in ("regex", "text.regularexpressions.regex") and name == "replace" and len(arguments) > 2:
        return replaced(first, array(arguments[1:3]), literal=False)
    if kind in ("regex", "text.regularexpressions.regex") and name in ("unescape", "escape"):
        return of(
            re.sub(r"\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1] or found[2], 16)), first.text),
            first.marks,
        )
    if kind in ("regex", "text.regularexpressions.regex") and name == "matches":
        backwards = any("righttoleft" in argument.text.lower() for argument in arguments[2:])
        if len(arguments) > 1 and arguments[1].text == "." and first.is_known:
            return array([of(sign, first.marks) for sign in (first.text[::-1] if backwards else first.text)])
        return Value(marks=first.marks)
    if kind == "char" and name == "convertfromutf32":
        return _char(first)
    if kind in ("web.httputility", "net.webutility", "uri") and ("decode" in name or "unescape" in name):
        return of(_PERCENT.sub(lambda found: chr(int(found[1], 16)), first.text), first.marks | Mark.DECODED)
    if kind == "environment" and name in ("getenvironmentvariable", "expandenvironmentvariables"):
        return of(f"%{first.text}%" if name.startswith("get") else first.text)
    if kind == "environment" and name == "getfolderpath":
        return of(_FOLDERS.get(first.text.lower(), HOLE))
    if kind in ("io.path", "path"):
        return _path(name, arguments)
    if kind == "array" and name == "reverse":
        return method(first, "reverse", ())
    return None


_PERCENT = re.compile(r"%([0-9a-fA-F]{2})")
_FOLDERS = {
    "startup": r"%APPDATA%\Microsoft\Windows\Start Menu\Programs\Startup",
    "commonstartup": r"%PROGRAMDATA%\Microsoft\Windows\Start Menu\Programs\Startup",
    "applicationdata": "%APPDATA%",
    "localapplicationdata": "%LOCALAPPDATA%",
    "userprofile": "%USERPROFILE%",
    "desktop": r"%USERPROFILE%\Desktop",
    "mydocuments": r"%USERPROFILE%\Documents",
    "personal": r"%USERPROFILE%\Documents",
    "system": r"%SystemRoot%\System32",
    "windows": "%SystemRoot%",
    "programfiles": "%ProgramFiles%",
    "commonapplicationdata": "%PROGRAMDATA%",
}


def _path(name: str, arguments: Sequence[Value]) -> Value | None:
    if name == "combine":
        return of("\\".join(argument.text.strip("\\") for argument in (arguments[0].items or arguments if arguments else ())))
    if name == "gettemppath":
        return of("%TEMP%")
    if name in ("gettempfilename",):
        return of("%TEMP%\\" + HOLE)
    if name in ("getfullpath", "getdirectoryname", "changeextension"):
        return arguments[0] if arguments else None
    return Value() if name.startswith("get") else None


def _convert(name: str, first: Value, arguments: Sequence[Value]) -> Value | None:
    if name == "frombase64string":
        return decoded(first)
    if name == "tobase64string":
        return replace(first, kind="", text=HOLE)
    if name == "fromhexstring":
        try:
            return Value(text=bytes.fromhex(first.text).decode("latin-1"), kind="bytes", marks=first.marks | Mark.DECODED)
        except ValueError:
            return Value(kind="bytes", marks=first.marks | Mark.DECODED)
    if name in ("toint16", "toint32", "toint64", "tobyte", "touint32"):
        base = _as_number(arguments[1]) if len(arguments) > 1 else 10
        text = first.text.strip().removeprefix("0x")
        if isinstance(base, int) and base in (2, 8, 10, 16) and re.fullmatch(r"[0-9a-fA-F]{1,16}", text):
            try:
                return number(int(text, base))
            except ValueError:
                return UNKNOWN
        return number(ord(text)) if len(text) == 1 and HOLE not in text else UNKNOWN
    if name == "tochar":
        return _char(first)
    return first if name == "tostring" else None


def decoded(value: Value) -> Value:
    """Base64 to bytes, which are kept as one character each."""
    marks = value.marks | Mark.DECODED
    if not value.is_known:
        return Value(kind="bytes", marks=marks)
    text = re.sub(r"\s", "", value.text)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return Value(kind="bytes", marks=marks)
    return Value(text=raw[:LIMIT_CHARS].decode("latin-1"), kind="bytes", marks=marks)


def text_of_bytes(value: Value, encoding: str) -> Value:
    """What GetString gives."""
    if not value.is_known:
        return Value(marks=value.marks)
    raw = value.text if value.kind == "bytes" else cast("byte[]", value).text
    try:
        plain = raw.encode("latin-1").decode(_ENCODINGS.get(encoding, "utf-8"), "replace")
    except (UnicodeEncodeError, LookupError):
        plain = raw
    return of(plain.replace("\0", ""), value.marks)


def unpacked(value: Value) -> Value:
    """What a stream that inflates gives."""
    if not value.is_known:
        return Value(kind="bytes", marks=value.marks)
    try:
        raw = value.text.encode("latin-1")
    except UnicodeEncodeError:
        return Value(kind="bytes", marks=value.marks)
    for window in (-15, 31, 15):
        try:
            plain = zlib.decompressobj(window).decompress(raw, LIMIT_CHARS)
        except zlib.error:
            continue
        return Value(text=plain.decode("latin-1"), kind="bytes", marks=value.marks | Mark.DECODED)
    return Value(kind="bytes", marks=value.marks | Mark.DECODED)
