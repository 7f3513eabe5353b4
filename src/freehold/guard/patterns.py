"""Names and globs, as the policy file's conditions have them. What a condition means is decided by those who ask."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

Patterns = str | tuple[str, ...]
Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


def patterns(written: Patterns | None) -> tuple[str, ...] | None:
    return (written,) if isinstance(written, str) else written


def matches(wanted: Iterable[str], value: str) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in wanted)


def is_one(condition: Patterns | None, *values: str) -> bool:
    """Whether one of `values` is what the condition names. None names everything; nothing names what is unknown."""
    wanted = patterns(condition)
    return wanted is None or any(value != "" and matches(wanted, value) for value in values)


def covers(wide: Patterns | None, narrow: Patterns | None) -> bool:
    """Whether `wide` names all that `narrow` does, as far as the patterns tell."""
    wanted, other = patterns(wide), patterns(narrow)
    if wanted is None:
        return True
    return other is not None and all(any(_covers_one(one, pattern) for one in wanted) for pattern in other)


def _covers_one(wide: str, narrow: str) -> bool:
    """As if the narrow pattern were a name: its star must meet a star, as `?` is one character and `[...]` one of a few."""
    if wide in ("*", narrow):
        return True
    unlike = "[?" if "*" in narrow else "[" if "?" in narrow else ""
    return "[" not in narrow and not any(sign in wide for sign in unlike) and fnmatchcase(narrow, wide)


def close(name: str, known: Iterable[str]) -> str:
    """What to write instead of `name`."""
    names = sorted(set(known))
    import difflib  # noqa: PLC0415  # a quarter of a megabyte for who made a mistake

    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if near:
        return f"did you mean {' or '.join(repr(str(name)) for name in near)}?"
    return f"known are {', '.join(names)}" if len(names) <= 20 else "docs/detectors.md has them all"
