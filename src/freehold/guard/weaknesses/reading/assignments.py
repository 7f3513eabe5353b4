"""What gets a value: a name, a field, an item, several at once. A declared type tells of the value, too."""

from typing import TYPE_CHECKING

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.ir import Assign, Binary, Call, Const, Group, Index, Member, Name, Node, Unary
from freehold.guard.weaknesses.matching import NUMERIC
from freehold.guard.weaknesses.reading.expressions import reckoned
from freehold.guard.weaknesses.values import CLEAN_VALUE, UNSET, Value, element, joined

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow, Readers


def _assign(flow: "Flow", node: Assign) -> Value:
    value = CLEAN_VALUE if node.value is None else flow.value(node.value)
    declared = library.plain_type(node.type)
    if declared:
        value = _declared(flow, declared, value, is_given=node.value is not None)
    if node.op not in ("=", "?", "??", "||", ""):
        before = flow.value(node.target)
        is_joined = node.op in (".", "<<") or (node.op == "+" and flow.plus_joins)
        value = joined([before, value]) if is_joined else reckoned(node.op, before, value)
        value.path = value.path or before.path
    flow.special.assigned(node, value)
    _into(flow, node.target, value, node)
    _remember(flow, node)
    return value


def _remember(flow: "Flow", node: Assign) -> None:
    """Of what a name is a parsed form, or what test it came of: conditions ask by the name."""
    made = node.value
    while isinstance(made, Group) and len(made.items) == 1:  # `await …`
        made = made.items[0]
    target: Node | None = node.target
    if isinstance(target, Group):
        last = target.items[-1] if len(target.items) == 2 else None
        if isinstance(made, Index) and isinstance(last, Name) and len(flow.tests) < library.LIMIT_TOLD:  # `_, ok := m[k]`
            flow.tests[last.id] = made
        target = target.items[0] if target.items else None
    if not isinstance(target, Name) or len(flow.tests) + len(flow.origins) >= library.LIMIT_TOLD:
        return
    if isinstance(made, Call):
        name = library.name_of(made)
        if name in library.PARSES:
            of = made.callee.obj if isinstance(made.callee, Member) else None
            flow.origins.update((target.id, one) for one in (of, *made.args) if one is not None and flow.value(one).level)
        elif name in library.STARTS or name in library.MEMBERSHIP or library.is_check(name):
            flow.tests[target.id] = made
    elif isinstance(made, Binary) and made.op in library.TESTS and target.id not in flow.written(made):
        flow.tests[target.id] = made


def _declared(flow: "Flow", kind: str, value: Value, *, is_given: bool) -> Value:
    if flow.rules.is_number(kind):
        return Value(
            value.level, value.clean | NUMERIC, value.const, value.path or kind, None, value.bounds or library.bounds_of(kind)
        )
    if not is_given and kind.rpartition(".")[2] in library.CONTAINERS:
        return Value(path=kind, items={})
    if value.path and (value.items is not None or kind in library.VAGUE or value.path.rpartition(".")[2][:1].isupper()):
        return value
    return value.named(flow.type_path(kind))


def _into(flow: "Flow", target: Node, value: Value, node: Node) -> None:
    if isinstance(target, Name):
        flow.matching.set(target.id, target.id, value, node)
        flow.write(target, value)
    elif isinstance(target, Member):
        of = flow.value(target.obj)
        flow.matching.set(target.name, f"{of.path}.{target.name}", value, node)
        if of.items is not None:
            of.items[target.name] = value
        flow.write(target, value)
    elif isinstance(target, Index):
        of, key = flow.value(target.obj), flow.value(target.key)
        flow.special.indexed(target, of, key)
        if isinstance(key.const, str):
            flow.matching.set(key.const, f"{of.path}.{key.const}", value, node)
        if of.items is not None:
            is_end = isinstance(target.key, Group) and not target.key.items  # PHP's `$list[] = …`
            of.items[len(of.items) if is_end else key.const if key.is_known else UNSET] = value
        elif value.level > of.level:
            flow.write(target.obj, Value(value.level, value.clean, path=of.path))
    elif isinstance(target, Group):
        _spread(flow, target, value, node)
    elif isinstance(target, Unary):
        flow.special.used(target.value, flow.value(target.value))
        _into(flow, target.value, value, node)
    elif isinstance(target, Assign):  # a default inside a pattern
        _into(flow, target.target, value, node)


def _spread(flow: "Flow", target: Group, value: Value, node: Node) -> None:
    """Several at once: by place, or by the keys of a pattern. Of a call all get the call's, the first its path."""
    for place, one in enumerate(target.items):
        key = target.keys[place] if target.keys else None
        if isinstance(key, Name | Const):
            by = key.id if isinstance(key, Name) else key.value
            path = f"{value.path}.{by}" if value.path else ""
            found = flow.rules.sources.find(str(by), path) if path else []
            part = Value(max(found), path=path) if found else element(value, by).named(path)
        elif value.items is not None:
            part = element(value, place)
        else:
            path, bounds = (value.path, value.bounds) if place == 0 else ("", None)
            part = Value(value.level, value.clean, path=path, bounds=bounds)
        _into(flow, one, part, node)


READERS: "Readers" = {Assign: _assign}
