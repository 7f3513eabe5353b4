"""What calling a method in a PowerShell script does, and what it gives.

Decided here: the methods that run code (script blocks, hosted shells, reflection), that decode, that start programs; the others
are in the table of `powershell_objects` and among the methods of text in `powershell_values`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.powershell_objects import marks_of, member_effects, new_effects, plain_type
from freehold.guard.effects.powershell_tree import Node, Var
from freehold.guard.effects.powershell_values import (
    EMPTY,
    UNKNOWN,
    Mark,
    Value,
    array,
    items_of,
    method,
    of,
    static_method,
    text_of_bytes,
    texts,
    unpacked,
)
from freehold.guard.effects.powershell_walk import Walk
from freehold.guard.effects.scene import unknown
from freehold.guard.effects.windows_rules import at
from freehold.guard.syntax import Language

_CONNECTIONS = ("net.sockets.", "net.websockets.", "io.pipes.", "net.httplistener")
_DEFENCES = re.compile(
    r"amsi(?:utils|initfailed|context|session|scanbuffer)|scriptblocklogging|etwprovider|m_enabled|cachedgrouppolicysettings",
    re.IGNORECASE,
)
_RUN = frozenset(("invoke", "invokereturnasis", "invokewithcontext", "begininvoke", "invokescript", "newscriptblock"))


def call_method(walk: Walk, owner: Value, name: str, is_static: bool, arguments: Sequence[Value], nodes: Sequence[Node]) -> Value:
    """What it gives; what it does is added to the walk."""
    given = [text for argument in arguments for text in texts(argument)[:64]]
    marks = owner.marks
    for argument in arguments:
        marks |= argument.marks & ~Mark.CHOICE
    if HOLE in name:
        walk.found.append(unknown("calls a method whose name is only known when it runs"))
        return Value(marks=marks)
    if any(_DEFENCES.search(text) for text in given):
        walk.does(EffectKind.EVADE, Place.SYSTEM, "reaches into what scans or records scripts")
    if any("nonpublic" in text.lower() for text in given):
        walk.does(EffectKind.EVADE, Place.NOTHING, "reaches into the private parts of loaded code")
    if is_static and owner.kind == "type":
        return _static(walk, plain_type(owner.text), name, arguments, given, marks, nodes)
    found = _on_object(walk, owner, name, arguments, marks)
    if found is not None:
        return found
    _sends_secrets(walk, name, marks)
    kind = owner.kind
    walk.found += member_effects(kind, name, given, walk.scene)
    _reads_into(walk, owner, name, nodes)
    if kind.startswith("wmi:") and name == "create":
        walk.found += member_effects(
            "win32_process" if "process" in kind else "win32_shadowcopy" if "shadow" in kind else "", name, given, walk.scene
        )
    if name == "delete":
        _delete(walk, owner)
    if name == "readtoend" or kind.startswith("stream"):
        return replace(owner, marks=marks)
    return Value(marks=marks | marks_of(name), kind=kind if kind.startswith(("com:", "net.", "wmi:")) else "")


def _static(
    walk: Walk, kind: str, name: str, arguments: Sequence[Value], given: Sequence[str], marks: int, nodes: Sequence[Node]
) -> Value:
    if kind in ("scriptblock", "management.automation.scriptblock") and name == "create":
        return replace(arguments[0], kind="scriptblock") if arguments else UNKNOWN
    if kind in ("powershell", "management.automation.powershell", "runspacefactory"):
        return Value(kind="powershell")
    if name == "new":
        return construct(walk, kind, arguments)
    if kind == "array" and name == "reverse" and len(nodes) > 1 and isinstance(nodes[1], Var) and arguments:
        walk.variables[nodes[1].name] = method(arguments[0], "reverse", ()) or UNKNOWN
        return EMPTY
    if kind == "environment" and name == "setenvironmentvariable" and len(arguments) > 1:
        walk.set(f"env:{arguments[0].text.lower()}", "=", arguments[1])
        if len(arguments) > 2 and arguments[2].text.lower() in ("machine", "user"):
            walk.does(
                EffectKind.WRITE,
                Place.SYSTEM if arguments[2].text.lower() == "machine" else Place.HOME,
                "sets environment variables for good",
            )
        return EMPTY
    found = static_method(kind, name, arguments)
    if found is not None:
        return found
    if kind == "diagnostics.process" and name == "start" and arguments and arguments[0].pairs:
        pairs = arguments[0].pairs
        start = f"{pairs['filename'].text} {pairs.get('arguments', EMPTY).text}" if "filename" in pairs else ""
        walk.found += walk.scene.inside(Language.BATCH, start) if start else []
        return Value(kind="diagnostics.process")
    if kind.startswith("reflection.assembly") and name.startswith(("load", "unsafe")) and name != "loadwithpartialname":
        walk.does(EffectKind.EXECUTE, Place.NOTHING, "loads code into itself")
        return Value(kind="reflection", marks=marks)
    _sends_secrets(walk, name, marks)
    walk.found += member_effects(kind, name, given, walk.scene)
    return Value(marks=marks | marks_of(name), kind="reflection" if kind == "reflection.assembly" else "")


def _on_object(walk: Walk, owner: Value, name: str, arguments: Sequence[Value], marks: int) -> Value | None:
    kind = owner.kind
    if owner.block is not None:
        return walk.call(owner.block, arguments) if name in _RUN else replace(owner)
    if kind == "scriptblock" and name in _RUN:
        return walk.code(owner)
    if name in ("invokescript", "addscript") and arguments:
        out = walk.code(arguments[0])
        return replace(owner, kind="powershell") if name == "addscript" else out
    if name == "newscriptblock" and arguments:
        return replace(arguments[0], kind="scriptblock")
    if kind == "powershell":
        if name == "addcommand" and arguments and arguments[0].text.lower() in ("iex", "invoke-expression"):
            walk.found.append(unknown("runs text as code that is only known when it runs"))
        return owner
    if name == "expandstring" and arguments:
        return arguments[0]
    if name in ("getstring", "getchars"):
        return text_of_bytes(arguments[0], kind.partition(":")[2]) if arguments else UNKNOWN
    if name == "getbytes" and arguments:
        return replace(arguments[0], kind="")
    if kind == "reflection" and name in ("invoke", "createinstance", "setvalue", "invokemember"):
        walk.does(EffectKind.EXECUTE, Place.NOTHING, "calls code through reflection")
        return Value(marks=marks, kind="reflection")
    if kind == "reflection":
        return owner
    if kind == "" or kind == "bytes" or owner.items is not None:
        return method(owner, name, arguments)
    return None


def construct(walk: Walk, kind: str, arguments: Sequence[Value]) -> Value:
    """A new object of a type."""
    given = [text for argument in arguments for text in texts(argument)[:8]]
    first = arguments[0] if arguments else EMPTY
    if kind.startswith(_CONNECTIONS):
        walk.trail.opens_connection = True
    if kind == "wmi" or kind == "management.managementclass":
        return Value(text=first.text, kind="wmi:" + first.text.lower().rpartition(":")[2])
    if kind.startswith("io.compression.") and kind.endswith("stream"):
        return replace(unpacked(first), kind="stream")
    if kind in (
        "io.memorystream",
        "io.streamreader",
        "io.stringreader",
        "io.bufferedstream",
        "security.cryptography.cryptostream",
    ):
        if kind == "io.streamreader" and first.kind not in ("stream", "bytes") and first.is_known and not first.marks:
            walk.found += new_effects(kind, given, walk.scene)
            return Value(kind="stream", marks=Mark.FILE)
        return replace(first, kind="stream", marks=first.marks | (Mark.DECODED if "crypto" in kind else Mark.NONE))
    if kind == "string":
        return array(items_of(first)) if first.items is None else of("".join(item.text for item in items_of(first)), first.marks)
    if kind in ("diagnostics.processstartinfo",):
        return Value(kind=kind, pairs=dict(zip(("filename", "arguments"), arguments, strict=False)))
    walk.found += new_effects(kind, given, walk.scene)
    marks = Mark.NONE
    for argument in arguments:
        marks |= argument.marks & ~Mark.CHOICE
    return Value(text=first.text if kind in ("uri", "net.uri", "version", "guid") else HOLE, kind=kind, marks=marks)


def _reads_into(walk: Walk, owner: Value, name: str, nodes: Sequence[Node]) -> None:
    """`$stream.Read($buffer, …)`: what comes from a connection is in the buffer then."""
    if name in ("read", "receive", "receiveasync", "readasync", "copyto") and (
        walk.trail.opens_connection or owner.marks & Mark.NETWORK
    ):
        for node in nodes[1:2]:
            if isinstance(node, Var):
                walk.variables[node.name] = Value(kind="bytes", marks=Mark.NETWORK)


def _sends_secrets(walk: Walk, name: str, marks: int) -> None:
    if marks & Mark.SECRET and name.startswith(("upload", "send", "post", "put")):
        walk.does(EffectKind.SEND, Place.CREDENTIAL, "sends what it read where credentials lie")


def _delete(walk: Walk, owner: Value) -> None:
    if "shadowcopy" in owner.kind or "shadowcopy" in owner.text.lower():
        walk.does(EffectKind.DELETE, Place.WHOLE_TREE, "deletes shadow copies, which are backups")
        return
    for text in texts(owner)[:16]:
        if text and text != HOLE:
            walk.found += at(EffectKind.DELETE, text, "deletes what it is given", walk.scene)
        else:
            walk.does(EffectKind.DELETE, Place.NOTHING, "deletes something")
