"""What is known of a value while a program is read: where it comes from, what was done to it, and what it is if that is constant.

`level` says from where, the worst of all that went into it:

    CLEAN     constants, and what is made of them alone
    UNKNOWN   a name that nobody in the file gives a value
    PARAMETER of a function that nobody in the file calls
    LOCAL     arguments of the program, its environment, its input, files, databases
    REMOTE    another machine: a request's parameters, headers, cookies, body

`clean` has the kinds of weakness it was made safe for; `rest` is the level of what went into it and was not. A text that is known
in part has `HOLE` where it is not. `path` is how the program came by it, "requests.Session().get()", or its declared type: rules
are written on paths.
"""

from collections.abc import Sequence

from msgspec import Struct

CLEAN, UNKNOWN, PARAMETER, LOCAL, REMOTE = range(5)
HOLE = "\0"  # syntax.parse makes blanks of those in a source
LIMIT_DEPTH = 6  # of containers in containers
LIMIT_TEXT = 4096  # of a constant that is put together
NOTHING_CLEAN: frozenset[str] = frozenset()


class Unset:
    """Stands for "no constant"; None is one."""


UNSET = Unset()
Constant = str | int | float | bool | None | Unset
FALSY: tuple[object, ...] = (False, None, 0, "")  # constants that a condition takes for no


class Value(Struct, eq=False):
    level: int = CLEAN
    clean: frozenset[str] = NOTHING_CLEAN
    const: Constant = UNSET
    path: str = ""
    items: "dict[object, Value] | None" = None
    bounds: tuple[float, float] | None = None
    rest: int = CLEAN

    @property
    def is_known(self) -> bool:
        return self.const is not UNSET and not (isinstance(self.const, str) and HOLE in self.const)

    @property
    def text(self) -> str:
        """As a text with holes."""
        if isinstance(self.const, str):
            return self.const
        return HOLE if self.const is UNSET else str(self.const)

    @property
    def calls(self) -> str:
        """What a call of it calls: a function goes by its path, in some languages by a text with its name."""
        return self.path or (self.const if isinstance(self.const, str) else "")

    @property
    def said(self) -> str:
        """What conditions on words are asked about: the constant, or the name it goes by."""
        if isinstance(self.const, str):
            return self.const
        return self.path if self.const is UNSET else str(self.const)

    def exposure(self, kind: str) -> int:
        """From where comes what of it is not safe for `kind`."""
        return self.rest if kind in self.clean or "*" in self.clean else self.level

    def named(self, path: str) -> "Value":
        return Value(self.level, self.clean, self.const, path, self.items, self.bounds, self.rest)

    def made_clean(self, kinds: frozenset[str]) -> "Value":
        if "*" in kinds:
            return Value(CLEAN, NOTHING_CLEAN, self.const if self.is_known else UNSET, self.path, None, self.bounds)
        return Value(self.level, self.clean | kinds, self.const, self.path, self.items, self.bounds)


CLEAN_VALUE = Value()


def whole(value: Value, depth: int = 0) -> Value:
    """A container with all that is in it, and in that; one may hold itself."""
    if not value.items:
        return value
    if depth > LIMIT_DEPTH:
        return Value(value.level, value.clean, path=value.path)
    inner = [whole(item, depth + 1) for item in value.items.values()]
    return mixed([Value(value.level, value.clean), *(Value(v.level, v.clean, rest=v.rest) for v in inner)], value.path)


def mixed(values: Sequence[Value], path: str = "") -> Value:
    """What is made of all of them."""
    level = CLEAN
    for value in values:
        if value.items:
            return mixed([whole(value) for value in values], path)
        if value.level > level:
            level = value.level
    if not level:
        return Value(path=path)
    clean: frozenset[str] | None = None
    for part in values:
        if part.level == level:
            clean = part.clean if clean is None else clean & part.clean
    clean = clean or NOTHING_CLEAN
    rest = CLEAN
    if clean:
        rest = max(part.rest if part.clean >= clean else part.level for part in values)
    return Value(level, clean, UNSET, path, rest=rest)


def joined(values: Sequence[Value]) -> Value:
    """Texts one after the other, or a sum of numbers."""
    made = mixed(values)
    consts = [value.const for value in values]
    if all(isinstance(const, int | float) for const in consts):
        made.const = sum(const for const in consts if isinstance(const, int | float))
        return made
    if all(value.bounds is not None or isinstance(value.const, int) for value in values):
        ends = [value.bounds or (float(str(value.const)), float(str(value.const))) for value in values]
        made.bounds = sum(end[0] for end in ends), sum(end[1] for end in ends)
        made.path = next((value.path for value in values if value.bounds is not None), "")
        return made
    text = "".join(value.text for value in values)
    if text.strip(HOLE) and len(text) <= LIMIT_TEXT:
        made.const = text
    return made


def either(one: Value, other: Value) -> Value:
    """One of the two, by a branch that was or was not taken."""
    if one is other:
        return one
    if one.level == other.level:
        level, clean = one.level, one.clean & other.clean if one.level else NOTHING_CLEAN
    else:
        worse = one if one.level > other.level else other
        better = other if worse is one else one
        level, clean = worse.level, worse.clean & better.clean if better.level else worse.clean
    same = type(one.const) is type(other.const) and one.const == other.const
    items = one.items if one.items is other.items or other.items is None else other.items if one.items is None else None
    if items is None and one.items is not None and other.items is not None:
        items = _both(one.items, other.items)
    bounds = None
    mine, its = _bounds(one), _bounds(other)
    if mine is not None and its is not None:
        bounds = min(mine[0], its[0]), max(mine[1], its[1])
    const = one.const if same else UNSET
    if not same and isinstance(one.const, str) and isinstance(other.const, str):
        const = _shared(one.const, other.const)
    path = one.path or other.path
    if path == "freed()":  # in one branch alone
        path = other.path
    return Value(level, clean, const, path, items, bounds)


def _both(one: dict[object, Value], other: dict[object, Value]) -> dict[object, Value]:
    """What either of two containers may hold."""
    made = {**one, **other}
    for key in one.keys() & other.keys():
        if one[key] is not other[key]:
            mine, its = whole(one[key]), whole(other[key])
            made[key] = either(Value(mine.level, mine.clean, mine.const), Value(its.level, its.clean, its.const))
    return made


def _bounds(value: Value) -> tuple[float, float] | None:
    if isinstance(value.const, int) and not isinstance(value.const, bool) and abs(value.const) < 2**64:
        return float(value.const), float(value.const)
    return value.bounds


def _shared(one: str, other: str) -> Constant:
    """Of two texts, the one with holes: the worse is kept for what is asked of texts."""
    return one if HOLE in one else other if HOLE in other else UNSET


def merged(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
    """Two environments after a branch. What only one has, it has."""
    made = dict(one)
    for name, value in other.items():
        mine = one.get(name)
        made[name] = value if mine is None else value if mine is value else either(mine, value)
    return made


def element(value: Value, key: object) -> Value:
    """What stands in a container at `key`; UNSET where the key is not known."""
    items = value.items
    if items is None:
        return Value(value.level, value.clean, UNSET, f"{value.path}[]" if value.path else "")
    if key is not UNSET and UNSET not in items:
        if key in items:
            return items[key]
        return Value(value.level, value.clean)
    return whole(value)
