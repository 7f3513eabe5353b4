"""What an expression of Python is worth when its parts are known: operators, methods of texts, builtins, decoders.

Nothing of the program is run: each operation is one of ours, on constants, within a bound on the size of what comes out. What has
none here keeps its marks and loses its value.
"""

import ast
import operator
import re
from collections.abc import Callable

from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scripting_decode import Fold, decoded, decoders
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_values import (
    DECODED,
    ENVIRONMENT,
    LIMIT_TEXT,
    NOTHING,
    Value,
    as_path,
    joined_path,
    known,
    marked,
    marks_of,
    variable,
)

_FORMAT = re.compile(
    r"%(?:\((\w{0,80})\))?[#0 +-]{0,8}[\d*]{0,6}(?:\.[\d*]{1,6})?([a-zA-Z%])|\{\{|\}\}|\{([^{}!:.\[]{0,80})[^{}]{0,80}\}"
)
LIMIT_NUMBER_BITS = 4096

_NUMBERS: dict[type[ast.operator], Callable[[int, int], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.RShift: operator.rshift,
    ast.LShift: operator.lshift,
}


def binary(kind: type[ast.operator], left: Value, right: Value) -> Value:
    """`left` and `right` without others."""
    marks = left.marks | right.marks
    a, b = left.const, right.const
    if isinstance(a, int) and isinstance(b, int):
        return _number(kind, a, b, marks)
    if kind is ast.Add:
        if left.items is not None or right.items is not None:
            return _lists(left, right, marks)
        if isinstance(a, bytes) and isinstance(b, bytes):
            return known(a + b, marks)
        if isinstance(a, str) or isinstance(b, str):
            return known(_tidy(left.shown() + right.shown()), marks)
    elif kind is ast.Mod and isinstance(a, str | bytes):
        return percent(left, right)
    elif kind is ast.Mult:
        text, times = (a, b) if isinstance(a, str | bytes) else (b, a)
        if isinstance(text, str | bytes) and isinstance(times, int):
            return known(text * times, marks) if len(text) * times <= LIMIT_TEXT else marked(marks)
    elif kind is ast.Div and (left.name == "<path>" or right.name == "<path>"):
        return joined_path([left, right])
    return marked(marks)


def _number(kind: type[ast.operator], a: int, b: int, marks: int) -> Value:
    function = _NUMBERS.get(kind)
    is_long = a.bit_length() > LIMIT_NUMBER_BITS or b.bit_length() > LIMIT_NUMBER_BITS
    if function is None or is_long or (kind in (ast.LShift, ast.RShift) and not 0 <= b <= LIMIT_NUMBER_BITS):
        return marked(marks)
    try:
        return Value(function(a, b), marks | DECODED if kind is ast.BitXor else marks)
    except ZeroDivisionError:
        return marked(marks)


def _lists(left: Value, right: Value, marks: int) -> Value:
    a = left.items if isinstance(left.items, list) else None
    b = right.items if isinstance(right.items, list) else None
    if a is None and b is None:
        return marked(marks)
    rest = [marked(marks) if marks else Value(HOLE)]
    return Value(marks=marks, items=((a if a is not None else rest) + (b if b is not None else rest))[:4096])


def _tidy(text: str) -> str:
    while HOLE + HOLE in text:
        text = text.replace(HOLE + HOLE, HOLE)
    return text


def percent(left: Value, right: Value) -> Value:
    """ "%s" % x. Widths and precisions are left out: they move nothing that matters here."""
    parts = right.items if isinstance(right.items, list) else [right]
    by_name = right.items if isinstance(right.items, dict) else {}
    rest = iter(parts)

    def put(found: re.Match[str]) -> str:
        if found[2] is None:
            return found[0]
        if found[2] == "%":
            return "%"
        value = by_name.get(found[1]) if found[1] else next(rest, None)
        return HOLE if value is None else _shown_as(value, found[2])

    return known(_tidy(_FORMAT.sub(put, left.shown())), left.marks | marks_of([right]))


def _shown_as(value: Value, letter: str) -> str:
    if letter == "c" and isinstance(value.const, int) and 0 <= value.const < 0x110000:
        return chr(value.const)
    if letter == "x" and isinstance(value.const, int):
        return format(value.const, "x")
    return value.shown()


def formatted(template: Value, given: Given) -> Value:
    """ "{}".format(x)."""
    rest = iter(given.values)

    def put(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if found[3] is None:
            return found[0]
        field = found[3].strip()
        if field.isdigit():
            value = given.values[int(field)] if len(field) < 4 and int(field) < len(given.values) else None
        else:
            value = given.named.get(field) if field else next(rest, None)
        return HOLE if value is None else value.shown()

    return known(_tidy(_FORMAT.sub(put, template.shown())), template.marks | given.marks())


def indexed(value: Value, index: object) -> Value:
    """`index` a constant or a slice of constants."""
    items: object = value.items if isinstance(value.items, list) else value.const
    if isinstance(items, str) and HOLE in items:
        return marked(value.marks)
    if not isinstance(items, str | bytes | list) or not isinstance(index, int | slice):
        return marked(marks_of([value]))
    try:
        found = items[index]
    except (IndexError, ValueError, TypeError, OverflowError, MemoryError):
        return marked(marks_of([value]))
    if isinstance(found, Value):
        return found
    return Value(marks=value.marks, items=found) if isinstance(found, list) else known(found, value.marks)


# Methods of texts. Each gets the text and constant arguments.

_METHODS: dict[str, Callable[..., object]] = {
    "lower": lambda t: t.lower(),
    "upper": lambda t: t.upper(),
    "casefold": lambda t: t.lower(),
    "swapcase": lambda t: t.swapcase(),
    "title": lambda t: t.title(),
    "capitalize": lambda t: t.capitalize(),
    "strip": lambda t, *a: t.strip(*a),
    "lstrip": lambda t, *a: t.lstrip(*a),
    "rstrip": lambda t, *a: t.rstrip(*a),
    "removeprefix": lambda t, a: t.removeprefix(a),
    "removesuffix": lambda t, a: t.removesuffix(a),
    "replace": lambda t, a, b, *c: t.replace(a, b) if a and len(b) * t.count(a) <= LIMIT_TEXT else None,
    "split": lambda t, *a: t.split(*a),
    "rsplit": lambda t, *a: t.rsplit(*a),
    "splitlines": lambda t, *a: t.splitlines(),
    "partition": lambda t, a: list(t.partition(a)),
    "rpartition": lambda t, a: list(t.rpartition(a)),
    "zfill": lambda t, a: t,
    "expandtabs": lambda t, *a: t,
    "hex": lambda t: t.hex(),
    "count": lambda t, a: t.count(a),
    "find": lambda t, a: t.find(a),
    "index": lambda t, a: t.find(a),
}
_PASSING = frozenset(("copy", "tobytes", "getvalue", "as_posix", "expanduser", "to_string", "dedent"))
_CODECS = {"hex": "hex", "rot13": "rot13", "rot_13": "rot13", "base64": "base64", "zlib": "zlib", "bz2": "bz2", "uu": "uu"}


def method(receiver: Value, name: str, given: Given) -> Value | None:
    """Of a text or a list whose value is known; None where it has no such method here."""
    if isinstance(receiver.items, list) and receiver.const.__class__ not in (str, bytes):
        return _list_method(receiver, name, given)
    const = receiver.const
    if not isinstance(const, str | bytes):
        return None
    marks = receiver.marks | given.marks()
    if name == "join":
        return _joined(receiver, given)
    if name == "format":
        return formatted(receiver, given)
    if name in ("encode", "decode"):
        return _coded(receiver, name, given)
    if name == "translate":
        return _translated(receiver, given)
    function = _METHODS.get(name)
    if function is not None:
        arguments = [value.const for value in given.values]
        try:
            result = function(const, *arguments)
        except (TypeError, ValueError, OverflowError, MemoryError):
            result = None
        if isinstance(result, list):
            return Value(marks=marks, items=[known(part, marks) for part in result[:4096]])
        return marked(marks) if result is None else known(result, marks)
    return Value(const, marks) if name in _PASSING else None


def _list_method(receiver: Value, name: str, given: Given) -> Value | None:
    items = receiver.items
    assert isinstance(items, list)
    if name == "append" and given.values:
        if len(items) < 1024:
            items.append(given.values[0])
    elif name in ("extend", "insert") and given.values:
        more = given.values[-1]
        if len(items) < 1024:
            items.extend(more.items if name == "extend" and isinstance(more.items, list) else [more])
    elif name == "pop":
        return items[-1] if items else NOTHING
    elif name in ("reverse", "sort", "clear"):
        items[:] = reversed(items) if name == "reverse" else items
    elif name == "copy":
        return Value(marks=receiver.marks, items=list(items))
    else:
        return None
    return NOTHING


def _joined(receiver: Value, given: Given) -> Value:
    parts = given.first()
    marks = receiver.marks | given.marks()
    if isinstance(parts.items, list):
        if sum(len(part.shown()) for part in parts.items) > LIMIT_TEXT:
            return marked(marks)
        return known(_tidy(receiver.shown().join(part.shown() for part in parts.items)), marks)
    text = parts.text()
    return marked(marks) if text is None else known(receiver.shown().join(text), marks)


def _coded(receiver: Value, name: str, given: Given) -> Value:
    codec = given.get((0, "encoding"))
    form = codec.const if codec is not None else ""
    if isinstance(form, str) and form.lower() in _CODECS:
        return decoded(_CODECS[form.lower()], receiver)
    const = receiver.const
    if name == "decode" and isinstance(const, bytes):
        wide = isinstance(form, str) and form.lower().replace("_", "-").startswith("utf-16")
        return known(const.decode("utf-16-le" if wide else "utf-8", "replace"), receiver.marks)
    if name == "encode" and isinstance(const, str) and HOLE not in const:
        return known(const.encode("utf-8", "replace"), receiver.marks)
    return Value(const, receiver.marks)


def _translated(receiver: Value, given: Given) -> Value:
    table = given.values[0].const if given.values else None
    marks = receiver.marks | DECODED
    if isinstance(table, dict) and isinstance(receiver.const, str):
        return known(receiver.const.translate(table), marks)
    return marked(marks)


# Functions.


def _first(given: Given) -> Value:
    return given.values[0] if given.values else next(iter(given.named.values()), NOTHING)


def _chr(given: Given) -> Value:
    code = _first(given).const
    return (
        Value(chr(code), given.marks() | DECODED)
        if isinstance(code, int) and 0 <= code < 0x110000
        else Value(HOLE, given.marks())
    )


def _ord(given: Given) -> Value:
    text = _first(given).const
    return Value(ord(text), given.marks()) if isinstance(text, str | bytes) and len(text) == 1 else marked(given.marks())


def _int(given: Given) -> Value:
    text, base = _first(given).const, given.get((1, "base"))
    if isinstance(text, int):
        return Value(text, given.marks())
    if isinstance(text, str | bytes) and len(text) < 64:
        try:
            return Value(int(text, base.const if base is not None and isinstance(base.const, int) else 10), given.marks())
        except ValueError:
            return NOTHING
    return NOTHING


def _str(given: Given) -> Value:
    value = _first(given)
    if isinstance(value.const, str | bytes | int):
        return known(value.shown(), value.marks)
    return Value(HOLE, given.marks()) if value.items is None else marked(given.marks())


def _bytes(given: Given) -> Value:
    value = _first(given)
    if isinstance(value.items, list):
        codes = [item.const for item in value.items if isinstance(item.const, int) and 0 <= item.const < 256]
        if len(codes) == len(value.items):
            return known(bytes(codes), marks_of([value]) | DECODED)
        return marked(marks_of([value]) | DECODED)
    if isinstance(value.const, str):
        return known(value.const.encode("utf-8", "replace") if HOLE not in value.const else value.const, value.marks)
    return Value(value.const, value.marks) if isinstance(value.const, bytes) else marked(value.marks)


def _sequence(given: Given) -> Value:
    value = _first(given)
    if isinstance(value.items, list):
        return Value(marks=value.marks, items=list(value.items))
    return elements(value) or Value(marks=given.marks(), name=value.name, const=value.const)


def elements(value: Value) -> Value | None:
    """A text as the list of its characters, bytes as numbers; None where it is not known or long."""
    const = value.const
    if isinstance(const, str) and len(const) <= 4096 and HOLE not in const and not value.name:
        return Value(marks=value.marks, items=[Value(letter, value.marks) for letter in const])
    if isinstance(const, bytes) and len(const) <= 4096:
        return Value(marks=value.marks, items=[Value(code, value.marks) for code in const])
    return value if isinstance(value.items, list) else None


def _range(given: Given) -> Value:
    bounds = [value.const for value in given.values if isinstance(value.const, int)]
    if not bounds or len(bounds) != len(given.values) or len(bounds) > 3:
        return NOTHING
    first, last = (bounds[0], bounds[1]) if len(bounds) > 1 else (0, bounds[0])
    step = bounds[2] if len(bounds) == 3 else 1
    if step == 0 or abs(last - first) // abs(step) > 1024:
        return NOTHING
    return Value(items=[Value(number) for number in range(first, last, step)])


def _reversed(given: Given) -> Value:
    listed = elements(_first(given))
    if listed is None or not isinstance(listed.items, list):
        return marked(given.marks())
    return Value(marks=listed.marks, items=listed.items[::-1])


def _zip(given: Given) -> Value:
    lists = [elements(value) for value in given.values]
    if not lists or any(one is None for one in lists):
        return marked(given.marks())
    columns = [one.items for one in lists if one is not None and isinstance(one.items, list)]
    return Value(marks=given.marks(), items=[Value(items=list(row)) for row in zip(*columns, strict=False)])


def _enumerate(given: Given) -> Value:
    listed = elements(_first(given))
    if listed is None or not isinstance(listed.items, list):
        return Value(marks=given.marks())
    return Value(marks=listed.marks, items=[Value(items=[Value(at), item]) for at, item in enumerate(listed.items)])


def _maketrans(given: Given) -> Value:
    texts = [value.const for value in given.values]
    if len(texts) >= 2 and isinstance(texts[0], str) and isinstance(texts[1], str) and len(texts[0]) == len(texts[1]):
        return Value(str.maketrans(texts[0], texts[1]))
    return NOTHING


def _codecs(given: Given) -> Value:
    form = given.get((1, "encoding"))
    name = form.const.lower() if form is not None and isinstance(form.const, str) else ""
    return decoded(_CODECS[name], _first(given)) if name in _CODECS else _first(given)


def _path(given: Given) -> Value:
    return joined_path(given.values) if given.values else as_path(".")


def _listing(given: Given) -> Value:
    return Value(HOLE, given.marks() & ~ENVIRONMENT, "<paths>")


def _globbed(given: Given) -> Value:
    pattern = _first(given)
    return Value(pattern.const if isinstance(pattern.const, str) else HOLE, pattern.marks, "<paths>")


def _walked(given: Given) -> Value:
    top = _first(given)
    root = joined_path([top, Value(HOLE)])
    names = Value(HOLE, top.marks, "<paths>")
    return Value(marks=top.marks, name="<rows>", items=[Value(items=[root, names, names])])


def _below(given: Given) -> Value:
    pattern = given.values[0].text() if given.values else None
    path = joined_path([given.receiver, Value(pattern or HOLE)])
    return Value(path.const, path.marks, "<paths>")


def _parent(given: Given) -> Value:
    text = _first(given).text()
    return as_path(text.rpartition("/")[0] or ("/" if text.startswith("/") else "."), given.marks()) if text else _first(given)


_DECODERS = {
    "hex": "bytes.fromhex bytearray.fromhex binascii.unhexlify binascii.a2b_hex",
    "base64": (
        "base64.b64decode base64.urlsafe_b64decode base64.standard_b64decode base64.decodebytes base64.decodestring"
        " binascii.a2b_base64"
    ),
    "base32": "base64.b32decode",
    "base16": "base64.b16decode",
    "base85": "base64.b85decode",
    "ascii85": "base64.a85decode",
    "zlib": "zlib.decompress gzip.decompress",
    "bz2": "bz2.decompress",
    "lzma": "lzma.decompress",
}
_SAME = (  # give back what they are given, for all that matters here
    "textwrap.dedent shlex.quote urllib.parse.unquote os.fspath os.path.expanduser os.path.expandvars os.path.abspath"
    " os.path.realpath os.path.normpath"
)
_SAME_PATH = "resolve absolute expanduser as_posix with_suffix"
FOLDS: dict[str, Fold] = {
    **decoders(_DECODERS, _first),
    **dict.fromkeys(_SAME.split(), _first),
    **dict.fromkeys(("list", "tuple", "sorted", "set"), _sequence),
    **dict.fromkeys(("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.WindowsPath"), _path),
    **{f"<path>.{name}": lambda given: given.receiver for name in _SAME_PATH.split()},
    **dict.fromkeys(("<path>.iterdir", "<path>.glob", "<path>.rglob"), _below),
    "chr": _chr,
    "ord": _ord,
    "int": _int,
    "str": _str,
    "repr": _str,
    "bytes": _bytes,
    "bytearray": _bytes,
    "reversed": _reversed,
    "range": _range,
    "zip": _zip,
    "enumerate": _enumerate,
    "len": lambda given: NOTHING,
    "str.maketrans": _maketrans,
    "codecs.decode": _codecs,
    "codecs.encode": _codecs,
    "shlex.split": lambda given: method(_first(given), "split", Given()) or NOTHING,
    "os.path.join": lambda given: joined_path(given.values),
    "os.path.dirname": _parent,
    "os.getcwd": lambda given: as_path("."),
    "os.listdir": _listing,
    "os.walk": _walked,
    "glob.glob": _globbed,
    "glob.iglob": _globbed,
    "os.getenv": lambda given: variable(_first(given)),
    "os.environ.get": lambda given: variable(_first(given)),
    "os.environ.copy": lambda given: Value(marks=ENVIRONMENT, name="os.environ"),
    "tempfile.gettempdir": lambda given: as_path("/tmp"),  # noqa: S108 - a text that is judged
    "pathlib.Path.home": lambda given: as_path("~"),
    "pathlib.Path.cwd": lambda given: as_path("."),
    "<path>.joinpath": lambda given: joined_path([given.receiver, *given.values]),
    "<path>.with_name": lambda given: joined_path([_parent(Given([given.receiver])), *given.values]),
}
