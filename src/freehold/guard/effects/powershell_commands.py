"""What a command in a PowerShell script does, and what it gives.

Decided here: what a name means (alias, function, cmdlet, program), how arguments are bound, and the commands whose arguments
are code or that make values: they are in `OWN`. All other cmdlets are in `windows_cmdlets`, programs in `windows_programs`.
"""

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects import powershell_tree as tree
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.powershell_given import LIMIT_TEXTS, Given, bound, made, ran, run_cmdlet
from freehold.guard.effects.powershell_own import OWN
from freehold.guard.effects.powershell_values import EMPTY, UNKNOWN, Mark, Value, joined, texts
from freehold.guard.effects.powershell_walk import Walk
from freehold.guard.effects.scene import unknown
from freehold.guard.effects.windows_cmdlets import cmdlet_of, cmdlets, is_cmdlet
from freehold.guard.effects.windows_programs import INTERPRETERS, name_of, program_effects
from freehold.guard.effects.windows_rules import at


def run_command(walk: Walk, node: tree.Command, piped: Value | None) -> Value:
    """What it gives; what it does is added to the walk."""
    return _redirected(walk, node, _run(walk, node, piped))


def _run(walk: Walk, node: tree.Command, piped: Value | None) -> Value:
    called = walk.value(node.name)
    if node.operator == "value":
        return called
    if called.block is not None:
        given = bound(walk, node.arguments, cmdlet_of(""), piped)
        return walk.call(called.block, given.unnamed, {name: values[0] for name, values in given.named.items() if values}, piped)
    if called.kind == "scriptblock":
        return walk.code(called)
    name = called.text.strip()
    if HOLE in name and not name.replace(HOLE, "").strip("\\/."):
        return _unnamed(walk, called, node, piped)
    name = _meaning(walk, name)
    if name in walk.functions:
        given = bound(walk, node.arguments, cmdlet_of(""), piped)
        return walk.call(
            walk.functions[name], given.unnamed, {key: values[0] for key, values in given.named.items() if values}, piped
        )
    if name in INTERPRETERS or not (is_cmdlet(name) or name in OWN):
        return _program(walk, name if called.kind == "name" else called.text, node, piped)
    cmdlet = cmdlet_of(name)
    given = bound(walk, node.arguments, cmdlet, piped)
    given.spelled = called.text
    own = OWN.get(name)
    return own(walk, name, given) if own is not None else run_cmdlet(walk, name, given)


def _meaning(walk: Walk, name: str) -> str:
    """The cmdlet behind aliases, in lower case."""
    lower = name.lower()
    for _ in range(4):
        lower = lower.rpartition("\\")[2] if is_cmdlet(lower.rpartition("\\")[2]) else lower
        following = walk.aliases.get(lower) or cmdlets().aliases.get(lower)
        if following is None or following == lower:
            break
        lower = following.lower()
    return lower


def _unnamed(walk: Walk, called: Value, node: tree.Command, piped: Value | None) -> Value:
    for argument in node.arguments:
        if not isinstance(argument, tree.Parameter):
            walk.value(argument)
    if called.marks & Mark.NETWORK:
        walk.does(EffectKind.EXECUTE, Place.HOST, "runs what comes from another machine")
    else:
        walk.found.append(unknown("runs a command whose name is only known when it runs"))
    return UNKNOWN


def _program(walk: Walk, name: str, node: tree.Command, piped: Value | None) -> Value:
    words = [name]
    marks = piped.marks if piped is not None else Mark.NONE
    for argument in node.arguments:
        if isinstance(argument, tree.Parameter):
            words.append(argument.text + (joined(walk.value(argument.value), ",").text if argument.value is not None else ""))
            continue
        value = walk.value(argument)
        if value.block is not None:
            walk.call(value.block, ())
            continue
        marks |= value.marks & ~Mark.CHOICE
        words += texts(value)[:LIMIT_TEXTS]
    found = program_effects(words, walk.scene)
    walk.found += found
    walk.found += ran(walk, words)
    if marks & Mark.SECRET and any(effect.kind is EffectKind.SEND for effect in found):
        walk.does(EffectKind.SEND, Place.CREDENTIAL, "sends what it read where credentials lie")
    program = name_of(name)
    made(walk, found, (), Given())
    if (
        piped is not None
        and program in INTERPRETERS
        and not any(word.lower().lstrip("-/") in ("c", "command", "file", "f", "e") for word in words[1:])
    ):
        walk.code(piped, INTERPRETERS[program])
    brings = any(effect.kind is EffectKind.DOWNLOAD for effect in found)
    return Value(marks=Mark.OUTPUT | (Mark.NETWORK if brings else Mark.NONE) | (marks & Mark.SECRET))


def _redirected(walk: Walk, node: tree.Command, out: Value) -> Value:
    for sign, target in node.redirections:
        for file in texts(walk.value(target))[:4]:
            kind = EffectKind.READ if sign == "<" else EffectKind.WRITE if sign == ">>" else EffectKind.OVERWRITE
            found = at(kind, file, "reads its input from a file" if sign == "<" else "writes its output to a file", walk.scene)
            walk.found += found
            if sign != "<":
                made(walk, found, [out.text] if out is not UNKNOWN and out is not EMPTY else (), Given(unnamed=[out]))
    return EMPTY if node.redirections else out
