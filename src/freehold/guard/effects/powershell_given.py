"""The arguments of a PowerShell command, and what its cmdlets do with them.

Decided here: how arguments are bound, what a cmdlet of the table gives, what follows where a file is run that the script has
made.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects import powershell_tree as tree
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.powershell_tree import Node
from freehold.guard.effects.powershell_values import EMPTY, UNKNOWN, Mark, Value, array, items_of, of, texts
from freehold.guard.effects.powershell_walk import Walk
from freehold.guard.effects.scene import effect
from freehold.guard.effects.windows_cmdlets import Cmdlet, call_of, cmdlet_effects, cmdlet_of, cmdlets, parameter_of
from freehold.guard.effects.windows_programs import program_effects
from freehold.guard.effects.windows_rules import where
from freehold.guard.syntax import Language

LIMIT_TEXTS = 64  # of one argument
_SCRIPT = re.compile(r"\.(?:ps1|psm1|bat|cmd|vbs|js|hta|exe|dll|py|msi)$", re.IGNORECASE)


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


def bound(walk: Walk, arguments: Sequence[Node], cmdlet: Cmdlet, piped: Value | None) -> Given:
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


def texts_of(values: Sequence[Value]) -> list[str]:
    return [text for value in values for text in texts(value)[:LIMIT_TEXTS]][:LIMIT_TEXTS]


def run_cmdlet(walk: Walk, name: str, given: Given) -> Value:
    cmdlet = cmdlet_of(name)
    piped = texts_of([given.piped]) if given.piped is not None and given.piped is not EMPTY else []
    named = {key: texts_of(values) for key, values in given.named.items()}
    call = call_of(name, cmdlet, named, [texts_of([value]) for value in given.unnamed], piped)
    for block in given.blocks:
        if block.block is not None:
            walk.call(block.block, (), piped=given.piped)
    if "whatif" in call.switches and call.switches["whatif"] != ["False"]:
        return UNKNOWN
    found = cmdlet_effects(call, cmdlet, walk.scene, given.spelled)
    if found is None:
        found = program_effects([name, *call.words], walk.scene)
    walk.found += found
    tell_secrets(walk, found, given)
    made(walk, found, call.switches.get("value") or piped, given)
    return _gives(walk, cmdlet, call.switches, given)


def tell_secrets(walk: Walk, found: Sequence[Effect], given: Given) -> None:
    if given.marks & Mark.SECRET and any(one.kind is EffectKind.SEND for one in found):
        walk.does(EffectKind.SEND, Place.CREDENTIAL, "sends what it read where credentials lie")


def made(walk: Walk, found: Sequence[Effect], content: Sequence[str], given: Given) -> None:
    """Remembers which files the script makes, and with what."""
    brings = bool(given.marks & Mark.NETWORK) or any(one.kind is EffectKind.DOWNLOAD for one in found)
    for one in found:
        if one.kind in (EffectKind.WRITE, EffectKind.OVERWRITE) and one.target:
            key = one.target.lower()
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


def ran(walk: Walk, words: Sequence[str]) -> list[Effect]:
    """What follows where a file is run that this script has made or brought."""
    for word in words[:8]:
        key = word.lower().strip("\"'")
        if key in walk.trail.brought and (word is words[0] or _SCRIPT.search(key)):
            return [effect(EffectKind.EXECUTE, where(word, walk.scene.folder), word, "runs what was downloaded before")]
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
        return [effect(EffectKind.EXECUTE, where(word, walk.scene.folder), word, "runs a file that was made before")]
    return []
