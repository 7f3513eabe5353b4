"""What a command in a PowerShell script does, and what it gives.

Decided here: what a name means (alias, function, cmdlet, program), how arguments are bound, and the commands whose arguments
are code or that make values: they are in `_OWN`. All other cmdlets are in `windows_cmdlets`, programs in `windows_programs`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects import powershell_tree as tree
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.powershell_methods import call_method, construct
from freehold.guard.effects.powershell_objects import plain_type
from freehold.guard.effects.powershell_tree import Node
from freehold.guard.effects.powershell_values import EMPTY, UNKNOWN, Mark, Value, array, items_of, joined, of, texts
from freehold.guard.effects.powershell_walk import Walk, literals
from freehold.guard.effects.scene import unknown
from freehold.guard.effects.windows_cmdlets import (
    Cmdlet,
    call_of,
    cmdlet_effects,
    cmdlet_of,
    cmdlets,
    is_cmdlet,
    parameter_of,
)
from freehold.guard.effects.windows_programs import INTERPRETERS, name_of, program_effects
from freehold.guard.effects.windows_rules import at, where
from freehold.guard.syntax import Language

LIMIT_TEXTS = 64  # of one argument
_SCRIPT = re.compile(r"\.(?:ps1|psm1|bat|cmd|vbs|js|hta|exe|dll|py|msi)$", re.IGNORECASE)
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


@dataclass(slots=True)
class Given:
    """A command's arguments, bound. `named` have their whole names."""

    named: dict[str, list[Value]] = field(default_factory=dict)
    unnamed: list[Value] = field(default_factory=list)
    piped: Value | None = None
    spelled: str = ""  # the command's name as it is written

    def first(self, *names: str) -> Value | None:
        """Of the first of these parameters that is given; else the first argument without a name."""
        for name in names:
            if self.named.get(name):
                return self.named[name][0]
        return self.unnamed[0] if self.unnamed else None

    def named_text(self, name: str) -> str:
        values = self.named.get(name)
        return values[0].text if values else ""

    @property
    def every(self) -> list[Value]:
        return [*self.unnamed, *(value for values in self.named.values() for value in values)]

    @property
    def blocks(self) -> list[Value]:
        return [item for value in self.every for item in items_of(value) if item.block is not None]

    @property
    def marks(self) -> int:
        marks = self.piped.marks if self.piped is not None else Mark.NONE
        for value in self.every:
            marks |= value.marks
        return marks & ~Mark.CHOICE


def run_command(walk: Walk, node: tree.Command, piped: Value | None) -> Value:
    """What it gives; what it does is added to the walk."""
    return _redirected(walk, node, _run(walk, node, piped))


def _run(walk: Walk, node: tree.Command, piped: Value | None) -> Value:
    called = walk.value(node.name)
    if node.operator == "value":
        return called
    if called.block is not None:
        given = _bound(walk, node.arguments, cmdlet_of(""), piped)
        return walk.call(called.block, given.unnamed, {name: values[0] for name, values in given.named.items() if values}, piped)
    if called.kind == "scriptblock":
        return walk.code(called)
    name = called.text.strip()
    if HOLE in name and not name.replace(HOLE, "").strip("\\/."):
        return _unnamed(walk, called, node, piped)
    name = _meaning(walk, name)
    if name in walk.functions:
        given = _bound(walk, node.arguments, cmdlet_of(""), piped)
        return walk.call(
            walk.functions[name], given.unnamed, {key: values[0] for key, values in given.named.items() if values}, piped
        )
    if name in INTERPRETERS or not (is_cmdlet(name) or name in _OWN):
        return _program(walk, name if called.kind == "name" else called.text, node, piped)
    cmdlet = cmdlet_of(name)
    given = _bound(walk, node.arguments, cmdlet, piped)
    given.spelled = called.text
    own = _OWN.get(name)
    return own(walk, name, given) if own is not None else _cmdlet(walk, name, given)


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


# ---- arguments ----------------------------------------------------------------------------------


def _bound(walk: Walk, arguments: Sequence[Node], cmdlet: Cmdlet, piped: Value | None) -> Given:
    given = Given(piped=piped)
    waiting = ""
    for node in arguments:
        if isinstance(node, tree.Parameter):
            name = parameter_of(cmdlet, node.name.lower())
            values = given.named.setdefault(name, [])
            waiting = ""
            if node.value is not None:
                values.append(walk.value(node.value))
            elif name not in cmdlets().switches:
                waiting = name
            continue
        if isinstance(node, tree.Var) and node.splat:
            _splat(walk.value(tree.Var(node.name)), cmdlet, given)
            continue
        value = walk.value(node)
        if waiting:
            given.named[waiting].append(value)
            waiting = ""
        else:
            given.unnamed.append(value)
    return given


def _splat(value: Value, cmdlet: Cmdlet, given: Given) -> None:
    if value.pairs is None:
        given.unnamed += items_of(value)
        return
    for name, one in value.pairs.items():
        given.named.setdefault(parameter_of(cmdlet, name), []).append(one)


def _texts(values: Sequence[Value]) -> list[str]:
    return [text for value in values for text in texts(value)[:LIMIT_TEXTS]][:LIMIT_TEXTS]


# ---- cmdlets of the table -----------------------------------------------------------------------


def _cmdlet(walk: Walk, name: str, given: Given) -> Value:
    cmdlet = cmdlet_of(name)
    piped = _texts([given.piped]) if given.piped is not None and given.piped is not EMPTY else []
    named = {key: _texts(values) for key, values in given.named.items()}
    call = call_of(name, cmdlet, named, [_texts([value]) for value in given.unnamed], piped)
    for block in given.blocks:
        if block.block is not None:
            walk.call(block.block, (), piped=given.piped)
    if "whatif" in call.switches and call.switches["whatif"] != ["False"]:
        return UNKNOWN
    found = cmdlet_effects(call, cmdlet, walk.scene, given.spelled)
    if found is None:
        found = program_effects([name, *call.words], walk.scene)
    walk.found += found
    _secrets(walk, found, given)
    _made(walk, found, call.switches.get("value") or piped, given)
    return _gives(walk, cmdlet, call.switches, given)


def _secrets(walk: Walk, found: Sequence[Effect], given: Given) -> None:
    if given.marks & Mark.SECRET and any(effect.kind is EffectKind.SEND for effect in found):
        walk.does(EffectKind.SEND, Place.CREDENTIAL, "sends what it read where credentials lie")


def _made(walk: Walk, found: Sequence[Effect], content: Sequence[str], given: Given) -> None:
    """Remembers which files the script makes, and with what."""
    brings = bool(given.marks & Mark.NETWORK) or any(effect.kind is EffectKind.DOWNLOAD for effect in found)
    for effect in found:
        if effect.kind in (EffectKind.WRITE, EffectKind.OVERWRITE) and effect.target:
            key = effect.target.lower()
            if brings:
                walk.trail.brought.add(key)
            elif content:
                walk.trail.written[key] = of("\n".join(content), given.marks)


def _gives(walk: Walk, cmdlet: Cmdlet, switches: Mapping[str, Sequence[str]], given: Given) -> Value:
    path = next((values[0] for key in ("path", "literalpath", "filepath") if (values := switches.get(key))), "")
    if cmdlet.gives == "pass":
        return (
            given.piped
            if given.piped is not None
            else array(given.unnamed)
            if len(given.unnamed) > 1
            else given.unnamed[0]
            if given.unnamed
            else EMPTY
        )
    if cmdlet.gives == "first":
        return of(path) if path else given.unnamed[0] if given.unnamed else UNKNOWN
    if cmdlet.gives == "below":
        if path.lower().startswith("env:"):
            return Value(marks=Mark.SECRET)
        return of(f"{path}\\{HOLE}" if "name" not in switches else HOLE) if path else of(f".\\{HOLE}")
    if cmdlet.gives == "content":
        known = walk.trail.written.get(path.lower())
        if known is not None:
            return known
        return Value(
            marks=Mark.SECRET
            if path and where(path, walk.scene.folder) is Place.CREDENTIAL
            else Mark.NETWORK
            if path.lower() in walk.trail.brought
            else Mark.FILE
        )
    return Value(marks=(Mark.NETWORK if cmdlet.gives == "network" else Mark.OUTPUT) | (given.marks & Mark.SECRET))


# ---- programs -----------------------------------------------------------------------------------


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
    walk.found += _ran(walk, words)
    if marks & Mark.SECRET and any(effect.kind is EffectKind.SEND for effect in found):
        walk.does(EffectKind.SEND, Place.CREDENTIAL, "sends what it read where credentials lie")
    program = name_of(name)
    _made(walk, found, (), Given())
    if (
        piped is not None
        and program in INTERPRETERS
        and not any(word.lower().lstrip("-/") in ("c", "command", "file", "f", "e") for word in words[1:])
    ):
        walk.code(piped, INTERPRETERS[program])
    brings = any(effect.kind is EffectKind.DOWNLOAD for effect in found)
    return Value(marks=Mark.OUTPUT | (Mark.NETWORK if brings else Mark.NONE) | (marks & Mark.SECRET))


def _ran(walk: Walk, words: Sequence[str]) -> list[Effect]:
    """What follows where a file is run that this script has made or brought."""
    for word in words[:8]:
        key = word.lower().strip("\"'")
        if key in walk.trail.brought and (word is words[0] or _SCRIPT.search(key)):
            return [
                Effect(
                    kind=EffectKind.EXECUTE,
                    place=where(word, walk.scene.folder),
                    target=word,
                    because="runs what was downloaded before",
                )
            ]
        if key in walk.trail.written:
            return _written_is_run(walk, word, key, is_program=word is words[0])
    return []


def _written_is_run(walk: Walk, word: str, key: str, *, is_program: bool) -> list[Effect]:
    content = walk.trail.written[key]
    language = {
        ".ps1": Language.POWERSHELL,
        ".psm1": Language.POWERSHELL,
        ".bat": Language.BATCH,
        ".cmd": Language.BATCH,
        ".py": Language.PYTHON,
    }.get("." + key.rpartition(".")[2])
    if language is not None and content.is_known:
        return walk.scene.inside(language, content.text)
    if is_program or _SCRIPT.search(key):
        return [
            Effect(
                kind=EffectKind.EXECUTE,
                place=where(word, walk.scene.folder),
                target=word,
                because="runs a file that was made before",
            )
        ]
    return []


def _redirected(walk: Walk, node: tree.Command, out: Value) -> Value:
    for sign, target in node.redirections:
        for file in texts(walk.value(target))[:4]:
            kind = EffectKind.READ if sign == "<" else EffectKind.WRITE if sign == ">>" else EffectKind.OVERWRITE
            found = at(kind, file, "reads its input from a file" if sign == "<" else "writes its output to a file", walk.scene)
            walk.found += found
            if sign != "<":
                _made(walk, found, [out.text] if out is not UNKNOWN and out is not EMPTY else (), Given(unnamed=[out]))
    return EMPTY if node.redirections else out


# ---- commands whose arguments are code, or that make values -------------------------------------


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
        + _texts(given.unnamed)
        + [text for values in given.named.values() for text in _texts(values)]
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
    _cmdlet(walk, name, replace_blocks(given))
    out = EMPTY
    arguments = [item for value in given.named.get("argumentlist", []) for item in items_of(value)]
    for block in given.blocks:
        if block.block is not None:
            out = walk.call(block.block, arguments)
    for value in (*given.named.get("scriptblock", []), *given.unnamed):
        if value.kind == "scriptblock":
            out = walk.code(value)
    return out


def replace_blocks(given: Given) -> Given:
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
    arguments = _texts(given.named.get("argumentlist") or rest)
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
        walk.found += _ran(walk, words)
    if program.marks & Mark.NETWORK:
        walk.does(EffectKind.EXECUTE, Place.HOST, "runs what comes from another machine")
    return Value(marks=Mark.OUTPUT)


def _split(text: str) -> list[str]:
    return [word.strip("\"'") for word in re.findall(r"\"[^\"]*\"|'[^']*'|\S+", text)]


def _wmi_method(walk: Walk, name: str, given: Given) -> Value:
    words = _texts(given.every)
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
        for text in _texts(arguments or given.unnamed[2:]):
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
    out = _cmdlet(walk, name, given)
    words = " ".join(_texts(given.every)).lower()
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
        found = sorted({name for name in (*table.named, *_OWN) if fnmatchcase(name, text)})
        risky = [name for name in found if name in _OWN]
        return of((risky or found)[0]) if found and len(found) < 4 else UNKNOWN
    return of(asked.text)


def _add_type(walk: Walk, _name: str, given: Given) -> Value:
    source = " ".join(_texts([*given.named.get("typedefinition", []), *given.named.get("memberdefinition", []), *given.unnamed]))
    if given.named.get("path") or given.named.get("literalpath"):
        for path in _texts([*given.named.get("path", []), *given.named.get("literalpath", [])]):
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
        return _cmdlet(
            walk,
            name,
            Given(
                named={**rest, "path": [of(f"{folder}\\{own[0].text}")]},
                unnamed=[] if not path else given.unnamed,
                piped=given.piped,
            ),
        )
    return _cmdlet(walk, name, given)


def _import_module(walk: Walk, name: str, given: Given) -> Value:
    out = _cmdlet(walk, name, given)
    for value in given.unnamed[:1] or given.named.get("name", [])[:1]:
        walk.found += _ran(walk, [value.text])
    return out


Own = Callable[[Walk, str, Given], Value]
_OWN: Mapping[str, Own] = {
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
