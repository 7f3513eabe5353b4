"""Keeps what users wrote from forging special tokens, whatever the chat template does with it.

A template joins its own markers ("<|im_start|>") and people's words into one string, and the tokenizer turns the text of a marker
into the marker's token. So a mark, one character that occurs nowhere else, is put inside every marker-like text in the people's
words before the template runs, and taken out again after the markers have been found. The template can still trim, compare and
split what it is given; and the words reach the model exactly as they were written, as plain text.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from freehold.core.errors import InvalidRequest
from freehold.engine.vocabulary import Literals

# Supplementary private use area B: assigned to no character, and in no template or vocabulary.
_MARKS = range(0x100000, 0x10FFFE)
# Words that templates look up and compare with. They are the interface's, not a user's, and stand bare in no marker that matters.
_WORDS = frozenset(
    {"system", "user", "assistant", "tool", "function", "role", "content", "name", "id", "tool_calls", "tool_call_id"}
    | {"type", "description", "parameters", "arguments", "properties", "required", "enum", "items", "default", "format", "title"}
    | {"string", "number", "integer", "boolean", "object", "array", "null", "anyOf", "oneOf", "allOf", "additionalProperties"}
)


class Shield:
    """Knows the texts of a model's special tokens; one per model."""

    def __init__(self, specials: Iterable[str]) -> None:
        texts = [_folded(special) for special in specials]
        self._literals = Literals(dict.fromkeys(texts, 0))
        self._texts = texts
        self._heads = frozenset(text[:i] for text in texts for i in range(1, len(text)))
        self._tails = frozenset(text[i:] for text in texts for i in range(1, len(text)))
        self._longest = max(map(len, texts), default=0)

    def over(self, value: Any, mark: str) -> Any:
        """`value` with the mark in every string where it is needed; maps, lists and tuples are copied."""
        return _each_string(value, lambda text: self._broken(text, mark))

    def _broken(self, text: str, mark: str) -> str:
        if not text or text in _WORDS:
            return text
        at = 0
        pieces: list[str] = []
        folded = _folded(text)
        for start in self._literals.starts_in(folded):
            pieces += (text[at : start + 1], mark)
            at = start + 1
        whole = "".join(pieces) + text[at:]
        # The template's text may stand right beside this one: an end that could be half of a marker is marked as well.
        low = folded[: self._longest]
        if any(low[:i] in self._tails for i in range(1, len(low) + 1)):
            whole = mark + whole
        low = folded[-self._longest :]
        if any(low[i:] in self._heads for i in range(len(low))):
            whole += mark
        if len(text) < self._longest and any(folded in special for special in self._texts):
            whole = mark + whole
        return whole


def unused_mark(values: Any) -> str:
    """A character that is in none of the strings of `values`."""
    seen: set[str] = set()

    def look(text: str) -> str:
        seen.update(symbol for symbol in set(text) if symbol >= "\U00100000")
        return text

    _each_string(values, look)
    for code in _MARKS:
        if chr(code) not in seen:
            return chr(code)
    raise InvalidRequest("the messages use every private-use character there is; leave one out")


def _folded(text: str) -> str:
    """Without case, as templates may change it, and each character still in its place."""
    folded = text.casefold()
    if len(folded) == len(text):  # folding a character never shortens it
        return folded
    return "".join(folded if len(folded := symbol.casefold()) == 1 else symbol for symbol in text)


def _each_string(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case Mapping():
            return {change(key) if isinstance(key, str) else key: _each_string(item, change) for key, item in value.items()}
        case list() | tuple():
            return [_each_string(item, change) for item in value]
    return value
