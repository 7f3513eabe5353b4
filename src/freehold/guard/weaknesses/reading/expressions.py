"""What an expression gives: names, fields, items, pieces of text, sums, comparisons, choices, containers, casts."""

from typing import TYPE_CHECKING

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.functions import THIS
from freehold.guard.weaknesses.ir import Binary, Cast, Cond, Const, Group, Index, Join, Member, Name, Slice, Unary
from freehold.guard.weaknesses.matching import NUMERIC
from freehold.guard.weaknesses.values import (
    CLEAN,
    CLEAN_VALUE,
    FALSY,
    LOCAL,
    UNKNOWN,
    UNSET,
    Value,
    either,
    element,
    joined,
    mixed,
)

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow, Readers

_LOGIC = library.AND | library.OR
_EITHER = library.OR | library.ELSE
_CHOICES = _LOGIC | library.ELSE
_COMPARISONS = library.EQUAL | library.UNEQUAL


def _const(flow: "Flow", node: Const) -> Value:
    return Value(const=node.value)


def _name(flow: "Flow", node: Name) -> Value:
    known = flow.env.get(node.id)
    if known is None:
        known = flow.env.get(THIS + node.id) or flow.globals.get(node.id)
    if known is not None:
        return known
    if node.id in flow.this:
        return Value(path=node.id)
    path = flow.imports.get(node.id)
    if path is not None:
        found = flow.rules.sources.find(path.rpartition(".")[2], path)
        return Value(max(found), path=path) if found else Value(path=path)
    found = flow.rules.sources.find(node.id, node.id)
    if found:
        return Value(max(found), path=node.id)
    is_variable = node.id[:1].islower() and node.id not in flow.functions.by_name and node.id not in library.PACKAGES
    return Value(UNKNOWN if is_variable else CLEAN, path=node.id)


def _member(flow: "Flow", node: Member) -> Value:
    key = flow.key_of(node)
    if key is not None and (known := flow.env.get(key)) is not None:
        return known
    if flow.asked and (known := flow.known(node)) is not None:
        return known
    of = flow.value(node.obj)
    flow.special.used(node.obj, of)
    return flow.field(of, node.name)


def _index(flow: "Flow", node: Index) -> Value:
    if flow.asked and (known := flow.known(node)) is not None:
        return known
    of, key = flow.value(node.obj), flow.value(node.key)
    name = str(key.const) if key.is_known else "*"
    found = flow.rules.sources.find("[]", f"{of.path}.[]") if of.path else []
    if found:
        return Value(max(found), path=f"{of.path}[]")
    flow.special.indexed(node, of, key)
    return element(of, key.const if key.is_known else UNSET) if name else of


def _slice(flow: "Flow", node: Slice) -> Value:
    bounds = [flow.value(bound) for bound in node.bounds]
    of = flow.value(node.obj)
    known = flow.special.sliced(node, of, bounds)
    if known is not None:
        return known
    return Value(of.level, of.clean, path=of.path, items=of.items)


def _join(flow: "Flow", node: Join) -> Value:
    return joined([flow.value(part) for part in node.parts])


def _binary(flow: "Flow", node: Binary) -> Value:
    left = flow.value(node.left)
    op = node.op
    if op in _LOGIC and left.is_known and (left.const in FALSY) == (op in library.AND):
        return left
    right = flow.value(node.right)
    if op in _CHOICES:
        return either(left, right) if op in _EITHER else right
    if op == "." or (op == "+" and flow.plus_joins):
        return joined([left, right])
    if op == "/" and "Path" in left.path:  # of pathlib
        return mixed([left, right], left.path)
    if op in _COMPARISONS:
        flow.matching.compare_secret(node, left, right)
    if op == "<<" and left.items is not None:
        left.items[len(left.items)] = right
        return left
    if op == ">>" and left.path in library.STREAMS:
        flow.write(node.right, Value(LOCAL, path=right.path, bounds=right.bounds))
        return left
    if op == "%" and isinstance(left.const, str):
        args = list(right.items.values()) if right.items else [right]
        return library.formatted(left, args)
    return reckoned(op, left, right)


def reckoned(op: str, left: Value, right: Value) -> Value:
    """What an operator on numbers gives: a number."""
    made = library.computed(op, left, right)
    return made.made_clean(NUMERIC) if made.level and op in library.ARITHMETIC else made


def _unary(flow: "Flow", node: Unary) -> Value:
    of = flow.value(node.value)
    if node.op in ("!", "not"):
        return Value(const=of.const in FALSY) if of.is_known else CLEAN_VALUE
    if node.op == "&" and of.const is None:  # where it lies, not what is there
        return Value(of.level, of.clean, path=of.path)
    if node.op == "*":
        flow.special.used(node.value, of)
    if node.op == "-" and of.bounds is not None:
        return Value(of.level, of.clean, path=of.path, bounds=library.held(of.path, (-of.bounds[1], -of.bounds[0])))
    return of


def _cond(flow: "Flow", node: Cond) -> Value:
    test = flow.value(node.test)
    if test.is_known:
        return flow.value(node.other if test.const in FALSY else node.then)
    before = flow.env
    flow.env = flow.forked(before)
    flow.conditions.assume(node.test, True)
    then = flow.value(node.then)
    flow.env = flow.forked(before)
    flow.conditions.assume(node.test, False)
    other = flow.value(node.other)
    flow.env = before
    return either(then, other)


def _group(flow: "Flow", node: Group) -> Value:
    values = [flow.value(item) for item in node.items]
    if not node.is_list:
        return mixed(values) if len(values) != 1 else values[0]
    if not node.keys:
        return Value(items=dict(enumerate(values)))
    items: dict[object, Value] = {}
    for key, item, value in zip(node.keys, node.items, values, strict=True):
        if key is None:
            items.update(value.items or {UNSET: value})
            continue
        by = flow.value(key) if not isinstance(key, Name) or key.id in flow.env else Value(const=key.id)
        items[by.const if by.is_known else UNSET] = value
        if isinstance(by.const, str):
            flow.matching.set(by.const, by.const, value, item)
    return Value(items=items)


def _cast(flow: "Flow", node: Cast) -> Value:
    of = flow.value(node.value)
    kind = library.plain_type(node.type)
    if flow.rules.is_number(kind):
        const = of.const if isinstance(of.const, int | float) else UNSET
        return Value(of.level, of.clean | NUMERIC, const, kind, None, of.bounds)
    return Value(of.level, of.clean, of.const, of.path if kind in ("String", "string", "Object") else kind, of.items, of.bounds)


READERS: "Readers" = {
    Const: _const,
    Name: _name,
    Member: _member,
    Index: _index,
    Slice: _slice,
    Join: _join,
    Binary: _binary,
    Unary: _unary,
    Cond: _cond,
    Group: _group,
    Cast: _cast,
}
