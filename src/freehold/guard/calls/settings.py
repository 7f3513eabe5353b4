"""The `[calls]` table of the policy file: what a tool call may do, by its effects.

What the settings mean for a call is decided in `judge.py`; what may not be written is decided here.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product
from typing import Annotated, Literal

import msgspec

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.calls.kinds import ToolKind
from freehold.guard.calls.presets import DEFAULT_PRESET, PresetName
from freehold.guard.config import ModeName
from freehold.guard.patterns import Id, Patterns, close, patterns

CallActionName = Literal["allow", "tag", "ask", "block"]
ON_EFFECT = ("effects", "places", "paths", "hosts")
ON_EXCHANGE = ("dialect", "team", "key", "model", "label")
CONDITIONS = (*ON_EFFECT, "tool", *ON_EXCHANGE)
RULES = tuple(Effect(kind=kind, place=place).rule for kind, place in product(EffectKind, Place))


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[calls.tools]]`: what the tools of a name or glob are. The first that names a tool counts.

    `kind` is what its arguments are taken for, "data" for what is kept and never run. `argument` names the member that holds the
    command, the code, the path or the address; left out, it is looked for. `results` says whether its answers may be believed.
    """

    name: str
    kind: ToolKind | None = None
    argument: str | None = None
    results: Literal["trusted", "untrusted"] = "untrusted"


class CallRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[calls.rules]]`. Conditions are names or globs, one or a list; what is left out holds for everything.

    `effects` names kinds ("delete") or rules ("effect-delete-system"). `paths` and `hosts` are what the effect touches.
    """

    id: Id
    action: CallActionName
    mode: ModeName = "enforce"
    note: str = ""
    effects: Patterns | None = None
    places: Patterns | None = None
    paths: Patterns | None = None
    hosts: Patterns | None = None
    tool: Patterns | None = None
    dialect: Patterns | None = None
    team: Patterns | None = None
    key: Patterns | None = None
    model: Patterns | None = None
    label: Patterns | None = None


class CallSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`workspace` are folders that count as the working folder, beside the one that the agent says it works in.

    `hosts` are one's own: what goes there or comes from there is no more than tagged. `stream` names tools whose calls go on as
    they come, and are judged when it is too late to stop them.
    """

    preset: PresetName = DEFAULT_PRESET
    ask_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 300.0
    workspace: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ("localhost", "*.localhost", "127.*", "::1")
    stream: tuple[str, ...] = ()
    data_flow: bool = True
    tools: tuple[ToolSettings, ...] = ()
    rules: tuple[CallRule, ...] = ()


TABLES: dict[str, type[msgspec.Struct]] = {"tools": ToolSettings, "rules": CallRule}


def complaints(settings: CallSettings) -> Iterator[tuple[str, int | None, str]]:
    """What can't be meant: table under `calls`, number in it, reason."""
    for number, rule in enumerate(settings.rules):
        for reason in _complaints_of(rule):
            yield "rules", number, f"rule {rule.id!r}: {reason}"
    for folder in settings.workspace:
        if not _is_folder(folder):
            yield (
                "",
                None,
                f"workspace has {folder!r}, which is no folder below another; "
                'give whole paths such as "/srv/project" or "~/project"',
            )


def _complaints_of(rule: CallRule) -> Iterator[str]:
    for setting, written, known in (("effects", rule.effects, {*EffectKind, *RULES}), ("places", rule.places, set(Place))):
        for pattern in patterns(written) or ():
            if not any(fnmatchcase(name, pattern) for name in known):
                near = known if setting == "places" or pattern.startswith("effect-") else set(EffectKind)
                yield f"{setting} has {pattern!r}, which is no such name; {close(pattern, near)}"
    for name in CONDITIONS:
        if patterns(getattr(rule, name)) == ():
            yield f"{name} names nothing; leave it out where it should not matter"


def _is_folder(folder: str) -> bool:
    """Whether it names one folder and not a whole root, home or drive."""
    steps = [step for step in folder.replace("\\", "/").split("/") if step]
    is_whole = folder.startswith(("/", "~/", "\\\\")) or (folder[1:2] == ":" and folder[2:3] in ("/", "\\"))
    return is_whole and len(steps) >= 2 and ".." not in steps and not any(char in folder for char in "*?$")
