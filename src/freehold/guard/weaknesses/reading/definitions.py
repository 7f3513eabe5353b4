"""What a definition leaves behind: functions and classes to be read when they are called, and what imported names stand for."""

from typing import TYPE_CHECKING

from freehold.guard.weaknesses.functions import THIS, Frame
from freehold.guard.weaknesses.ir import Class, Func, Import
from freehold.guard.weaknesses.rules import KINDS
from freehold.guard.weaknesses.values import CLEAN_VALUE, UNSET, Constant, Value, either

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow, Readers


def _function(flow: "Flow", node: Func) -> Value:
    if len(flow.frames) > 1 or not node.name:
        flow.functions.closures[id(node)] = flow.env
    for mark in node.marks:
        flow.value(mark)
    returned = UNSET if node.name else _read_lambda(flow, node)
    return Value(path=node.name, const=returned)


def _read_lambda(flow: "Flow", node: Func) -> Constant:
    """Where it is written: who calls it, and with what, is not known. Gives what it always returns."""
    before, left = flow.env, flow.left
    flow.env = flow.forked(before)
    for param in node.params:
        flow.env[param.name] = flow.functions.parameter(param.name, param.type, param.marks, is_handler=False)
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
