"""What the name of a program, a script or a function says of it, where no table has it.

The words are in `data/windows_names.toml`. Decided here: what the words of a name are. A name proves little, and a harmless one
nothing.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from freehold.guard.effects.windows_rules import Rule, read_rules

LIMIT_CHARS = 120
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@cache
def _names() -> tuple[Mapping[str, Rule], tuple[tuple[str, Rule], ...]]:
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "windows_names.toml").read_text())
    whole: dict[str, Rule] = {}
    begins: list[tuple[str, Rule]] = []
    for line in document["names"].splitlines():
        names, arrow, what = line.partition(" => ")
        if not arrow:
            continue
        rule = read_rules(f"=> {what}")[0]
        for name in names.strip().split(","):
            if name.endswith("*"):
                begins.append((name[:-1], rule))
            else:
                whole[name] = rule
    return whole, tuple(begins)


def telling(name: str) -> Rule | None:
    """The rule of the first word that tells something: "CreateRemoteThread" has "create", "remote", "remotethread" and so on."""
    words = [word.lower() for word in _WORD.findall(name[:LIMIT_CHARS])]
    whole, begins = _names()
    several = ["".join(words[at : at + count]) for count in (1, 2, 3) for at in range(len(words) - count + 1)]
    for word in several:
        if word in whole:
            return whole[word]
    for word in several:
        for beginning, rule in begins:
            if word.startswith(beginning):
                return rule
    return None
