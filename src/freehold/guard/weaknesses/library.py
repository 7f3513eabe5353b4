"""What the built-in operations of the languages do to texts, numbers and containers. Names alone: they mean the same everywhere.

Only what is needed to follow values is here; what is dangerous is in the rules.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from freehold.guard.weaknesses.ir import Call, Group, Index, Member, Name, Node
from freehold.guard.weaknesses.values import CLEAN, HOLE, LIMIT_TEXT, UNSET, Constant, Value, element, joined, mixed, whole


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


AND = frozenset(("&&", "and"))
OR = frozenset(("||", "or"))
ELSE = frozenset(("??", "?:"))
EQUAL = frozenset(("==", "===", "is", "eq"))
UNEQUAL = frozenset(("!=", "!==", "is not", "<>"))
LIMIT_TOLD = 64  # of what conditions told, in one function: each is looked at whenever a variable gets a value
TESTS = EQUAL | UNEQUAL | AND | OR | {"in", "not in"}
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
OPPOSITE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "==", "===": "!==", "!==": "==="}
UPWARDS = ("..", "../", "..\\", "/", "\\")
FINDS = _names("contains Contains includes include? indexOf IndexOf find strstr strpos str_contains ContainsAny strchr")
STARTS = frozenset(
    ["startsWith", "startswith", "StartsWith", "HasPrefix", "start_with?", "str_starts_with", "is_relative_to", "IsLocal"]
)
PARSES = _names(  # they give a form of an address or a path that tells its parts, or what it comes to
    "urlparse urlsplit URL URI Uri create parse Parse ParseRequestURI parse_url make_url resolve realpath abspath normpath"
    " normalize toRealPath getCanonicalPath getCanonicalFile GetFullPath Clean Abs expand_path canonical Path"
)
COMMON = frozenset(("commonpath", "commonprefix"))
PLACES = ("path-traversal", "ssrf", "open-redirect")
MEMBERSHIP = _names(
    "contains Contains containsKey ContainsKey includes include? has in_array array_key_exists hasOwnProperty key? member?"
)
SIZES = frozenset(("length", "Length", "size", "Count"))
CONTAINERS = _names(
    "ArrayList LinkedList Vector List HashMap LinkedHashMap TreeMap Hashtable HashSet Map Dictionary Set Stack ArrayDeque"
    " Queue Properties dict list Array vector map ConcurrentHashMap"
)
PACKAGES = _names("java javax org com io net jakarta std os sys fs path http https crypto json math time re logging")
COUNTED = "counted()"  # the path of what a loop counts
STREAMS = frozenset(("cin", "std.cin"))
SETTINGS = frozenset(("getProperty", "get_setting", "GetSetting"))  # they give their last argument where nothing is set
REPLACES = frozenset(("preg_replace", "replaceAll", "replace", "sub", "gsub", "ReplaceAllString", "Replace", "replaceFirst"))
NUMBER_NAMES = frozenset(("integer", "int", "float", "double", "bool", "boolean"))
ARITHMETIC = frozenset(("+", "-", "*", "/", "//", "**", "<<", ">>", "&", "|", "^"))
_ALL_BUT_WORDS = re.compile(r"^[/#~]?\[\^[\w\\ -]+\][+*]?[/#~]?[gimsu]*$")
MODULES = frozenset(("require", "importlib.import_module", "__import__"))  # they give the module of a name
FIELDS = frozenset(("getattr", "builtins.getattr", "Reflect.get"))  # they give the field of an object by its name
WRAPS = frozenset(("promisify", "denodeify", "fromCallback", "vars"))  # they give what has all that theirs has
CALLERS = frozenset(("call_user_func", "send", "public_send", "__send__"))  # they call what their first argument names
KEEPERS = frozenset(("define", "set", "setdefault", "put", "setProperty", "putenv"))  # they keep a value under a name
SCOPES = frozenset(("globals()", "locals()", "__builtins__", "builtins", "window", "globalThis", "global"))
CONSTRUCTORS = ("__construct", "__init__", "constructor", "initialize")
VAGUE = frozenset(["var", "auto", "object", "Object", "any", "dynamic", "let", "const", "String", "string", "T", "interface{}"])
_CHECKS = re.compile(r"(?i)valid|is_?safe|allow|white_?list|permit|trusted|is_?alnum|isalpha|is_?digit|is_?numeric|is_?int")
CLEANS = re.compile(r"(?i)saniti[sz]e|escape|purify|quote(?!d)|html_?encode|url_?encode|encode_?for")
PATTERN_SIGNS = re.compile(r"[\[\]^$*+\\]")
_SPECIFIER = re.compile(
    r"%(?:\((\w+)\))?[-+ #0-9.*]*(?:hh|h|ll|l|z)?([a-zA-Z%])|\{\{|\}\}|\{(\d*)(?:[!:,][^{}]*)?\}|\{(\w[^{}]*)\}"
)
_KEEPS = _names(
    "trim strip toString String str ToString to_s strval lower upper toLowerCase toUpperCase ToLower ToUpper TrimSpace chomp"
    " encode decode getBytes GetBytes Trim valueOf c_str toCharArray bytes freeze intern rstrip lstrip dup to_str asString"
    " unicode"
)
_CUTS = frozenset(("strip", "rstrip", "lstrip"))  # what they are given is what goes
_ENCODING = re.compile(r"(?i)(?:utf|ascii|latin|iso-|us-|cp\d)")
_FORMATS = frozenset(["Sprintf", "sprintf", "format", "Format", "formatted", "vsprintf", "Sprint", "Sprintln", "Errorf"])
_PUTS = _names("put set setProperty Add add append push push_back addLast addElement offer Push Enqueue store insert")
_GETS = frozenset(["get", "elementAt", "getProperty", "at", "Get", "fetch", "dig", "getOrDefault", "ElementAt"])
_TAKES = frozenset(["remove", "pop", "shift", "poll", "removeFirst", "removeLast", "Pop", "Dequeue", "pop_back"])
INTEGERS = {
    **{f"int{bits}": (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0.0, 2.0**bits - 1) for bits in (8, 16, 32, 64)},
    "int": (-(2.0**63), 2.0**63 - 1),
    "uint": (0.0, 2.0**64 - 1),
    "uintptr": (0.0, 2.0**64 - 1),
    "byte": (0.0, 255.0),
    "rune": (-(2.0**31), 2.0**31 - 1),
}
_HOST = re.compile(r"\w+://[^/]+/")
_KEPT_CHARS = 200
_GENERIC = re.compile(r"<[^<>]*>")


@lru_cache(maxsize=4096)
def _is_check(name: str) -> bool:
    return _CHECKS.search(name) is not None


def is_check(name: str) -> bool:
    """Whether a function tells good from bad by its name. Kept for short names: who writes the code chooses how long they are."""
    return _is_check(name) if len(name) <= _KEPT_CHARS else _CHECKS.search(name) is not None


def plain_type(written: str) -> str:
    """A declared type without its parameters, pointers and qualifiers, one way to write its parts."""
    if not written or written.isidentifier():
        return written
    if "<" in written and not written.startswith("<"):
        for _ in range(4):
            written = _GENERIC.sub("", written)
    written = written.replace("::", ".").replace("\\", ".")
    return written.strip("*&?^ ").removeprefix("const ").removeprefix("final ").removesuffix("[]").strip("*& .")


def name_of(call: Call) -> str:
    """Of what is called."""
    callee = call.callee
    return callee.name if isinstance(callee, Member) else callee.id.rpartition(".")[2] if isinstance(callee, Name) else ""


def root_of(node: Node) -> str:
    """The variable at the beginning of `x.y().z[0]`; "" where there is none."""
    while not isinstance(node, Name):
        if isinstance(node, Call):
            node = node.callee
        elif isinstance(node, Member | Index):
            node = node.obj
        elif isinstance(node, Group) and len(node.items) == 1:
            node = node.items[0]
        else:
            return ""
    return node.id


def is_place(said: str) -> bool:
    """Whether what begins so lies in one place: "https://" alone says nothing."""
    return _HOST.match(said) is not None if "://" in said else "/" in said


def bounds_of(kind: str) -> tuple[float, float] | None:
    return INTEGERS.get(kind)


def is_constant(value: Value) -> bool:
    """Known as it is written: a literal, or a container of nothing but."""
    if value.items is not None:
        return all(is_constant(item) for item in value.items.values())
    if value.path == "make()":  # zeros
        return True
    return value.is_known and value.const not in (None, "")


def narrowed(sign: str, value: Value, other: Value) -> tuple[float, float] | None:
    """What a comparison that came out true leaves of a number."""
    bound = other.const if isinstance(other.const, int | float) else None
    low, high = value.bounds or (float("-inf"), float("inf"))
    if bound is None:
        if other.bounds is None:
            return None
        bound_low, bound_high = other.bounds
    else:
        bound_low = bound_high = float(bound) if abs(bound) < 2.0**80 else (float("inf") if bound > 0 else float("-inf"))
    if sign in ("<", "<="):
        return low, min(high, bound_high - (sign == "<"))
    if sign in (">", ">="):
        return max(low, bound_low + (sign == ">")), high
    if sign in EQUAL:
        return max(low, bound_low), min(high, bound_high)
    return None


def held(kind: str, bounds: tuple[float, float]) -> tuple[float, float]:
    """Bounds as far as a type holds them: beyond, any of its numbers may come out."""
    limits = bounds_of(kind)
    return bounds if limits is None or (bounds[0] >= limits[0] and bounds[1] <= limits[1]) else limits


def inverted(op: str, first: Value, second: Value, other: Value) -> Value | None:
    """For `first op second <= other` with one of the two constant: what the other of the two is compared to."""
    bound = other.const
    if not isinstance(bound, int):
        return None
    if isinstance(second.const, int):
        by = second.const
        if op in ("+", "-"):
            return Value(const=bound - by if op == "+" else bound + by)
        if op in ("*", "<<") and by > 0:
            return Value(const=-(-bound // (by if op == "*" else 1 << min(by, 64))))
        if op in ("/", ">>") and by > 0:
            return Value(const=bound * (by if op == "/" else 1 << min(by, 64)))
        return None
    if isinstance(first.const, int) and op in ("+", "*"):
        return inverted(op, second, first, other)
    return None


def reckoned(op: str, left: Value, right: Value) -> tuple[float, float] | None:
    """The bounds of a sum, a difference, a product, a quotient."""
    sides = [(float(v.const), float(v.const)) if isinstance(v.const, int) else v.bounds for v in (left, right)]
    a, b = sides
    if a is None or b is None:
        return None
    if op == "+":
        return a[0] + b[0], a[1] + b[1]
    if op == "-":
        return a[0] - b[1], a[1] - b[0]
    if op in ("/", ">>") and isinstance(right.const, int) and right.const > 0:
        by = right.const if op == "/" else 1 << min(right.const, 64)
        return float(a[0] // by), float(a[1] // by)
    if op == "*":
        ends = [x * y for x in a for y in b if x * y == x * y]  # inf times 0 is no number
        return (min(ends), max(ends)) if ends else None
    return None


def computed(op: str, left: Value, right: Value) -> Value:
    """Of two values, by an operator that is not one of texts."""
    made = mixed((left, right))
    if op in EQUAL | UNEQUAL | {"<", ">", "<=", ">=", "in", "not in", "instanceof"}:
        made = Value()
    if left.is_known and right.is_known:
        made.const = _folded(op, left.const, right.const)
    elif op == "%" and isinstance(right.const, int) and right.const > 0:
        is_unsigned = left.bounds is not None and left.bounds[0] >= 0
        made.bounds = (0.0 if is_unsigned else -(right.const - 1.0), right.const - 1.0)
        made.level = CLEAN
    elif op == "&" and isinstance(right.const, int) and right.const >= 0:
        made.bounds = (0.0, float(right.const))
    made.path = left.path if left.bounds is not None or left.path == right.path else right.path if right.bounds else ""
    if made.bounds is None and made.const is UNSET and (reached := reckoned(op, left, right)) is not None:
        made.bounds = held(made.path, reached)
    return made


def _folded(op: str, a: Constant, b: Constant) -> Constant:
    if op in EQUAL:
        return a == b
    if op in UNEQUAL:
        return a != b
    if not (isinstance(a, int | float) and isinstance(b, int | float)):
        if op in ("in", "not in") and isinstance(a, str) and isinstance(b, str):
            return (a in b) == (op == "in")
        return UNSET
    if op in ("<", ">", "<=", ">="):
        return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[op]
    if abs(a) > 2.0**63 or abs(b) > 2.0**63:
        return UNSET
    if op in ("+", "-", "*"):
        return a + b if op == "+" else a - b if op == "-" else a * b
    if op in ("/", "//", "%") and b:
        if isinstance(a, int) and isinstance(b, int):
            return a % b if op == "%" else a // b
        return UNSET if op == "%" else a / b
    if isinstance(a, int) and isinstance(b, int):
        if op in ("&", "|", "^"):
            return a & b if op == "&" else a | b if op == "|" else a ^ b
        if op in ("<<", ">>") and 0 <= b < 64:
            return a << b if op == "<<" else a >> b
    return UNSET


def formatted(form: Value, args: Sequence[Value]) -> Value:
    """A format with its holes filled. What goes into a hole for numbers carries nothing on."""
    if not isinstance(form.const, str):
        return mixed((form, *args))
    used: list[Value] = [Value(form.level, form.clean)]
    said: list[str] = []
    at = place = 0
    for found in _SPECIFIER.finditer(form.const):
        said.append(form.const[at : found.start()])
        at = found.end()
        mark = found[0]
        if mark in ("%%", "{{", "}}"):
            said.append(mark[0])
            continue
        number = int(found[3]) if found[3] else place
        place += 1
        if number >= len(args) or found[4] or found[1]:
            used += args
            said.append(HOLE)
            continue
        value = args[number]
        if found[2] and found[2] in "dioxXufFeEgGcbtTp":
            said.append(HOLE if value.const is UNSET else value.text)
            continue
        used.append(value)
        said.append(f'"{value.text}"' if found[2] == "q" else value.text)
    said.append(form.const[at:])
    made = mixed(used)
    text = "".join(said)
    made.const = text if len(text) <= LIMIT_TEXT else UNSET
    return made


def operation(name: str, path: str, of: Value | None, args: Sequence[Value]) -> Value | None:
    """What a call of a well-known name gives; None where the name says nothing."""
    if of is not None and of.items is not None:
        held = _contained(name, of, args)
        if held is not None:
            return held
    if name in _FORMATS:
        if of is not None and isinstance(of.const, str):
            return formatted(of, args)
        for place, arg in enumerate(args[:2]):
            if isinstance(arg.const, str):
                return formatted(arg, args[place + 1 :]).named(f"{path}()")
        return None
    if name in _KEEPS:
        is_of = of is not None and (of.is_known or of.level or not args or name in _CUTS or _ENCODING.match(args[0].text))
        subject = of if is_of else args[0] if args else of
        if subject is None:
            return None
        const = subject.const
        if isinstance(const, str):
            const = const.lower() if name in ("lower", "toLowerCase", "ToLower") else const
            const = const.upper() if name in ("upper", "toUpperCase", "ToUpper") else const
        return Value(subject.level, subject.clean, const, subject.path if subject.const is UNSET else "", subject.items)
    if name in ("charAt", "char_at") and of is not None and args and isinstance(of.const, str) and isinstance(args[0].const, int):
        return Value(of.level, of.clean, of.const[args[0].const : args[0].const + 1])
    if name in ("concat", "Concat", "join", "Join", "implode", "strcat") and (of is None or of.const is not UNSET or args):
        parts = [*([of] if of is not None and of.const is not UNSET else []), *(item for arg in args for item in spread(arg))]
        return joined(parts).named(f"{path}()") if parts else None
    return None


def keeps_words_only(args: Sequence[Value]) -> bool:
    """Whether a replacement takes out everything that is no letter, digit or the like."""
    texts = [arg.const for arg in args if isinstance(arg.const, str)]
    return len(texts) >= 2 and any(_ALL_BUT_WORDS.match(text) for text in texts) and any(text in ("", "_", "-") for text in texts)


def spread(value: Value) -> list[Value]:
    return list(value.items.values()) if value.items else [value]


def _contained(name: str, of: Value, args: Sequence[Value]) -> Value | None:
    items = of.items
    if items is None:
        return None
    if name in _PUTS:
        if len(args) >= 2:
            items[args[0].const if args[0].is_known else UNSET] = args[1]
        elif args:
            items[len(items)] = args[0]
        return of
    if name in _GETS and args:
        return element(of, args[0].const if args[0].is_known else UNSET)
    if name in _TAKES:
        return _taken(name, items, args, of)
    if name in ("clear", "Clear"):
        items.clear()
        return Value()
    if name in SIZES or name in ("isEmpty", "containsKey", "contains"):
        return Value()
    if name in ("getLast", "lastElement", "getFirst", "firstElement", "peek", "first", "last") and items:
        keys = list(items)
        return items[keys[0] if "irst" in name else keys[-1]]
    return whole(of)


def _taken(name: str, items: dict[object, Value], args: Sequence[Value], of: Value) -> Value:
    keys = list(items)
    if not keys:
        return Value()
    if args and args[0].is_known and args[0].const in items:
        key: object = args[0].const
    elif args and name == "remove":
        return whole(of)
    else:
        key = keys[-1] if name in ("pop", "Pop", "removeLast", "pop_back") else keys[0]
    taken = items.pop(key)
    if all(isinstance(one, int) for one in keys):  # a list: those after it move up
        left = list(items.values())
        items.clear()
        items.update(enumerate(left))
    return taken
