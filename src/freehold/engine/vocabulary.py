"""What every tokenizer has, whatever its algorithm: the tokens of a file, their kinds, and which of them text may become.

Decided here: that text never becomes a special token by itself. `encode` takes all text as plain; only `encode_marked` turns the
text of a special token into the token, and what users wrote reaches it shielded (see `shield.py`). User-defined tokens are
special too, but for white space and HTML tags: those are words that a vocabulary has whole, and no chat format is made of them.

No Unicode normalisation is done, as llama.cpp does none: the model sees the bytes the user sent.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from freehold.core.errors import InvalidRequest, MalformedArtefact

# ggml's token types
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

# Control tokens that end a turn whatever the metadata says: many files name only one of theirs.
_TURN_ENDS: Final = frozenset(
    {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>"}
)
_SPACES: Final = frozenset(" \t\n\v\f\r")  # C's isspace
_HTML: Final = frozenset(
    f"<{slash}{name}>"
    for slash in ("", "/")
    for name in (
        *("a", "b", "bbox", "blockquote", "body", "caption", "code", "div", "em", "footer", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("html", "i", "iframe", "img", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "sup", "table", "tbody", "td"),
        *("tfoot", "th", "thead", "tr", "u", "ul"),
    )
) - {"</s>"}  # the end of an answer in many files, whatever their kind says


class Fields:
    """`tokenizer.ggml.*` of a file nobody has vouched for: present and of the right kind, or an error by name."""

    def __init__(self, metadata: Mapping[str, Any], name: str) -> None:
        self._metadata = metadata
        self.name = name

    def malformed(self, key: str, what: str) -> MalformedArtefact:
        return MalformedArtefact(f"{self.name}: tokenizer.ggml.{key} {what}")

    def get(self, key: str) -> Any:
        return self._metadata.get(f"tokenizer.ggml.{key}")

    def texts(self, key: str) -> list[str]:
        value = self.get(key)
        if value is None or (isinstance(value, list) and not value):
            raise self.malformed(key, "is missing or empty")
        if not isinstance(value, list):
            raise self.malformed(key, "is not a list of strings")
        return value

    def kinds(self, count: int) -> list[int]:
        value = self.get("token_type")
        if value is None:
            return [NORMAL] * count
        return [int(kind) for kind in self.numbers("token_type", count)]

    def numbers(self, key: str, count: int) -> list[Any]:
        value = self.get(key)
        if not hasattr(value, "tolist") or len(value) != count:
            raise self.malformed(key, f"does not have one number for each of the {count} tokens")
        numbers: list[Any] = value.tolist()
        return numbers

    def token_id(self, key: str, count: int) -> int | None:
        value = self.get(key)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value < count:
            raise self.malformed(key, f"is not one of the {count} token numbers")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.malformed(key, "is not a boolean")
        return value


class Tokenizer(ABC):
    """Immutable; safe to share between threads."""

    leading_space = False  # text begins with a space of its own, which answers have and readers do not want
    swallowing: frozenset[int] = frozenset()  # special tokens that take the white space behind them

    def __init__(self, fields: Fields, *, adds_bos: bool) -> None:
        """`adds_bos`: where the file has no `add_bos_token`."""
        self._tokens: Sequence[str] = fields.texts("tokens")
        count = len(self._tokens)
        kinds = fields.kinds(count)
        self.bos_id = fields.token_id("bos_token_id", count)
        self.eos_id = fields.token_id("eos_token_id", count)
        self._control = frozenset(i for i, kind in enumerate(kinds) if kind in (CONTROL, UNKNOWN))
        self._literal = frozenset(i for i, kind in enumerate(kinds) if kind in (CONTROL, USER_DEFINED, UNKNOWN))
        ends = (self.eos_id, *(fields.token_id(key, count) for key in ("eot_token_id", "eom_token_id")))
        by_text = (i for i in self._control if self._tokens[i] in _TURN_ENDS)
        self.end_ids = frozenset(i for i in (*ends, *by_text) if i is not None)
        named = self.end_ids | {self.bos_id}
        self._words: Mapping[str, int] = {
            text: i for i in sorted(self._literal - self._control - named) if (text := self._tokens[i]).isspace() or text in _HTML
        }
        # One character cannot be shielded by putting a mark inside it: such a token is never made from text.
        self.specials: Mapping[str, int] = {
            text: i for i in sorted(self._literal) if len(text := self._tokens[i]) > 1 and text not in self._words
        }
        self._special, self._word = Literals(self.specials), Literals(self._words)
        self._bytes: dict[int, bytes] = {}
        self.add_bos = self.bos_id is not None and fields.flag("add_bos_token", adds_bos)

    @property
    def vocabulary(self) -> int:
        return len(self._tokens)

    @property
    def texts(self) -> Sequence[str]:
        """Every token as the file has it."""
        return self._tokens

    def text_of(self, token: int | None) -> str:
        """What a template writes for a special token."""
        return "" if token is None else self._tokens[token]

    @abstractmethod
    def _merged(self, text: str) -> list[int]:
        """Text without user-defined words in it, and not empty, as tokens."""

    @abstractmethod
    def _spelled(self, token: int) -> bytes:
        """The bytes of a token that is neither special nor user-defined."""

    def encode(self, text: str) -> list[int]:
        """All of `text` as plain text, without BOS. Raises InvalidRequest for lone surrogates."""
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise InvalidRequest("the text has half of a surrogate pair, which is no character: send valid Unicode") from exc
        ids: list[int] = []
        at = 0
        for start, end, token in self._word.found_in(text):
            ids += self._merged(text[at:start]) if start > at else ()
            ids.append(token)
            at = end
        return ids + self._merged(text[at:]) if at < len(text) else ids

    def encode_marked(self, text: str, mark: str = "") -> list[int]:
        """`text` with the texts of special tokens as those tokens. `mark`, taken out afterwards, breaks them up."""
        ids: list[int] = []
        at = 0
        for start, end, token in self._special.found_in(text):
            ids += self._plain(text[at:start], mark)
            ids.append(token)
            at = end
            while token in self.swallowing and text[at : at + 1] in _SPACES:
                at += 1
        return ids + self._plain(text[at:], mark)

    def with_bos(self, ids: list[int]) -> list[int]:
        """BOS in front where the model wants one. A template that wrote it itself gets no second one."""
        if not self.add_bos or self.bos_id is None or ids[:1] == [self.bos_id]:
            return ids
        return [self.bos_id, *ids]

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for in an answer; a control token stands for none."""
        found = self._bytes.get(token)
        if found is None:
            found = self._bytes[token] = self._decode(token)
        return found

    def _plain(self, text: str, mark: str) -> list[int]:
        text = text.replace(mark, "") if mark else text
        return self.encode(text) if text else []

    def _decode(self, token: int) -> bytes:
        if token in self._control or token >= len(self._tokens):
            return b""
        if token in self._literal:
            return self._tokens[token].encode()
        return self._spelled(token)


class Literals:
    """Finds given texts in others, in time that does not grow with how many there are.

    A regular expression of thousands of alternatives tries each of them at every "<" of a text.
    """

    def __init__(self, texts: Mapping[str, int]) -> None:
        self._ids = {text: i for text, i in texts.items() if text}
        lengths: dict[str, set[int]] = {}
        for text in self._ids:
            lengths.setdefault(text[0], set()).add(len(text))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def found_in(self, text: str) -> Iterator[tuple[int, int, int]]:
        """(start, end, token) of each from left to right, the longest first, none over another."""
        done = 0
        for at in _places(text, self._lengths):
            if at >= done and (end := self._end_at(text, at)):
                done = end
                yield at, end, self._ids[text[at:end]]

    def starts_in(self, text: str) -> Iterator[int]:
        """Where one begins, also inside another."""
        return (at for at in _places(text, self._lengths) if self._end_at(text, at))

    def _end_at(self, text: str, at: int) -> int:
        """Where the longest that begins at `at` ends, or 0."""
        return next((at + length for length in self._lengths[text[at]] if text[at : at + length] in self._ids), 0)


def _places(text: str, firsts: Iterable[str]) -> list[int]:
    """Where one of the characters stands, in order. `str.find` is a hundred times as fast as looking at each in Python."""
    places: list[int] = []
    for first in set(text).intersection(firsts):
        at = text.find(first)
        while at >= 0:
            places.append(at)
            at = text.find(first, at + 1)
    return sorted(places)
