"""PowerShell's commands whose arguments are code, or that make values: each is a function, all are in `OWN`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects import powershell_tree as tree
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.powershell_given import Given, ran, run_cmdlet, texts_of
from freehold.guard.effects.powershell_methods import call_method, construct
from freehold.guard.effects.powershell_objects import plain_type
from freehold.guard.effects.powershell_values import EMPTY, UNKNOWN, Mark, Value, array, items_of, joined, of, texts
from freehold.guard.effects.powershell_walk import Walk, literals
from freehold.guard.effects.scene import unknown
from freehold.guard.effects.windows_cmdlets import cmdlets
from freehold.guard.effects.windows_programs import INTERPRETERS, name_of, program_effects
from freehold.guard.effects.windows_rules import where
from freehold.guard.syntax import Language

_PROTECTION = re.compile(
    r"defender|msmpeng|virus|carbonblack|cylance|crowdstrike|sentinel|sysmon|mcafee|symantec|sophos|kaspersky|bitdefender|fireeye|edr",
    re.IGNORECASE,
)
_IN_MEMORY = re.compile(
    r"virtualalloc|createthread|createremotethread|writeprocessmemory|openprocess\b|ntcreatethread|rtlmovememory|minidumpwritedump|setwindowshook|getasynckeystate"
    r"|virtualprotect|amsiscanbuffer|loadlibrary|getprocaddress|adjusttokenprivileges|duplicatetoken|logonuser|createprocesswith|credenumerate|cryptunprotect"
    r"|blockinput|mouse_event|keybd_event|ntraiseharderror|rtladjustprivilege|lsa\w+|process\.start|webclient|downloadstring|tcpclient",
    re.IGNORECASE,
)


def _for_each(walk: Walk, _name: str, given: Given) -> Value:
    source = given.piped if given.piped is not None else given.named.get("inputobject", [UNKNOWN])[0]
    out = EMPTY
    for block in given.blocks:
        if block.block is not None:
            out = walk.each(block.block, source)
    if not given.blocks:
        member = given.first("membername")
        if member is not None and member.text.lower() in ("delete", "kill", "stop", "start", "terminate", "invoke", "dispose"):
            return call_method(walk, source, member.text.lower(), False, given.unnamed[1:], ())
        return source
    return out


def _where(walk: Walk, _name: str, given: Given) -> Value:
    source = given.piped if given.piped is not None else UNKNOWN
    for block in given.blocks:
        if block.block is not None:
            walk.call(block.block, (), piped=source)
    said = (
        [text for block in given.blocks for text in literals(block.block)]
        + texts_of(given.unnamed)
        + [text for values in given.named.values() for text in texts_of(values)]
    )
    if any(_PROTECTION.search(text) for text in said):
        walk.does(EffectKind.DISCOVER, Place.SYSTEM, "looks for what protects this machine")
    return source


def _invoke_expression(walk: Walk, _name: str, given: Given) -> Value:
    value = given.first("command") or given.piped
    return (
        walk.code(
            joined(value, "\n") if value is not None and value.items is not None and not value.marks & Mark.CHOICE else value
        )
        if value is not None
        else EMPTY
    )


def _invoke_command(walk: Walk, name: str, given: Given) -> Value:
    run_cmdlet(walk, name, without_blocks(given))
    out = EMPTY
    arguments = [item for value in given.named.get("argumentlist", []) for item in items_of(value)]
    for block in given.blocks:
        if block.block is not None:
            out = walk.call(block.block, arguments)
    for value in (*given.named.get("scriptblock", []), *given.unnamed):
        if value.kind == "scriptblock":
            out = walk.code(value)
    return out


def without_blocks(given: Given) -> Given:
    """Without its blocks, which are called elsewhere."""
    named = {name: [value for value in values if value.block is None] for name, values in given.named.items()}
    return Given(named=named, unnamed=[value for value in given.unnamed if value.block is None], piped=given.piped)


def _new_object(walk: Walk, _name: str, given: Given) -> Value:
    com = given.named.get("comobject")
    if com:
        kind = "com:" + com[0].text.lower()
        return construct(walk, kind, ())
    made = given.first("typename")
    if made is None:
        return UNKNOWN
    rest = given.unnamed if given.named.get("typename") else given.unnamed[1:]
    arguments = [
        item
        for value in (given.named.get("argumentlist") or given.named.get("property") or rest)
        for item in (items_of(value) if not value.kind else [value])
    ]
    return construct(walk, plain_type(made.text), arguments)


def _start_process(walk: Walk, _name: str, given: Given) -> Value:
    program = given.first("filepath")
    if program is None:
        return UNKNOWN
    rest = given.unnamed if given.named.get("filepath") else given.unnamed[1:]
    arguments = texts_of(given.named.get("argumentlist") or rest)
    if given.named_text("verb").lower().startswith("runas"):
        walk.does(EffectKind.ESCALATE, Place.NOTHING, "asks for an administrator's rights")
    if given.named_text("windowstyle").lower().startswith("hid"):
        walk.does(EffectKind.EVADE, Place.NOTHING, "runs in a window that nobody sees")
    for text in texts(program)[:4]:
        words = [text, *(word for argument in arguments for word in _split(argument))]
        name = name_of(text)
        if HOLE in text and not text.replace(HOLE, "").strip("\\/."):
            walk.found.append(unknown("starts a program whose name is only known when it runs"))
            continue
        if name in INTERPRETERS:
            walk.found += walk.scene.inside(Language.BATCH, " ".join([name, *arguments]))
        else:
            walk.found += program_effects(words, walk.scene)
        walk.found += ran(walk, words)
    if program.marks & Mark.NETWORK:
        walk.does(EffectKind.EXECUTE, Place.HOST, "runs what comes from another machine")
    return Value(marks=Mark.OUTPUT)


def _split(text: str) -> list[str]:
    return [word.strip("\"'") for word in re.findall(r"\"[^\"]*\"|'[^']*'|\S+", text)]


def _wmi_method(walk: Walk, name: str, given: Given) -> Value:
    words = texts_of(given.every)
    arguments = [
        item
        for key in ("argumentlist", "arguments")
        for value in given.named.get(key, [])
        for item in (list(value.pairs.values()) if value.pairs else items_of(value))
    ]
    where = " ".join(words).lower() + (given.piped.kind if given.piped is not None else "")
    if "computername" in given.named or "cimsession" in given.named:
        walk.does(EffectKind.EXECUTE, Place.HOST, "runs code on another machine")
    if "win32_process" in where and "create" in where:
        walk.does(EffectKind.EVADE, Place.NOTHING, "starts a program out of sight of who started it")
        for text in texts_of(arguments or given.unnamed[2:]):
            walk.found += walk.scene.inside(Language.BATCH, text) if text.strip(HOLE) else []
    elif "shadow" in where and "create" not in where:
        walk.does(EffectKind.DELETE, Place.WHOLE_TREE, "deletes shadow copies, which are backups")
    elif "task" in where or "subscription" in where or "consumer" in where:
        walk.does(EffectKind.PERSIST, Place.SYSTEM, "makes something run by itself")
    elif "mppreference" in where or "defender" in where:
        walk.does(EffectKind.EVADE, Place.SYSTEM, "changes what Defender looks at")
    elif "win32_product" in where:
        walk.does(EffectKind.INSTALL, Place.SYSTEM, "installs or removes software")
    else:
        walk.does(EffectKind.SYSTEM, Place.NOTHING, "commands the machine through WMI")
    return UNKNOWN


def _wmi_object(walk: Walk, name: str, given: Given) -> Value:
    out = run_cmdlet(walk, name, given)
    words = " ".join(texts_of(given.every)).lower()
    found = re.search(r"\b(?:win32|msft|cim|ds)_\w+", words)
    return replace(out, kind="wmi:" + found[0]) if found else out


def _set_alias(walk: Walk, _name: str, given: Given) -> Value:
    named = [value.text.lower() for key in ("name", "value") for value in given.named.get(key, [])[:1]]
    pair = [*named, *(value.text.lower() for value in given.unnamed)]
    if len(pair) > 1:
        walk.aliases[pair[0]] = pair[1]
    return EMPTY


def _set_variable(walk: Walk, _name: str, given: Given) -> Value:
    name = given.first("name")
    value = given.named.get("value", given.unnamed[1 if not given.named.get("name") else 0 :])
    if name is not None and name.is_known:
        walk.variables[name.text.lower()] = value[0] if value else given.piped or EMPTY
    return EMPTY


def _get_variable(walk: Walk, _name: str, given: Given) -> Value:
    name = given.first("name")
    if name is None:
        return UNKNOWN
    if "*" in name.text:
        found = [
            key
            for key in (*walk.variables, "executioncontext", "pshome", "shellid", "verbosepreference")
            if fnmatchcase(key, name.text.lower())
        ]
        return walk.value(tree.Var(found[0])) if len(found) == 1 else UNKNOWN
    return walk.value(tree.Var(name.text.lower()))


def _join_path(walk: Walk, _name: str, given: Given) -> Value:
    parts = [*given.named.get("path", []), *given.named.get("childpath", []), *given.unnamed]
    return of("\\".join(part.text.rstrip("\\") for part in parts)) if parts else UNKNOWN


def _get_command(walk: Walk, _name: str, given: Given) -> Value:
    asked = given.first("name", "definition", "noun")
    if asked is None:
        return UNKNOWN
    text = asked.text.lower()
    if "*" in text or "?" in text:
        table = cmdlets()
        found = sorted({name for name in (*table.named, *OWN) if fnmatchcase(name, text)})
        risky = [name for name in found if name in OWN]
        return of((risky or found)[0]) if found and len(found) < 4 else UNKNOWN
    return of(asked.text)


def _add_type(walk: Walk, _name: str, given: Given) -> Value:
    source = " ".join(
        texts_of([*given.named.get("typedefinition", []), *given.named.get("memberdefinition", []), *given.unnamed])
    )
    if given.named.get("path") or given.named.get("literalpath"):
        for path in texts_of([*given.named.get("path", []), *given.named.get("literalpath", [])]):
            walk.found += [
                Effect(kind=EffectKind.RUN, place=where(path, walk.scene.folder), target=path, because="loads code from a file")
            ]
    if _IN_MEMORY.search(source):
        walk.does(EffectKind.EXECUTE, Place.NOTHING, "compiles code that reaches into processes, keys or the network")
    elif source:
        walk.does(EffectKind.RUN, Place.NOTHING, "compiles code of another language")
    if HOLE in source:
        walk.found.append(unknown("compiles code that is only known when it runs"))
    return EMPTY


def _start_job(walk: Walk, name: str, given: Given) -> Value:
    arguments = [item for value in given.named.get("argumentlist", []) for item in items_of(value)]
    for block in given.blocks:
        if block.block is not None:
            walk.call(block.block, arguments)
    for value in given.named.get("filepath", []):
        walk.found += program_effects([value.text], walk.scene)
    return UNKNOWN


def _tell(walk: Walk, _name: str, given: Given) -> Value:
    values = [*given.named.get("inputobject", []), *given.unnamed]
    return given.piped or UNKNOWN if not values else values[0] if len(values) == 1 else array(values)


def _select(walk: Walk, _name: str, given: Given) -> Value:
    for block in given.blocks:
        if block.block is not None:
            walk.call(block.block, (), piped=given.piped)
    return given.piped if given.piped is not None else UNKNOWN


def _new_item(walk: Walk, name: str, given: Given) -> Value:
    """`-Path folder -Name file` is one path."""
    path, own = given.named.get("path"), given.named.get("name")
    if own and not own[0].text.startswith("HK"):
        folder = path[0].text if path else given.unnamed[0].text if given.unnamed else "."
        rest = {key: values for key, values in given.named.items() if key not in ("path", "name")}
        return run_cmdlet(
            walk,
            name,
            Given(
                named={**rest, "path": [of(f"{folder}\\{own[0].text}")]},
                unnamed=[] if not path else given.unnamed,
                piped=given.piped,
            ),
        )
    return run_cmdlet(walk, name, given)


def _import_module(walk: Walk, name: str, given: Given) -> Value:
    out = run_cmdlet(walk, name, given)
    for value in given.unnamed[:1] or given.named.get("name", [])[:1]:
        walk.found += ran(walk, [value.text])
    return out


Own = Callable[[Walk, str, Given], Value]
OWN: Mapping[str, Own] = {
    "foreach-object": _for_each,
    "where-object": _where,
    "invoke-expression": _invoke_expression,
    "invoke-command": _invoke_command,
    "new-object": _new_object,
    "start-process": _start_process,
    "invoke-wmimethod": _wmi_method,
    "invoke-cimmethod": _wmi_method,
    "get-wmiobject": _wmi_object,
    "get-ciminstance": _wmi_object,
    "set-alias": _set_alias,
    "new-alias": _set_alias,
    "set-variable": _set_variable,
    "new-variable": _set_variable,
    "get-variable": _get_variable,
    "join-path": _join_path,
    "get-command": _get_command,
    "get-alias": _get_command,
    "add-type": _add_type,
    "start-job": _start_job,
    "start-threadjob": _start_job,
    "write-output": _tell,
    "select-object": _select,
    "new-item": _new_item,
    "import-module": _import_module,
    "invoke-item": _start_process,
}
