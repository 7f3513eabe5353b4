"""What a statement does: branches are read apart and joined, a loop is read twice, whatever leaves a block ends it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.ir import Assign, Binary, Block, Const, Group, Handler, If, Leave, Loop, Node, Switch, Try
from freehold.guard.weaknesses.values import CLEAN_VALUE, FALSY, Value

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow, Readers


def _block(flow: "Flow", node: Block) -> Value:
    value = CLEAN_VALUE
    for item in node.items:
        value = flow.value(item)
        if flow.left is not None:
            break
    return value


def _branch(flow: "Flow", node: If) -> Value:
    test = flow.value(node.test)
    if test.is_known:
        chosen = node.other if test.const in FALSY else node.then
        return CLEAN_VALUE if chosen is None else flow.value(chosen)
    before = flow.env
    flow.env = flow.forked(before)
    flow.conditions.assume(node.test, True)
    flow.value(node.then)
    then_env, then_left = flow.env, flow.taken_left()
    flow.env = flow.forked(before)
    flow.conditions.assume(node.test, False)
    if node.other is not None:
        flow.value(node.other)
    other_left = flow.taken_left()
    if then_left is not None and other_left is not None:
        flow.left = other_left
    elif other_left is not None:
        flow.env = then_env
    elif then_left is None:
        flow.env = flow.merged(then_env, flow.env)
    return CLEAN_VALUE


def _loop(flow: "Flow", node: Loop) -> Value:
    if node.before is not None:
        flow.value(node.before)
    before = flow.env
    frame = flow.frames[-1]
    flow.special.looped(node)
    frame.loops.append([])
    test = CLEAN_VALUE if node.test is None else flow.value(node.test)
    is_entered = node.runs_once or (test.is_known and test.const not in FALSY) or (node.test is None and node.after is not None)
    if not is_entered and test.is_known:
        frame.loops.pop()
        return CLEAN_VALUE
    _pass(flow, node)
    if len(frame.loops) < 3 and flow.left is None:
        flow.env = flow.merged(before, flow.env)
        _pass(flow, node)
    left, flow.left = flow.left, None
    ends = frame.loops.pop()
    is_endless = isinstance(node.test, Const) and node.test.value not in FALSY
    after = [*ends] if (is_endless or left is not None) and ends else [*ends, flow.env]
    if not is_entered:
        after.append(before)
    if left in ("return", "throw", "exit") and is_entered and not ends:
        flow.left = left
    flow.meet(after)
    return CLEAN_VALUE


def _pass(flow: "Flow", node: Loop) -> None:
    flow.env = flow.forked(flow.env)
    if node.test is not None:
        flow.conditions.assume(node.test, True)
        _count(flow, node)
    flow.value(node.body)
    if flow.left == "continue":
        flow.left = None
    if flow.left is None:
        if node.after is not None:
            flow.value(node.after)
        if node.test is not None:
            flow.value(node.test)


def _count(flow: "Flow", node: Loop) -> None:
    """`for (i = 0; i < n; i++)`: i goes from what it is to n."""
    test, after = node.test, node.after
    if not (isinstance(test, Binary) and test.op in ("<", "<=") and isinstance(after, Assign) and after.op == "+"):
        return
    key, known = flow.key_of(test.left), flow.env.get(flow.key_of(test.left) or "")
    end = flow.value(test.right).const
    if key is None or known is None or key != flow.key_of(after.target) or not isinstance(end, int):
        return
    start = known.const if isinstance(known.const, int) else known.bounds[0] if known.bounds else 0
    last = end - (test.op == "<")
    if start <= last:
        flow.env[key] = Value(path=library.COUNTED, bounds=(float(start), float(last)))


def _switch(flow: "Flow", node: Switch) -> Value:
    subject = None if node.subject is None else flow.value(node.subject)
    before = flow.env
    ends: list[dict[str, Value]] = []
    flow.frames[-1].loops.append(ends)
    has_default = False
    chosen = node.cases
    if subject is not None and subject.is_known:
        chosen = _case_of(flow, node, subject)
        has_default = bool(chosen)
    for values, body in chosen:
        has_default = has_default or values is None
        flow.env, flow.left = flow.forked(before), None
        if values is not None and len(values) == 1:
            flow.conditions.assume(values[0] if node.subject is None else Binary(0, 0, "==", node.subject, values[0]), True)
        flow.value(body)
        if flow.left is None:
            ends.append(flow.env)
    flow.frames[-1].loops.pop()
    flow.left = None
    if not has_default:
        ends.append(before)
    if not ends:
        flow.left = "return"
        return CLEAN_VALUE
    flow.meet(ends)
    return CLEAN_VALUE


def _case_of(flow: "Flow", node: Switch, subject: Value) -> list[tuple[Sequence[Node] | None, Node]]:
    default: list[tuple[Sequence[Node] | None, Node]] = []
    for values, body in node.cases:
        if values is None:
            default = [(values, body)]
            continue
        known = [flow.value(value) for value in values]
        if any(not value.is_known for value in known):
            return list(node.cases)
        if any(value.const == subject.const for value in known):
            return [(values, body)]
    return default


def _attempt(flow: "Flow", node: Try) -> Value:
    before = flow.forked(flow.env)
    flow.value(node.body)
    ends = [] if flow.left is not None else [flow.env]
    left = flow.left
    start = flow.merged(before, flow.env)
    for one in node.handlers:
        flow.env, flow.left = flow.forked(start), None
        flow.value(one)
        if flow.left is None:
            ends.append(flow.env)
    flow.left = None if ends else left
    flow.meet(ends or [start])
    if node.last is not None:
        left, flow.left = flow.left, None
        flow.value(node.last)
        flow.left = flow.left or left
    return CLEAN_VALUE


def _handler(flow: "Flow", node: Handler) -> Value:
    if isinstance(node.body, Block) and not any(_does_something(item) for item in node.body.items):
        flow.matching.report("ignored-error", node, flow.rules.file.ignored_errors)
    return flow.value(node.body)


def _leave(flow: "Flow", node: Leave) -> Value:
    value = CLEAN_VALUE if node.value is None else flow.value(node.value)
    frame = flow.frames[-1]
    if node.how == "return":
        frame.returns.append(value)
        if frame.func is not None and frame.func.marks:
            flow.matching.set("return", "return", value, node)
    elif node.how in ("break", "continue") and frame.loops:
        frame.loops[-1].append(dict(flow.env))
    flow.left = node.how
    return value


def _does_something(node: Node) -> bool:
    if isinstance(node, Leave):
        return node.how != "continue"
    return not (isinstance(node, Const) or (isinstance(node, Group) and not node.items))


READERS: "Readers" = {Block: _block, If: _branch, Loop: _loop, Switch: _switch, Try: _attempt, Handler: _handler, Leave: _leave}
