"""What people write before a value to say what it is, in many languages, as pieces of pattern.

Words are written as in their language and folded here as the text is (`fold.py`), so accents do not count. Of other scripts
than Latin, letters fold to one of 23: a word of three or more is told from others.
"""

import re
from collections.abc import Iterable

from freehold.guard.fold import LETTERS, fold

LETTER = r"\x03-\x08\x0e-\x1f"  # of another script, inside a set

# From a label to its value: something that ends the word, then up to 40 characters without a digit ("of the applicant is: ").
APART = r"[^A-Za-z0-9](?:[^0-9\n]{0,40}?[^A-Za-z0-9])?"
APART_CHARS = 43  # what that is at most
CLOSE = r"[^A-Za-z0-9](?:[^0-9\n]{0,16}?[^A-Za-z0-9])??"  # for values that could be anything
CLOSE_CHARS = 19
LEAST_LETTERS = 3
_RUNNING_ON = r"[^A-Za-z0-9\n]{0,16}?"  # a particle and a colon, where words are not parted by blanks


def words(listed: str) -> tuple[str, ...]:
    """`"one, or more words, apart"` as three labels."""
    return tuple(listed.split(", "))


def label(*words: str) -> str:
    """Any of `words` (blanks may be hyphens, underscores or missing), in any case, where a word begins.

    Scripts without capitals write on from word to word, so there it may begin anywhere.
    """
    latin, cased, running = _by_script(words)
    starts = rf"(?:^|[^A-Za-z])(?i:{_any(latin)})", rf"(?:^|[^A-Za-z{LETTER}])(?:{_any(cased)})", f"(?:{_any(running)})"
    return _one_of(start for start, of in zip(starts, (latin, cased, running), strict=True) if of)


def labelled(*words: str, apart: str = APART) -> str:
    """One of `words`, and what may stand between it and the value."""
    latin, cased, running = _by_script(words)
    ends = apart, apart.replace("[^A-Za-z0-9]", f"[^A-Za-z0-9{LETTER}]", 1), _RUNNING_ON
    return _one_of(label(*of) + end for of, end in zip((latin, cased, running), ends, strict=True) if of)


def hint(*words: str) -> str:
    """What is in every match of `labelled(*words)`."""
    latin, cased, running = _by_script(words)
    return _one_of(label(*of) + end for of, end in ((latin + cased, "[^A-Za-z0-9]"), (running, "")) if of)


def _by_script(words: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
    """Words in Latin letters, in those of other scripts with capitals, and in those of scripts without; the longest first."""
    kinds: tuple[list[str], list[str], list[str]] = ([], [], [])
    for word in sorted(words, key=len, reverse=True):
        kinds[0 if fold(word)[0] not in LETTERS else 1 if word[0].lower() != word[0].upper() else 2].append(word)
    return kinds


def _any(words: list[str]) -> str:
    return "|".join(map(_pattern, words))


def _one_of(patterns: Iterable[str]) -> str:
    alternatives = list(patterns)
    return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"


def _pattern(word: str) -> str:
    folded = fold(word)
    if b"\x01" in folded:
        raise ValueError(f"the label {word!r} has characters that folding does not keep")
    if folded[0] in LETTERS and len(folded) < LEAST_LETTERS:
        raise ValueError(
            f"the label {word!r} is no {LEAST_LETTERS} characters long: one of 23 letters each, too many words fold alike"
        )
    return re.escape(folded.decode()).replace(r"\ ", "[ _-]?")
