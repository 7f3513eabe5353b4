"""What a call does and gives.

Rules are asked first, then the file's own function of that name, then what is known of libraries; of a call that nobody knows
all that went in may come out.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.ir import Call, Const, Func, Index, Member, Name, Slice
from freehold.guard.weaknesses.matching import NUMERIC
from freehold.guard.weaknesses.rules import CallFacts
from freehold.guard.weaknesses.values import CLEAN, CLEAN_VALUE, LOCAL, PARAMETER, UNSET, Value, joined, mixed

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow, Readers

_NUMBER = frozenset(("number",))  # the calls that make one of a text


def _call(flow: "Flow", node: Call) -> Value:
    if flow.asked and (told := flow.known(node)) is not None:
        return told
    callee = node.callee
    of: Value | None = None
    if isinstance(callee, Func):
        given = flow.functions.follow(callee, [flow.value(arg) for arg in node.args], {})
        return CLEAN_VALUE if given is None else given
    if isinstance(callee, Member):
        of = flow.value(callee.obj)
        flow.special.used(callee.obj, of)
        name, path = callee.name, f"{of.path}.{callee.name}"
    elif isinstance(callee, Name):
        name = callee.id
        known = flow.env.get(name)
        path = known.calls if known is not None and known.calls else flow.imports.get(name, name)
        name = path.rpartition(".")[2]
    elif isinstance(callee, Index):  # `module["name"](…)`
        of, key = flow.value(callee.obj), flow.value(callee.key)
        name = key.const if isinstance(key.const, str) else ""
        path = f"{of.path}[]" if not name else name if of.path in library.SCOPES else f"{of.path}.{name}"
    else:
        path = flow.value(callee).path
        name = path.rpartition(".")[2]
    if node.is_new:
        path = library.plain_type(path)
        name = path.rpartition(".")[2]
    facts = flow.rules.of_call(name, path)
    if facts.registers:
        handlers = (*node.args, *(value for _, value in node.named))
        flow.functions.registered.update(id(one) if isinstance(one, Func) else library.root_of(one) for one in handlers)
    args = [flow.value(arg) for arg in node.args]
    named: dict[str, Value] = {}
    if node.named:
        named = {key: flow.value(value) for key, value in node.named}
        for (word, value), item in zip(named.items(), node.named, strict=False):
            flow.matching.set(word, f"{path}.{word}", value, item[1])
    if facts.does:
        _done(flow, node, facts, of, args, named)
    known = flow.special.called(node, name, path, of, args)
    return _result(flow, node, facts, of, args, named) if known is None else known


def _done(flow: "Flow", node: Call, facts: CallFacts, of: Value | None, args: list[Value], named: dict[str, Value]) -> None:
    """What it does beside giving a value: rules are asked, arguments are filled, it does not come back."""
    for rule in facts.calls:
        flow.matching.check_call(rule, node, of, args, named)
    if facts.name in library.CALLERS and args and isinstance(called := args[0].const, str):
        for rule in flow.rules.of_call(called, called).calls:
            flow.matching.check_call(rule, node, of, args[1:], named)
    if facts.name in library.KEEPERS and len(args) > 1 and isinstance(kept := args[0].const, str):
        flow.matching.check_secret(kept, args[1], node)
    if facts.fills:
        _fill(flow, node, args)
    if facts.exits:
        flow.left = "exit"
    if facts.renews:
        _renew([*args, *named.values(), *(flow.value(arg.obj) for arg in node.args if isinstance(arg, Slice))])


def _result(flow: "Flow", node: Call, facts: CallFacts, of: Value | None, args: list[Value], named: dict[str, Value]) -> Value:
    name, path = facts.name, facts.path
    if facts.gives and (ruled := _ruled(flow, facts, of, args, named)) is not None:
        return ruled
    if name == "settype" and len(node.args) == 2 and args[1].const in library.NUMBER_NAMES:
        flow.write(node.args[0], args[0].made_clean(NUMERIC))
    func = flow.functions.local_function(node, name, of)
    given = None if func is None else flow.functions.follow(func, args, named)
    if given is not None:
        return given if given.path else given.named(f"{path}()")
    if node.is_new:
        return _constructed(flow, name, path, args, named)
    known = library.operation(name, path, of, args)
    if known is None:
        known = _derived(flow, facts, of, args, named)
    if facts.stored and known.level > PARAMETER:  # what is kept elsewhere is not what it is kept under
        known = Value(PARAMETER, known.clean, path=known.path)
    if facts.copies and (of is None or of.items is None):
        _copy(flow, node, of, args)
    return known


def _ruled(flow: "Flow", facts: CallFacts, of: Value | None, args: list[Value], named: dict[str, Value]) -> Value | None:
    """What a source gives, and what a sanitiser makes of what it is given; None of a call that is neither."""
    name, path = facts.name, facts.path
    if facts.sources:
        default = args[-1].const if name in library.SETTINGS and len(args) > 1 else UNSET
        return Value(max(facts.sources), path=default if isinstance(default, str) else f"{path}()")
    if path in library.MODULES and args and isinstance(args[0].const, str):
        return Value(path=args[0].const.removeprefix("node:"))
    if path in library.FIELDS and len(args) > 1 and isinstance(args[1].const, str):
        return flow.field(args[0], args[1].const)
    if name in library.WRAPS and args and args[0].path:
        return args[0]
    if facts.sanitisers:
        everything = mixed([*args, *named.values(), *([of] if of is not None else [])], f"{path}()")
        kinds = frozenset[str]().union(*facts.sanitisers)
        return everything.made_clean(NUMERIC if kinds == _NUMBER else kinds)
    for rule in facts.cleans:
        if all(flow.matching.test(test, args, named, of) for test in rule.when):
            return mixed(args, f"{path}()").made_clean(frozenset(rule.kinds.split()))
    if name in library.REPLACES and library.keeps_words_only(args):
        return mixed([*args, *([of] if of is not None else [])], f"{path}()").made_clean(frozenset(("*",)))
    return None


def _constructed(flow: "Flow", name: str, path: str, args: list[Value], named: dict[str, Value]) -> Value:
    """A new object: a container of what it begins with, a composite of its fields, else what all that went in may be part of."""
    flow.functions.construct(name, args, named)
    made = mixed([*args, *named.values()], path)
    if name in library.CONTAINERS:
        made.items = dict(args[0].items) if len(args) == 1 and args[0].items else {}
    elif named:
        made.items = dict(named.items())
        made.level = CLEAN
    return made


def _derived(flow: "Flow", facts: CallFacts, of: Value | None, args: list[Value], named: dict[str, Value]) -> Value:
    """Of a function that nobody knows: all that went in may come out."""
    parts = [*args, *named.values()]
    if of is not None:
        parts.append(of)
    made = mixed(parts, f"{facts.path}()")
    _renew([arg for arg in args if arg.path == "make()"])
    if facts.escapes and made.level and facts.name not in flow.functions.by_name:
        return made.made_clean(frozenset(("*",)))
    return made


def _copy(flow: "Flow", node: Call, of: Value | None, args: list[Value]) -> None:
    """The call writes what it is given into its object, or its first argument."""
    if of is not None and isinstance(node.callee, Member):
        flow.write(node.callee.obj, joined([of, *args]).named(of.path))
    elif args:
        flow.write(node.args[0], _copied(args).named(args[0].path))


def _copied(args: list[Value]) -> Value:
    """What a copy writes: a format with its holes filled, or all that it is given."""
    if len(args) == 2:
        return args[1]
    for place, arg in enumerate(args[1:3], 1):
        if isinstance(arg.const, str) and "%" in arg.const:
            return library.formatted(arg, args[place + 1 :])
    return mixed(args[1:])


def _fill(flow: "Flow", node: Call, args: list[Value]) -> None:
    """The call writes what comes from outside into what it is given."""
    for arg, value in zip(node.args, args, strict=True):
        if not isinstance(arg, Const):
            flow.write(arg, Value(max(LOCAL, value.level), path=value.path))


def _renew(values: Sequence[Value]) -> None:
    """The call fills what it is given with what nobody can foresee: all who hold it see that."""
    for value in values:
        if value is not CLEAN_VALUE and (value.const is not UNSET or value.items is not None or value.path == "make()"):
            value.const, value.items, value.path = UNSET, None, "renewed()"


READERS: "Readers" = {Call: _call}
