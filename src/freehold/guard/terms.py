"""Finds fixed strings in a text that is still coming: of how many there are, the time to find them does not depend.

A text is looked at from left to right; where several terms begin, the longest is meant. A tail that could still become a term is
told to be held, and nothing else is. So where the text was cut never changes what is found.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

HEAD_CHARS = 3  # looked up before anything is compared: few places of a text begin like a term
_NOTHING = re.compile(r"(?!)")


class TermIndex:
    """`whole_words`: what goes on as a word before or after a term makes it none."""

    __slots__ = (
        "_first_chars",
        "_first_words",
        "_head_chars",
        "_heads",
        "_longest",
        "_ordered",
        "_starts",
        "_terms",
        "_whole_words",
    )

    def __init__(self, terms: Iterable[str] = (), *, whole_words: bool = False) -> None:
        self._whole_words = whole_words
        self._terms: set[str] = set()
        self._heads: dict[str, list[int]] = {}  # a term's first characters -> how long the terms are, longest first
        self._ordered = sorted(set(terms))  # for the question what begins like this
        self._head_chars = min([HEAD_CHARS, *map(len, self._ordered)])
        self._first_chars: set[str] = set()
        self._first_words = _first_words(self._ordered) if whole_words else None
        self._longest = 0
        self._starts = _NOTHING
        for term in self._ordered:
            self._note(term)
        self._starts = self._start_pattern()

    def __len__(self) -> int:
        return len(self._terms)

    def __contains__(self, text: str) -> bool:
        return text in self._terms

    def add(self, term: str) -> None:
        """One that is not shorter than the shortest so far, or than a head."""
        if term not in self._terms:
            insort(self._ordered, term)
            if self._note(term):
                self._starts = self._start_pattern()

    def discard(self, term: str) -> None:
        """Its head stays: that costs a look-up, and is never wrong."""
        if term in self._terms:
            self._terms.remove(term)
            del self._ordered[bisect_left(self._ordered, term)]

    def may_be_in(self, text: str) -> bool:
        """False for almost all of what people write, and quickly so."""
        if self._first_words is None or not text.isascii() or _is_word(text[-1:]):
            return self.next_start(text, 0) is not None
        return not self._first_words.isdisjoint(text.encode().translate(_WORDS_ALONE).split())

    def next_start(self, text: str, at: int) -> int | None:
        """The first position from `at` on where a term may begin. What is before `at` is looked at, too."""
        heads, size = self._heads, self._head_chars
        for found in self._starts.finditer(text, at):
            start = found.start()
            if text[start : start + size] in heads or len(text) - start < size:
                return start
        return None

    def may_go_on(self, text: str, at: int) -> bool:
        """Whether `text[at:]` is the beginning of a term, or a term whose end can't be judged yet."""
        if len(text) - at > self._longest:
            return False
        tail = text[at:]
        place = bisect_left(self._ordered, tail)
        if not self._whole_words and place < len(self._ordered) and self._ordered[place] == tail:
            place += 1
        return place < len(self._ordered) and self._ordered[place].startswith(tail)

    def match(self, text: str, at: int) -> int | None:
        """The end of the longest term at `at`."""
        for length in self._heads.get(text[at : at + self._head_chars], ()):
            end = at + length
            if end <= len(text) and text[at:end] in self._terms and not (self._whole_words and _goes_on(text, end)):
                return end
        return None

    def _note(self, term: str) -> bool:
        """Whether it begins with a character that no term began with."""
        self._terms.add(term)
        self._longest = max(self._longest, len(term))
        lengths = self._heads.setdefault(term[: self._head_chars], [])
        if len(term) not in lengths:
            lengths.append(len(term))
            lengths.sort(reverse=True)
        is_new = term[0] not in self._first_chars
        self._first_chars.add(term[0])
        return is_new

    def _start_pattern(self) -> re.Pattern[str]:
        if not self._first_chars:
            return _NOTHING
        chars = "".join(sorted(self._first_chars))
        if not self._whole_words:
            return re.compile(f"[{re.escape(chars)}]")
        return re.compile(rf"(?:(?<!\w)(?=\w)|(?=\W))[{re.escape(chars)}]")


# A byte of a word stays, any other is a blank.
_WORDS_ALONE = bytes(byte if chr(byte).isalnum() or byte == 0x5F else 0x20 for byte in range(128)) + b" " * 128


def _first_words(terms: Sequence[str]) -> frozenset[bytes] | None:
    """The words that terms begin with, where all begin with one; those beyond ASCII are in no text of ASCII."""
    if not all(term[:1].isalnum() or term[:1] == "_" for term in terms):
        return None
    return frozenset(term.encode().translate(_WORDS_ALONE).split()[0] for term in terms if term[0].isascii())


def _goes_on(text: str, end: int) -> bool:
    """Whether the word that ends at `end` is one that goes on."""
    return end < len(text) and _is_word(text[end - 1]) and _is_word(text[end])


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
