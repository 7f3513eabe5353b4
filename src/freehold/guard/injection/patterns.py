"""Orders as they read in concepts: patterns over the letters of `concepts.py`, in any of its languages.

In these strings a run of words without a concept is one `.`, and no pattern goes beyond the end of a sentence. How much a pattern
says is learned (`bench/train_injection.py`), for untrusted content and for prompts apart: "act as" is an attack in a web page and
everyday in a prompt. A pattern between quotes is counted apart, too: texts about attacks quote them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from freehold.guard.injection.verdict import INSTRUCTION, JAILBREAK


class Pattern(NamedTuple):
    """`words` say what it is, for people."""

    name: str
    rule: str
    regex: re.Pattern[bytes]
    words: str


def _pattern(name: str, rule: str, letters: str, words: str) -> Pattern:
    return Pattern(name, rule, re.compile(letters.encode()), words)


# fmt: off
PATTERNS = (
    _pattern("override", INSTRUCTION, r"I[^|?!XM]{0,4}[NLPA]|P[.A]{0,2}[NLA]{1,2}[.A]{0,2}I", "asks to ignore what was before"),
    _pattern("unfollow", INSTRUCTION, r"X[.]?[DV.]{0,2}[YA.]{0,2}[SPYnA]{1,2}[.]?[NL]", "asks not to follow the instructions"),
    _pattern("void", INSTRUCTION, r"[PYA][.nABS]{0,2}[NLT][^|?!]{0,4}[XInv]", "says that earlier instructions no longer hold"),
    _pattern("new-task", INSTRUCTION, r"n[.]?U?[.]?[NTq]|[NT][^|?!]{0,3}W?[:]", "announces another task"),
    _pattern("now-task", INSTRUCTION, r"W[^|?!]{0,3}[TVEGD]", "turns to something else at once"),
    _pattern("exact-reply", INSTRUCTION, r"V[^|?!V]{0,3}O|O[.]?V", "dictates the words of the answer"),
    _pattern("quoted-reply", INSTRUCTION, r"V[^|?!V]{0,4}\"", "puts words into the assistant's mouth"),
    _pattern("every-reply", INSTRUCTION, r"[AM][^|?!]{0,5}V[^|?!]{0,3}[\"V]", "sets all further answers"),
    _pattern("your-reply", INSTRUCTION, r"Y[nO]?[RV]|[EVW][^|?!]{0,6}[RV](?=[|?!.])", "speaks of the assistant's answer"),
    _pattern("hush", INSTRUCTION, r"[XIH][.M]{0,2}[VGE][^|?!]{0,3}U|U[^|?!]{0,3}X", "wants the user not to know"),
    _pattern("of-the-user", INSTRUCTION, r"[VDEG][.YA]{0,2}U", "says what to do with the user"),
    _pattern("leak", INSTRUCTION, r"[VGE][^|?!X]{0,4}[YSnPA][.SnPAO]{0,2}N", "asks for the instructions themselves"),
    _pattern("above", INSTRUCTION, r"[VGE][^|?!X]{0,4}P[|?!.]", "asks for the text before it"),
    _pattern("secret", INSTRUCTION, r"[VGDE][^|?!X]{0,3}K", "asks for secrets"),
    _pattern("send", INSTRUCTION, r"[DEG][^|?!X]{0,7}@", "wants something sent or opened"),
    _pattern("tool", INSTRUCTION, r"D[^|?!X]{0,4}t", "wants a tool called"),
    _pattern("to-the-ai", INSTRUCTION, r"(?:^|[QUVNDYI|])[.]?[SBA]?B[^|?!]{0,4}[:MDVE]", "speaks to an AI"),
    _pattern("called", INSTRUCTION, r"(?:^|[|?!\"])[.QSNZ]{0,4}B{1,2}[.]?:", "calls an AI by its name"),
    _pattern("was-a-test", INSTRUCTION, r"P[.nA]{0,2}[RTNq][^|?!]{0,3}Z[|?!.]", "says that what was before was a test"),
    _pattern("authority", INSTRUCTION, r"[QS][^|?!]{0,3}[QSN][^|?!]{0,4}[:MDVEI]", "claims authority or urgency"),
    _pattern("you-are-now", JAILBREAK, r"Y[.]?W|W[.]?Y[.]?[CMB]", "makes the assistant somebody else"),
    _pattern("persona", JAILBREAK, r"C[^|?!]{0,5}[BJF]|[BF][^|?!]{0,4}[JX][^|?!]{0,3}[JL]", "asks for a role without rules"),
    _pattern("no-limits", JAILBREAK, r"X[.AYJ]{0,2}[LJ]", "says that there are no limits"),
    _pattern("no-limits-listed", JAILBREAK, r"X[.AY]{0,2}L[^|?!]{0,4}L|J[^|?!]{0,2}J[^|?!]{0,2}[JL]", "lists the limits gone"),
    _pattern("never-refuse", JAILBREAK, r"X[.]?X|X[^|?!]{0,2}[LQ][^|?!]{0,3}X", "forbids to refuse"),
    _pattern("wild", JAILBREAK, r"[VDTME][^|?!X]{0,4}J", "asks for something harmful"),
)
# fmt: on
# Here an agent is an assistant, and words that patterns do not know are gaps.
_KNOWN = bytes.maketrans(b"bdphrsw", b"B......")
_RUNS = re.compile(rb"\.{2,}")
_QUOTE = re.compile(rb'"[^"|?!]{2,60}[|?!]?"')


class Hit(NamedTuple):
    """`first` up to before `last` are the numbers of the words it is about. `is_quoted`: it stands between quotes."""

    pattern: Pattern
    first: int
    last: int
    is_quoted: bool


class Letters:
    """The concepts of some words with runs of gaps shortened, and how to get back to the words, by their numbers."""

    def __init__(self, letters: bytes, numbers: Sequence[int]) -> None:
        self._letters, self._numbers = letters.translate(_KNOWN), numbers
        self.short = _RUNS.sub(b".", self._letters)
        self._quotes = [found.span() for found in _QUOTE.finditer(self.short)] if self.short.count(b'"') > 1 else []

    def hits(self) -> Iterator[Hit]:
        """The first of each pattern outside of quotes, else the first."""
        for pattern in PATTERNS:
            found = pattern.regex.search(self.short)
            if found is None:
                continue
            if self._is_quoted(found.start()):
                found = next((hit for hit in pattern.regex.finditer(self.short) if not self._is_quoted(hit.start())), found)
            is_quoted = self._is_quoted(found.start())
            yield Hit(pattern, self._number(found.start()), self._number(found.end() - 1) + 1, is_quoted)

    def _is_quoted(self, at: int) -> bool:
        return any(start <= at < end for start, end in self._quotes)

    def _number(self, at: int) -> int:
        """The number of the word whose letter stands at `at` of `short`."""
        longer = 0
        for found in _RUNS.finditer(self._letters):
            if found.start() - longer >= at:
                break
            longer += len(found[0]) - 1
        return self._numbers[at + longer]
