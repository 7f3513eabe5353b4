"""Text to tokens by a SentencePiece vocabulary as GGUF files have it (`tokenizer.ggml.model` = "llama"): pieces with scores.

The pair of neighbours whose union is the piece of the highest score is merged first, the leftmost of equals; what is no piece in
the end becomes byte tokens. A space is U+2581, and text begins with one of its own where the file says so.

Decided here: how that is done in time near linear in the text, whatever is in it. Text is cut where no piece of the vocabulary
has the two characters beside each other: no merge can cross such a place. Each stretch is merged with a heap; short ones are kept
for next time.
"""

import heapq
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import MalformedArtefact
from freehold.engine.vocabulary import BYTE, NORMAL, UNUSED, Fields, Tokenizer

SPACE: Final = "\u2581"
MAX_PIECE_CHARS: Final = 1024  # the longest in use has 128

_KEPT_CHARS, _KEPT_STRETCHES = 32, 1 << 16
_BYTE_TEXT: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# Phi 3's own setting of its markers ("rstrip" in its tokenizer.json), which a GGUF does not carry; llama.cpp goes by its name.
_NOT_SWALLOWING: Final = frozenset({"<unk>", "<s>", "<|endoftext|>"})
_BOS, _EOS = 1, 2  # where the file names none, as SentencePiece numbers them


class SentencePieceTokenizer(Tokenizer):
    def __init__(self, metadata: Mapping[str, Any], name: str) -> None:
        named = {"tokenizer.ggml.bos_token_id": _BOS, "tokenizer.ggml.eos_token_id": _EOS} | dict(metadata)
        fields = Fields(named, name)
        super().__init__(fields, adds_bos=True)
        count = len(self._tokens)
        self.leading_space = fields.flag("add_space_prefix", default=True)
        kinds = fields.kinds(count)
        self._scores: list[float] = [-score for score in fields.numbers("scores", count)]  # lowest first, as heaps have it
        if not all(map(math.isfinite, self._scores)):
            raise fields.malformed("scores", "has one that is no number")
        # Special tokens and bytes are no pieces: text that looks like one stays text.
        self._ids = {token: i for i, token in enumerate(self._tokens) if kinds[i] in (NORMAL, UNUSED)}
        self._longest = max(map(len, self._ids), default=0)
        if self._longest > MAX_PIECE_CHARS:
            raise fields.malformed("tokens", f"has one of {self._longest} characters; the limit is {MAX_PIECE_CHARS}")
        if metadata.get("general.architecture") == "phi3":
            self.swallowing = frozenset(i for text, i in self.specials.items() if text not in _NOT_SWALLOWING)
        self._byte_values, self._byte_ids = _byte_tokens(fields, self._tokens, kinds)
        self._neighbours = _neighbours(self._ids)
        self._kept: dict[str, list[int]] = {}

    def _merged(self, text: str) -> list[int]:
        text = (SPACE if self.leading_space else "") + text.replace(" ", SPACE)
        codes = _codes(text)
        cuts = np.flatnonzero(~_among(_pairs(codes), self._neighbours)) + 1
        ids: list[int] = []
        at = 0
        for cut in [*cuts.tolist(), len(text)]:
            ids += self._stretch(text[at:cut])
            at = cut
        return ids

    def _spelled(self, token: int) -> bytes:
        value = self._byte_values.get(token)
        return bytes([value]) if value is not None else self._tokens[token].replace(SPACE, " ").encode()

    def _stretch(self, text: str) -> list[int]:
        if len(text) > _KEPT_CHARS:
            return self._merge(text)
        found = self._kept.get(text)
        if found is None:
            if len(self._kept) >= _KEPT_STRETCHES:
                self._kept.clear()
            found = self._kept[text] = self._merge(text)
        return found

    def _merge(self, text: str) -> list[int]:
        count, ids, scores, longest = len(text), self._ids, self._scores, self._longest
        # A symbol is known by where it starts. ends[start] is where the next one starts, 0 once it is part of another.
        ends = list(range(1, count + 1))
        before = list(range(-1, count - 1))
        heap: list[tuple[float, int, int]] = []  # (score, start, end) of unions that are pieces

        def offer(start: int, end: int) -> None:
            if end - start <= longest and (token := ids.get(text[start:end])) is not None:
                heapq.heappush(heap, (scores[token], start, end))

        for start in range(count - 1):
            offer(start, start + 2)
        while heap:
            _, start, end = heapq.heappop(heap)
            middle = ends[start]
            if not middle or middle == count or ends[middle] != end:  # one of the two has been merged since
                continue
            ends[start], ends[middle] = end, 0
            if end < count:
                before[end] = start
                offer(start, ends[end])
            if start:
                offer(before[start], end)
        return self._tokens_of(text, ends)

    def _tokens_of(self, text: str, ends: list[int]) -> list[int]:
        found: list[int] = []
        start = 0
        while start < len(text):
            token = self._ids.get(text[start : ends[start]])
            if token is not None:
                found.append(token)
            else:
                found += [self._byte_ids[byte] for byte in text[start : ends[start]].encode()]
            start = ends[start]
        return found


def _byte_tokens(fields: Fields, tokens: Any, kinds: list[int]) -> tuple[dict[int, int], list[int]]:
    """Byte of each byte token, and token of each byte: the unknown one for bytes that the vocabulary lacks."""
    values = {i: int(match[1], 16) for i, kind in enumerate(kinds) if kind == BYTE and (match := _BYTE_TEXT.fullmatch(tokens[i]))}
    by_byte = {value: i for i, value in values.items()}
    unknown = fields.token_id("unknown_token_id", len(tokens))
    if len(by_byte) < 256 and unknown is None:
        raise MalformedArtefact(
            f"{fields.name}: tokenizer.ggml.tokens has {len(by_byte)} of 256 byte tokens and no unknown token for the others"
        )
    return values, [by_byte.get(byte, unknown or 0) for byte in range(256)]


def _codes(text: str) -> npt.NDArray[np.uint64]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.uint64)


def _pairs(codes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Each character with its next, as one number."""
    return np.asarray(codes[:-1] << np.uint64(32) | codes[1:])


def _neighbours(pieces: Mapping[str, int]) -> npt.NDArray[np.uint64]:
    """All pairs of neighbouring characters inside pieces, sorted."""
    if not pieces:
        return np.empty(0, np.uint64)
    codes = _codes("".join(pieces))
    inside = np.ones(len(codes), np.bool_)
    inside[np.cumsum([len(piece) for piece in pieces if piece]) - 1] = False
    return np.unique(_pairs(codes)[inside[:-1]])


def _among(values: npt.NDArray[np.uint64], known: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(values), np.bool_)
    return np.asarray(known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values)
