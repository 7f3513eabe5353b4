"""Functions of JavaScript whose meaning needs the program around them: `eval`, `require`, a process's streams."""

from collections.abc import Callable

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.javascript_expressions import Expressions, module_name
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scripting_decode import decoded
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_values import FOREIGN, NETWORK, NOTHING, SECRET, SOCKET, Value, marked, marks_of
from freehold.guard.syntax import Language


def _require(walk: Expressions, name: str, given: Given) -> Value:
    value = given.first()
    text = value.text()
    if text and HOLE not in text:
        if text.startswith(("data:", "http:", "https:")):
            walk.sinks.add(EffectKind.EXECUTE, because=f"{name} loads code from an address")
        return Value(name=module_name(text))
    if value.marks & FOREIGN:
        walk.sinks.add(EffectKind.EXECUTE, because=f"{name} loads code that somebody else names")
    else:
        walk.sinks.add(EffectKind.RUN, because=f"{name} loads a module that is chosen at run time")
    return Value(name="<hidden>") if value.marks & FOREIGN else NOTHING


def _code(walk: Expressions, name: str, given: Given) -> Value:
    """eval, and Function with its last argument for a body."""
    if not given.values:
        return NOTHING
    value = given.values[-1]
    if "unction" in name:
        value = Value(value.const, marks_of(given.values), value.name, value.items, value.code, value.others)
    text = value.text()
    for one in value.each():
        walk.sinks.code(name, one, Language.JAVASCRIPT)
    if text is not None and text.strip().removeprefix("return ").strip(" ;()") in ("process", "this", "globalThis", "window"):
        return Value(name="<global>")
    return marked(value.marks & ~FOREIGN)


def _later(walk: Expressions, name: str, given: Given) -> Value:
    """setTimeout and setInterval run a text as well as a function."""
    value = given.first()
    if value.text() is not None or (value.marks & FOREIGN and value.code is None and not value.name):
        walk.sinks.code(name, value, Language.JAVASCRIPT)
    elif value.name and value.code is None and given.values[2:]:
        walk.call(value, Given(given.values[2:]), "")
    return NOTHING


def _applied(walk: Expressions, name: str, given: Given) -> Value:
    """Reflect.apply(function, this, [values])."""
    function, _, values = (*given.values[:3], NOTHING, NOTHING, NOTHING)[:3]
    return walk.call(function, Given(values.items if isinstance(values.items, list) else [values]), "")


def _got(walk: Expressions, name: str, given: Given) -> Value:
    """Reflect.get(object, name)."""
    owner, key = (*given.values[:2], NOTHING, NOTHING)[:2]
    text = key.text()
    return walk.attribute(owner, text) if text and HOLE not in text else Value(name=f"{owner.name}.?", marks=key.marks & FOREIGN)


def _global(walk: Expressions, name: str, given: Given) -> Value:
    return Value(name="process")


def _pipe(walk: Expressions, name: str, given: Given) -> Value:
    """What flows from one stream into another."""
    source, target = given.receiver, given.first()
    ends = (source.name, target.name)
    if any(one.startswith("<socket>") for one in ends) and any(one.startswith("<process>") for one in ends):
        walk.sinks.add(EffectKind.REMOTE_SHELL, because="a program's input and output are tied to a connection")
    if target.name == "<file>":
        walk.sinks.writes(target, source.marks)
    elif target.name.startswith("<process>") and source.marks & FOREIGN:
        walk.sinks.add(EffectKind.EXECUTE, because="a program is fed with what came from elsewhere")
    elif (target.name.startswith(("<upload>", "<socket>"))) and source.marks & SECRET:
        walk.sinks.add(EffectKind.SEND, Place.CREDENTIAL, "sends what was read from a place of credentials")
    return Value(marks=source.marks, name=target.name)


def _file_written(walk: Expressions, name: str, given: Given) -> Value:
    walk.sinks.writes(given.receiver, marks_of(given.values))
    return NOTHING


def _save(walk: Expressions, name: str, given: Given) -> Value:
    """writeFile: where the path is, and whether what goes there came from elsewhere."""
    call = walk.table[name]
    walk.sinks.call(call, given)
    if given.values:
        walk.sinks.writes(given.values[0], marks_of(given.values[1:]))
    return NOTHING


def _decipher(walk: Expressions, name: str, given: Given) -> Value:
    return Value(marks=decoded("hex", NOTHING).marks, name="<cipher>")


def _process_written(walk: Expressions, name: str, given: Given) -> Value:
    if marks_of(given.values) & SOCKET:
        walk.sinks.add(EffectKind.REMOTE_SHELL, because="a program is fed with what comes over a connection")
    elif marks_of(given.values) & NETWORK:
        walk.sinks.add(EffectKind.EXECUTE, because="a program is fed with what came from elsewhere")
    return NOTHING


def _constructed(walk: Expressions, name: str, given: Given) -> Value:
    """`[].filter.constructor("…")` is Function by another way."""
    value = given.values[-1] if given.values else NOTHING
    return _code(walk, "a function's constructor", given) if value.text() is not None or value.marks & FOREIGN else NOTHING


SPECIAL: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(("require", "import", "module.require", "process.mainModule.require", "module.createRequire"), _require),
    **dict.fromkeys(("module._load", "process.binding", "process._linkedBinding", "globalThis.require"), _require),
    **dict.fromkeys(("eval", "Function", "new Function", "execScript", "vm.runInThisContext", "vm.runInNewContext"), _code),
    **dict.fromkeys(("vm.runInContext", "vm.Script", "vm.compileFunction", "GeneratorFunction"), _code),
    **dict.fromkeys(("setTimeout", "setInterval", "setImmediate"), _later),
    **dict.fromkeys(("fs.writeFile", "fs.writeFileSync", "fs.appendFile", "fs.appendFileSync", "fs.outputFile"), _save),
    **dict.fromkeys(("Deno.writeTextFile", "Deno.writeTextFileSync", "Deno.writeFile", "Bun.write"), _save),
    **dict.fromkeys(("<process>.stdin.write", "<process>.write"), _process_written),
    **dict.fromkeys(("crypto.createDecipheriv", "crypto.createDecipher"), _decipher),
    "Reflect.apply": _applied,
    "Reflect.get": _got,
    "<file>.write": _file_written,
    "<global>": _global,
    "?.pipe": _pipe,
    "?.constructor": _constructed,
}
