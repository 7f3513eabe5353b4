"""What a cmdlet does: by a rule of its own, by its family, or by its verb.

The table is `data/windows_cmdlets.toml`. Decided here: which parameter an abbreviation means, where arguments without a name
go, and that a cmdlet nobody has heard of does what its verb says: verbs are few and approved. A command with no verb and no
rule is a program.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from importlib.resources import files

from freehold.core.effects import Effect
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.windows_names import telling
from freehold.guard.effects.windows_rules import Call, Rule, judged, read_rules

_COMMON = ("erroraction", "errorvariable", "warningaction", "outvariable", "outbuffer", "pipelinevariable", "informationaction")
_SHORT = {
    "ea": "erroraction",
    "wa": "warningaction",
    "ev": "errorvariable",
    "ov": "outvariable",
    "wi": "whatif",
    "cf": "confirm",
    "vb": "verbose",
    "lp": "literalpath",
    "pspath": "literalpath",
    "cn": "computername",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmdlet:
    rules: tuple[Rule, ...]
    positions: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    pipe: str = ""
    gives: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Families:
    """Rules by what a name looks like. The first that matches counts."""

    form: re.Pattern[str]
    rules: tuple[Rule, ...]

    def rule_of(self, name: str) -> Rule | None:
        found = self.form.match(name)
        return self.rules[int(found.lastgroup[1:])] if found and found.lastgroup else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmdlets:
    named: Mapping[str, Cmdlet]
    aliases: Mapping[str, str]
    families: Families
    verbs: Mapping[str, Rule]
    switches: frozenset[str]  # parameters that take no value


@cache
def cmdlets() -> Cmdlets:
    """The whole table; names in lower case."""
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "windows_cmdlets.toml").read_text())
    aliases, families, switches = document.pop("aliases"), document.pop("families"), document.pop("switches")
    named: dict[str, Cmdlet] = {}
    for names, row in document.items():
        cmdlet = Cmdlet(
            rules=read_rules(row["rules"]),
            positions=tuple(row.get("positions", "").split()),
            takes=tuple(row.get("takes", "").split()),
            pipe=row.get("pipe", ""),
            gives=row.get("gives", ""),
        )
        for name in names.split():
            named[name] = cmdlet
    return Cmdlets(
        switches=frozenset(switches.split()),
        named=named,
        aliases=aliases,
        families=_families(families["rules"]),
        verbs={verb: rule for verbs, rule in _lines(families["verbs"]) for verb in verbs},
    )


def _lines(text: str) -> list[tuple[list[str], Rule]]:
    """`names => what | because`, a line each."""
    found = []
    for line in text.splitlines():
        names, arrow, what = line.partition(" => ")
        if arrow:
            found.append((names.strip().split(","), read_rules(f"=> {what}")[0]))
    return found


def _families(text: str) -> Families:
    lines = _lines(text)
    forms = (f"(?P<f{at}>" + "|".join(map(translate, globs)) + ")" for at, (globs, _) in enumerate(lines))
    return Families(form=re.compile("|".join(forms)), rules=tuple(rule for _, rule in lines))


_PLAIN = Cmdlet(rules=())


def cmdlet_of(name: str) -> Cmdlet:
    return cmdlets().named.get(name, _PLAIN)


def is_cmdlet(name: str) -> bool:
    """Whether it is spelled as cmdlets are: a known verb, a hyphen, a noun."""
    verb, hyphen, noun = name.partition("-")
    return name in cmdlets().named or (bool(hyphen) and verb in cmdlets().verbs and noun[:1].isalpha() and "." not in noun)


def parameter_of(cmdlet: Cmdlet, given: str) -> str:
    """The whole name of a parameter that may be abbreviated."""
    if given in _SHORT:
        return _SHORT[given]
    known = (*cmdlet.positions, *cmdlet.takes)
    if given in known or given in cmdlets().switches:
        return given
    return next((name for name in (*known, *_COMMON, *sorted(cmdlets().switches)) if name.startswith(given)), given)


def call_of(
    name: str, cmdlet: Cmdlet, named: Mapping[str, Sequence[str]], unnamed: Sequence[Sequence[str]], piped: Sequence[str]
) -> Call:
    """Arguments without a name go to the parameters in their order; what is piped to the one that takes it."""
    switches = {key: list(values) for key, values in named.items()}
    rest = list(unnamed)
    for position in cmdlet.positions:
        if rest and position not in switches and not (position == "path" and "literalpath" in switches):
            switches[position] = list(rest.pop(0))
    if cmdlet.pipe and piped and not switches.get(cmdlet.pipe) and not switches.get("literalpath"):
        switches[cmdlet.pipe] = list(piped)
    words = [word for key, values in named.items() for word in (f"-{key}", *values)]
    plain = [word for values in unnamed for word in values]
    return Call(name=name, words=[*words, *plain, *piped[:4]], positionals=plain, switches=switches)


def cmdlet_effects(call: Call, cmdlet: Cmdlet, scene: Scene, spelled: str) -> list[Effect] | None:
    """`spelled` is its name with its capitals. None where neither its name, nor its family, nor its verb is known."""
    table = cmdlets()
    if call.name in table.named:
        return judged(call, cmdlet.rules, scene, "runs a cmdlet") or []
    family = table.families.rule_of(call.name)
    if family is not None:
        return judged(call, (family,), scene, "runs a cmdlet")
    named = telling(spelled)
    if named is not None:
        return judged(call, (named,), scene, "runs a cmdlet")
    rule = table.verbs.get(call.name.partition("-")[0]) if "-" in call.name else None
    return None if rule is None else judged(call, (rule,), scene, "runs a cmdlet that no table has")
