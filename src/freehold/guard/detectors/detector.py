"""What a detector is, and the pieces of pattern language they share.

A pattern is written for RE2 and Hyperscan alike, over *folded* bytes (`fold.py`: one ASCII byte a character). `pattern` is the
value and nothing else; what must stand before it is `before`, and only looked at. A value must lie in one unit (`boundary.py`),
so that it can be held back; what stands before it may have been sent already. Both are written with non-capturing groups.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

from freehold.core.errors import ConfigError

CREDENTIAL = "credential"
PERSONAL_DATA = "personal_data"

SPACE = r"[\t-\r ]"
NOT_ALNUM = r"(?:^|[^A-Za-z0-9])"
NOT_ALNUM_AFTER = r"(?:[^A-Za-z0-9]|$)"
NOT_DIGIT = r"(?:^|[^A-Za-z0-9.,_+-])"  # before a number that stands alone

# name, quotes and brackets, an assignment, an opening quote: `key = "`, `"key": "`, `key="`, `--key `, `:key => '`, `\"key\": \"`
ASSIGN = (
    rf"{SPACE}?[\"'`\])]{{0,2}}(?: [Ss]tring)?{SPACE}{{0,16}}(?:[:?.+|!]{{0,3}}={{1,3}}>?|:|,|>){SPACE}{{0,16}}"
    r"(?:[A-Za-z@]{0,2}[\"'`]{1,2}|[\[(]{1,2}[\"'`])?"
)


def always(_: bytes) -> bool:
    return True


def compiled(pattern: str) -> Any:
    """By RE2, which takes 1 us where `re` takes ten, and linear time whatever the text."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.encode(), options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One rule's shape. `confidence` in (0, 1]; of two findings on the same characters the surer one names them.

    `validator` sees the value, and `context` what `before` matched, from the beginning of its first word: both decide after the
    match. With `retry`, a refused value is
    looked for again one character on: digit groups need it. With `block`, the value begins a block whose body is masked as it
    streams by (PEM). `head` matches the beginning of every value, in place of the trigger made from `pattern`, where that would
    be too large an automaton; `hint` stands for the whole trigger, where `before` is too large: it matches a part of every
    `before`, and ends at most `hint_reach_chars` characters before the value begins.
    """

    id: str
    pattern: str
    before: str = ""
    left: str = NOT_ALNUM
    after: str = NOT_ALNUM_AFTER
    category: str = CREDENTIAL
    confidence: float = 0.9
    context: Callable[[bytes], bool] = always
    validator: Callable[[bytes], bool] = always
    retry: bool = False
    block: bool = False
    head: str = ""
    hint: str = ""
    hint_reach_chars: int = 0
    must_match: tuple[str, ...]
    must_not_match: tuple[str, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.id):
            raise ConfigError(f"detector id {self.id!r} is not lower-case words joined by hyphens")
        if not 0 < self.confidence <= 1:
            raise ConfigError(f"detector {self.id}: confidence {self.confidence} is not in (0, 1]")
        if not self.must_match:
            raise ConfigError(f"detector {self.id} has no example that must match: add one to must_match")

    @property
    def exact(self) -> bytes:
        """The whole pattern; group 1 is the value."""
        return f"{self.left}{self.before}({self.pattern}){self.after}".encode()

    @property
    def trigger(self) -> bytes:
        """In every match, so that a text without it has none. Its open end is cut to the least that is needed."""
        if self.hint:
            return self.hint.encode()
        least = self.head or re.sub(r"\{([1-9]\d*),\d*\}(\)*)$", r"{\1}\2", self.pattern)
        return f"{self.left}{self.before}(?:{least})".encode()
