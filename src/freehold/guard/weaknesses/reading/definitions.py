"""What a definition leaves behind: functions and classes to be read when they are called, and what imported names stand for."""

from typing import TYPE_CHECKING

from freehold.guard.weaknesses.functions import THIS, Frame
from freehold.guard.weaknesses.ir import Block, Class, Const, Func, Group, Import, Leave
from freehold.guard.weaknesses.rules import KINDS
from freehold.guard.weaknesses.values import CLEAN_VALUE, UNSET, Constant, Value, either

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow, Readers


def _function(flow: "Flow", node: Func) -> Value:
    if len(flow.frames) > 1 or not node.name:
        flow.functions.closures[id(node)] = flow.env
    for mark in node.marks:
        flow.value(mark)
    always = _always(node)
    if node.name:
        flow.matching.defined(node, Value(const=always))
        return Value(path=node.name)
    returned = _read_lambda(flow, node)
    return Value(const=always if returned is UNSET else returned)


def _always(node: Func) -> Constant:
    """What a function gives that is nothing but one constant, or that does nothing."""
    body = node.body
    items = body.items if isinstance(body, Block | Group) else (body,)
    if len(items) == 1 and isinstance(items[0], Leave) and items[0].how == "return":
        value = items[0].value
        return None if value is None else value.value if isinstance(value, Const) else UNSET
    return None if not items else UNSET


def _read_lambda(flow: "Flow", node: Func) -> Constant:
    """Where it is written: who calls it, and with what, is not known. Gives what it always returns."""
    before, left = flow.env, flow.left
    flow.env = flow.forked(before)
    for param in node.params:
        flow.env[param.name] = flow.functions.parameter(param, id(node) in flow.functions.registered)
    frame = Frame(node)
    flow.frames.append(frame)
    flow.left = None
    flow.value(node.body)
    flow.frames.pop()
    inside = flow.env
    flow.env, flow.left = before, left
    for name, value in inside.items():
        known = before.get(name)
        if known is not None and known is not value and not any(param.name == name for param in node.params):
            before[name] = either(known, value)
    return frame.returns[0].const if len(frame.returns) == 1 and frame.returns[0].is_known else UNSET


def _klass(flow: "Flow", node: Class) -> Value:
    before = flow.env
    flow.env = flow.forked(before)
    for mark in node.marks:
        flow.value(mark)
    flow.value(node.body)
    for name, value in flow.env.items():
        if before.get(name) is not value:
            flow.functions.fields[name if name.startswith(THIS) else THIS + name] = value
    flow.env = before
    return CLEAN_VALUE


def _imported(flow: "Flow", node: Import) -> Value:
    for local, path in node.names:
        if (kind := flow.rules.imports.get(path)) is not None:
            flow.matching.report(kind, node, KINDS[kind].confidence)
        if local not in ("", "*"):
            flow.imports[local] = path
    return CLEAN_VALUE


READERS: "Readers" = {Func: _function, Class: _klass, Import: _imported}
