"""Patches taken apart: which files they add, change and delete, and what they add. Codex' own form, and unified diffs."""

import re
from collections.abc import Iterator

from freehold.core.effects import EffectKind

_NAME = r"(.(?:.*\S)?)"  # without the blanks at its end, which are gone through once
_NAME_TO_TAB = r"([^\t\n](?:[^\t\n]*\S)?)"
_PATCH_HEAD = re.compile(
    rf"\*\*\* (Add|Update|Delete) File: {_NAME}\s*$|\*\*\* (Move) to: {_NAME}\s*$"
    rf"|(?:(\+\+\+)|rename (to)) (?:b/)?{_NAME_TO_TAB}\s*(?:\t.*)?$"
)
_OLD_HEAD = re.compile(rf"--- (?:a/)?{_NAME_TO_TAB}\s*(?:\t.*)?$")


def patched(text: str) -> Iterator[tuple[EffectKind, str, str]]:
    """(WRITE or DELETE, path, lines that are added) of each file. A line that could be a head and could be added is a head."""
    kind, path, old, added = EffectKind.WRITE, "", "", list[str]()
    leads = False
    for line in text.split("\n"):
        leads = leads or line.endswith(" mode 120000")
        if (before := _OLD_HEAD.match(line)) is not None:
            old = before[1]
        elif (head := _PATCH_HEAD.match(line)) is not None:
            if path:
                yield kind, path, "\n".join(added)
            added = []
            path = head[2] or head[4] or head[7]
            kind = EffectKind.DELETE if head[1] == "Delete" or path == "/dev/null" else EffectKind.WRITE
            path = old if path == "/dev/null" else path
        elif line.startswith("+"):
            if leads:  # git(1): the one line of a link is where it leads, and what is written through it is written there
                yield EffectKind.WRITE, line[1:], ""
            leads = False
            added.append(line[1:])
    if path:
        yield kind, path, "\n".join(added)
