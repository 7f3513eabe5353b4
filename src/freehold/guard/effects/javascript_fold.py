"""What an expression of JavaScript is worth when its parts are known: operators, methods of texts and lists, decoders.

As `python_fold`: nothing of the program is run, and what comes out is bounded.
"""

import re
from collections.abc import Callable

from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scripting_decode import Fold, decoded, decoders
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_values import (
    DECODED,
    ENVIRONMENT,
    INPUT,
    LIMIT_TEXT,
    NETWORK,
    NOTHING,
    SECRET,
    Value,
    as_path,
    joined_path,
    known,
    marked,
    marks_of,
)

CONSTANTS = {
    "process.env": Value(marks=ENVIRONMENT, name="process.env"),
    "process.argv": Value(marks=INPUT),
    "process.execPath": Value("node"),
    "process.stdin": Value(marks=INPUT, name="process.stdin"),
    "process.mainModule": Value(name="module"),
    "require.main": Value(name="module"),
    "module.constructor": Value(name="module"),
    "__dirname": as_path("."),
    "__filename": Value("program.js"),
    "document.cookie": Value(marks=SECRET, name="document.cookie"),
    "location.hash": Value(marks=NETWORK),
    "location.search": Value(marks=NETWORK),
    "os.EOL": Value("\n"),
    "path.sep": Value("/"),
    "Deno.args": Value(marks=INPUT),
    "Bun.argv": Value(marks=INPUT),
    "Bun.env": Value(marks=ENVIRONMENT, name="process.env"),
}
_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([0-7]{1,3})|(\n)|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_CODECS = {"base64": "base64", "base64url": "base64", "hex": "hex"}


def literal(source: str) -> Value:
    """A string literal with its quotes. One that hides letters as numbers is marked: nobody writes "\\x65val" to be read."""
    body = source[1:-1]
    if "\\" not in body:
        return known(body)
    hidden = [int(one, 16) for found in _ESCAPE.finditer(body) for one in (found[1] or found[2] or found[3],) if one]
    is_hidden = sum(32 < code < 127 for code in hidden) > 2
    return known(_ESCAPE.sub(_unescaped, body), DECODED if is_hidden else 0)


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code:
        return chr(int(code, 16)) if int(code, 16) < 0x110000 else HOLE
    if found[4] and found[4] != "0":
        return chr(int(found[4], 8))
    return "" if found[5] else _SIMPLE.get(found[6] or "0", found[6] or "")


def binary(sign: str, left: Value, right: Value) -> Value:
    """`left` and `right` without others."""
    marks = left.marks | right.marks
    a, b = left.const, right.const
    if isinstance(a, int) and isinstance(b, int):
        match sign:
            case "+" | "-" | "*" if abs(a) < 1 << 53 and abs(b) < 1 << 53:
                return Value(a + b if sign == "+" else a - b if sign == "-" else a * b, marks)
            case "^":
                return Value(a ^ b, marks | DECODED)
            case "%" if b > 0 <= a:
                return Value(a % b, marks)
            case "&" | "|":
                return Value(a & b if sign == "&" else a | b, marks)
        return marked(marks)
    if sign == "+" and (isinstance(a, str) or isinstance(b, str)):
        return known((left.shown() + right.shown()).replace(HOLE + HOLE, HOLE), marks)
    return marked(marks) if sign == "+" else NOTHING


# Methods. Each gets a text and what is known of its arguments; None is not known.

_Method = Callable[[str, list[object]], object]


def _slice(text: str, a: list[object]) -> object:
    first, last = [*a, None, None][:2]
    return text[first if isinstance(first, int) else 0 : last if isinstance(last, int) else None]


def _substr(text: str, a: list[object]) -> object:
    first = a[0] if a and isinstance(a[0], int) else 0
    size = a[1] if len(a) > 1 and isinstance(a[1], int) else len(text)
    start = first if first >= 0 else max(0, len(text) + first)
    return text[start : start + max(0, size)]


def _replace(text: str, a: list[object]) -> object:
    if len(a) > 1 and isinstance(a[0], str) and isinstance(a[1], str) and a[0] and len(a[1]) * text.count(a[0]) < LIMIT_TEXT:
        return text.replace(a[0], a[1])
    return None


def _split(text: str, a: list[object]) -> object:
    by = a[0] if a else None
    return None if not isinstance(by, str) else text.split(by) if by else list(text[:4096])


def _at(text: str, a: list[object]) -> object:
    index = a[0] if a and isinstance(a[0], int) else 0
    return text[index] if -len(text) <= index < len(text) else ""


def _code(text: str, a: list[object]) -> object:
    letter = _at(text, a)
    return ord(letter) if isinstance(letter, str) and letter else None


def _repeat(text: str, a: list[object]) -> object:
    return text * a[0] if a and isinstance(a[0], int) and 0 <= a[0] * len(text) <= LIMIT_TEXT else None


_METHODS: dict[str, _Method] = {
    "toLowerCase": lambda text, a: text.lower(),
    "toUpperCase": lambda text, a: text.upper(),
    "trim": lambda text, a: text.strip(),
    "trimEnd": lambda text, a: text.rstrip(),
    "trimStart": lambda text, a: text.lstrip(),
    "toString": lambda text, a: text,
    "valueOf": lambda text, a: text,
    "normalize": lambda text, a: text,
    "concat": lambda text, a: text + "".join(str(one) if isinstance(one, str | int) else HOLE for one in a),
    "padStart": lambda text, a: text,
    "padEnd": lambda text, a: text,
    "slice": _slice,
    "substring": _slice,
    "substr": _substr,
    "replace": _replace,
    "replaceAll": _replace,
    "split": _split,
    "charAt": _at,
    "at": _at,
    "charCodeAt": _code,
    "codePointAt": _code,
    "repeat": _repeat,
}


def method(receiver: Value, name: str, given: Given) -> Value | None:
    """Of a text or a list whose value is known; None where it has no such method here."""
    if isinstance(receiver.items, list):
        return _list_method(receiver, name, given)
    const = receiver.const
    if isinstance(const, bytes):
        return _buffer_method(receiver, name, given)
    function = _METHODS.get(name)
    if not isinstance(const, str) or function is None:
        return None
    marks = receiver.marks | given.marks()
    result = function(const, [value.const for value in given.values])
    if isinstance(result, list):
        return Value(marks=marks, items=[known(part, marks) for part in result[:4096]])
    return known(result, marks) if result is not None else marked(marks)


def _buffer_method(receiver: Value, name: str, given: Given) -> Value | None:
    if name == "toString":
        form = given.values[0].text() if given.values else "utf8"
        data = receiver.const
        if isinstance(data, bytes) and form in ("hex", "base64"):
            return marked(receiver.marks)
        return known(data.decode("utf-8", "replace"), receiver.marks) if isinstance(data, bytes) else None
    return None


def _list_method(receiver: Value, name: str, given: Given) -> Value | None:
    items = receiver.items
    assert isinstance(items, list)
    marks = marks_of([receiver])
    match name:
        case "join":
            between = given.values[0].shown() if given.values else ","
            if sum(len(item.shown()) for item in items) + len(between) * len(items) > LIMIT_TEXT:
                return marked(marks)
            return known(between.join(item.shown() for item in items), marks)
        case "reverse":
            items.reverse()
            return receiver
        case "push" | "unshift" if len(items) < 1024:
            items.extend(given.values)
            return NOTHING
        case "concat":
            more = [one for value in given.values for one in (value.items if isinstance(value.items, list) else [value])]
            return Value(marks=marks, items=(items + more)[:4096])
        case "slice":
            bounds = [value.const for value in given.values]
            first, last = ([*bounds, None, None])[:2]
            return Value(
                marks=marks, items=items[first if isinstance(first, int) else 0 : last if isinstance(last, int) else None]
            )
        case "pop" | "shift":
            return items[-1 if name == "pop" else 0] if items else NOTHING
        case "toString":
            return known(",".join(item.shown() for item in items)[:LIMIT_TEXT], marks)
    return None


# Functions.


def _letters(given: Given) -> Value:
    values = given.values
    if len(values) == 1 and isinstance(values[0].items, list):
        values = values[0].items
    codes = [value.const for value in values if isinstance(value.const, int) and 0 <= value.const < 0x110000]
    marks = marks_of(given.values) | DECODED
    return known("".join(map(chr, codes)), marks) if len(codes) == len(values) else Value(HOLE, marks)


def _buffer(given: Given) -> Value:
    value = given.first()
    form = given.values[1].text() if len(given.values) > 1 else None
    if form in _CODECS:
        return decoded(_CODECS[form], value)
    if isinstance(value.items, list):
        codes = [item.const for item in value.items if isinstance(item.const, int) and 0 <= item.const < 256]
        return (
            known(bytes(codes), value.marks | DECODED) if len(codes) == len(value.items) else marked(marks_of([value]) | DECODED)
        )
    text = value.const
    return (
        known(text.encode("utf-8", "replace"), value.marks) if isinstance(text, str) and HOLE not in text else marked(value.marks)
    )


def _as_text(given: Given) -> Value:
    value = given.first()
    return known(value.shown(), value.marks) if value.const.__class__ in (str, int, bytes) else marked(value.marks)


def _integer(given: Given) -> Value:
    value = given.first()
    base = given.values[1].const if len(given.values) > 1 else 10
    text = value.text()
    if text is None or not isinstance(base, int) or not 2 <= base <= 36 or len(text) > 64:
        return Value(value.const) if isinstance(value.const, int) else NOTHING
    try:
        return Value(int(text, base), value.marks)
    except ValueError:
        return NOTHING


def _listing(given: Given) -> Value:
    return Value(HOLE, given.marks() & ~ENVIRONMENT, "<paths>")


def _parent(given: Given) -> Value:
    text = given.first().text()
    return as_path(text.rpartition("/")[0] or "/", given.marks()) if text else given.first()


def _parsed(given: Given) -> Value:
    return marked(marks_of(given.values))


_DECODERS = {"base64": "atob", "percent": "unescape", "zlib": "zlib.inflateSync zlib.gunzipSync zlib.unzipSync"}
_PASSING = (  # on what they are given
    "String.raw decodeURI encodeURIComponent encodeURI Promise.resolve Promise.all util.promisify path.normalize URL"
)
FOLDS: dict[str, Fold] = {
    **decoders(_DECODERS),
    **dict.fromkeys(_PASSING.split(), Given.first),
    **dict.fromkeys(("parseInt", "Number", "Number.parseInt"), _integer),
    **dict.fromkeys(("Buffer", "Buffer.from", "Uint8Array.from"), _buffer),
    **dict.fromkeys(("btoa", "JSON.stringify", "JSON.parse", "Object.entries"), _parsed),
    "String.fromCharCode": _letters,
    "String.fromCodePoint": _letters,
    "String": _as_text,
    "decodeURIComponent": lambda given: (
        given.first() if "%" not in (given.first().text() or "") else decoded("percent", given.first())
    ),
    "path.join": lambda given: joined_path(given.values),
    "path.resolve": lambda given: joined_path(given.values),
    "path.dirname": _parent,
    "os.homedir": lambda given: as_path("~"),
    "os.tmpdir": lambda given: as_path("/tmp"),  # noqa: S108 - a text that is judged
    "process.cwd": lambda given: as_path("."),
    "Deno.cwd": lambda given: as_path("."),
    "fs.readdirSync": _listing,
    "Bun.file": lambda given: as_path(given.first().text() or HOLE, given.marks()),
}
