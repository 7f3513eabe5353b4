"""Python's own parser, kept within bounds.

Decided here: what is so deep that CPython's parser might exhaust the process's stack, or take long. A text that it does not take
is None, whatever the reason: `python` decides what is made of it.
"""

import ast
import re
import warnings

LIMIT_NESTING = 90  # brackets in brackets; CPython's own parser stops at 200, and its stack is the process's
LIMIT_OPERATORS = 1_000  # in one line: "a+a+…" and "not not …" are as deep as they are long

_OPERATOR = re.compile(r"[-+*/%@&|^~<>=.\[({]|\b(?:not|and|or|if|else|lambda|await|in|is|elif)\b|[\"']\s*[\"']")
_OPENING = ord("(")
_BRACKETS = bytes(_OPENING if char in b"([{" else ord(")") for char in range(256))  # all kinds as one
_NO_BRACKETS = bytes(char for char in range(256) if char not in b"()[]{}")


def parse(text: str) -> ast.Module | None:
    """None where it is no Python, or so deep that CPython's parser might not come back."""
    if is_too_deep(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a text, `x is 1`: about style, and an error in tests
            return ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError, SystemError):
        return None


def is_too_deep(text: str) -> bool:
    """By counting, with no regard to what is in texts: a program that a person wrote comes nowhere near."""
    depth = 0
    for bracket in text.encode("utf-8", "replace").translate(_BRACKETS, _NO_BRACKETS):
        if bracket == _OPENING:
            depth += 1
            if depth > LIMIT_NESTING:
                return True
        elif depth:
            depth -= 1
    if len(text) < LIMIT_OPERATORS:
        return False
    longest = max(text.split("\n"), key=len)
    return len(longest) > LIMIT_OPERATORS and _operators_in_row(longest) > LIMIT_OPERATORS


def _operators_in_row(line: str) -> int:
    """The most operators between two commas: a list of a thousand sums is wide, and not deep."""
    return max(sum(1 for _ in _OPERATOR.finditer(part)) for part in line.split(","))
