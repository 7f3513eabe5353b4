"""What people write before a value to say what it is, in many languages, as pieces of pattern.

Words are written as in their language and folded here as the text is (`fold.py`), so accents do not count. Scripts other than
Latin fold to nothing that tells words apart; for them a value must speak for itself.
"""

import re

from freehold.guard.fold import fold

# From a label to its value: something that ends the word, then up to 40 characters without a digit ("of the applicant is: ").
APART = r"[^A-Za-z0-9](?:[^0-9\n]{0,40}?[^A-Za-z0-9])?"
APART_CHARS = 43  # what that is at most
CLOSE = r"[^A-Za-z0-9](?:[^0-9\n]{0,16}?[^A-Za-z0-9])?"  # for values that could be anything


def label(*words: str) -> str:
    """Any of `words` (blanks may be hyphens, underscores or missing), in any case, where a word begins."""
    return rf"(?:^|[^A-Za-z])(?i:{'|'.join(_pattern(word) for word in sorted(words, key=len, reverse=True))})"


def labelled(*words: str, apart: str = APART) -> str:
    """One of `words`, and what may stand between it and the value."""
    return label(*words) + apart


def _pattern(word: str) -> str:
    folded = fold(word)
    if b"\x01" in folded:
        raise ValueError(f"the label {word!r} has characters that folding does not keep")
    return re.escape(folded.decode()).replace(r"\ ", "[ _-]?")
