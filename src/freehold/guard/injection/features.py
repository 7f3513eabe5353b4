"""What the classifier sees of a text: hashed words, word pairs and concept n-grams.

Each word brings a row of buckets: it alone, with the next and with the one after; and the two to five concepts that begin with
it, runs without a concept counted as one. Of content, each two concepts that a sentence has bring a bucket, too, wherever in it
they stand: orders of words differ by language; whom the sentence before speaks of counts among them; and so does how the sentence
begins. A *window* is what gets a score: a sentence of untrusted content; of a prompt, some
sixty words. All of a text goes through numpy at once. The hashes are CRC-32 and multiplications of our own: the same on every
machine and in every version, as the weights need it.
"""

import re
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from freehold.guard.injection.concepts import ENDS, GAP, LEXICON, Words

BUCKET_BITS = 17
BUCKETS = 1 << BUCKET_BITS
NONE = BUCKETS  # the bucket of no feature: its weight is 0
WORD_ROWS, CONCEPT_ROWS = 3, 4
PROMPT_WORDS = 64  # of a prompt's window; a jailbreak of three sentences has about as many
SENTENCE_WORDS = 48  # a longer sentence is cut: an instruction without a full stop in a line of data is still one

_SHIFT = np.uint32(32 - BUCKET_BITS)
_A, _B, _C = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_GRAMS = np.array([[0x27D4EB2F], [0x165667B1], [0xD3A2646D], [0xFD7046C5]], np.uint32)  # by a gram's length
_PLACES = np.array([[0x9E3779B1], [0x7FEB352D], [0x846CA68B], [0x45D9F3B3], [0x119DE1F3]], np.uint32)  # by a letter's place in it
_GAP = GAP[0]
_END_OF = np.zeros(256, bool)
_END_OF[list(ENDS)] = True
_IS_WORD = np.ones(256, np.uint8)
_IS_WORD[list(b'"#@:' + ENDS)] = 0

# The concepts and marks that make pairs, and the bucket of each two.
_PAIRED = sorted({*b"".join(LEXICON.letters), *b'"#@:?!'})
_BEFORE = tuple(b"Bbp")  # an assistant, what may be one, people: in the sentence before
CONCEPTS = len(_PAIRED) + len(_BEFORE)
_COLUMNS = np.full(256, CONCEPTS, np.intp)  # the last for those that make none
_COLUMNS[_PAIRED] = np.arange(len(_PAIRED))
_ROW = np.array([[*_PAIRED, *(letter + 256 for letter in _BEFORE)]], np.uint32)
_HASHED = ((np.minimum(_ROW, _ROW.T) * _A + np.maximum(_ROW, _ROW.T) * _B) * _C).astype(np.uint32)
PAIRS: npt.NDArray[np.uint32] = np.where(_ROW == _ROW.T, np.uint32(NONE), _HASHED >> _SHIFT)

_FIRST = np.zeros(1, np.intp)
_EXTRA_OF_PROMPT = (np.arange(1, PROMPT_WORDS // 8 + 2, dtype=np.uint32) * _B >> _SHIFT)[None, :]

_TABLE_ROW = re.compile(r"\|[^\n|]*\|")
_KINDS = {"prose": 0, "table": 1, "data": 2, "code": 3, "markup": 4}

Indices = npt.NDArray[np.intp]
Buckets = npt.NDArray[np.uint32]


class Hashed(NamedTuple):
    """`buckets` has a row a feature and a column a word; window i is the words `starts[i]` up to before `ends[i]`.

    `extra` has what a window looks like as a whole and, of content, how it begins; `is_said` is false of those with less
    than two words.
    `present` are the concepts that a window has: 1 for those, else 0; None of prompts.
    """

    buckets: Buckets  # (7, words), in [0, BUCKETS]
    starts: Indices
    ends: Indices
    extra: Buckets  # (1 or 3, windows)
    is_said: npt.NDArray[np.bool_]
    present: npt.NDArray[np.float32] | None = None  # (windows, CONCEPTS)


def of_content(words: Words, text: str) -> Hashed:
    """Of at least one word. Each sentence, line or cell is a window."""
    letters = np.frombuffer(words.letters, np.uint8)
    starts = np.flatnonzero(_END_OF[letters[:-1]]) + 1
    starts = np.concatenate([np.zeros(1, np.intp), starts])
    ends = np.append(starts[1:], len(letters))
    if (ends - starts).max() > SENTENCE_WORDS:
        starts = np.union1d(starts, _cuts(starts, ends))
        ends = np.append(starts[1:], len(letters))
    sizes = np.minimum(ends - starts, 31) // 4
    last = letters[ends - 1].astype(np.intp)
    extra = np.empty((3, len(starts)), np.uint32)
    extra[0] = ((sizes * 256 + last) * 8 + _KINDS[kind(text)] + 1).astype(np.uint32) * _A
    second, third = np.minimum(starts + 1, ends - 1), np.minimum(starts + 2, ends - 1)
    opening = letters.astype(np.uint32)
    extra[1] = (opening[starts] * _A + opening[second] * _B + opening[third] * _C) * _A
    ids = _ids(words.words)
    extra[2] = ids[starts] * _C
    extra >>= _SHIFT
    is_said = np.add.reduceat(_IS_WORD[letters], starts, dtype=np.intp) > 1
    return Hashed(_buckets(ids, letters), starts, ends, extra, is_said, _present(letters, starts, ends, is_said))


def of_prompt(words: Words) -> Hashed:
    """Of at least one word. Windows overlap by half, so that no cut hides anything."""
    letters = np.frombuffer(words.letters, np.uint8)
    count = len(letters)
    if count <= PROMPT_WORDS:  # as most are: one window, without the cost of many
        ends = np.array((count,))
        return Hashed(_buckets(_ids(words.words), letters), _FIRST, ends, _EXTRA_OF_PROMPT[:, ends // 8], _FIRST == 0)
    starts = np.arange(0, max(1, count - PROMPT_WORDS // 2), PROMPT_WORDS // 2)
    ends = np.minimum(starts + PROMPT_WORDS, count)
    return Hashed(_buckets(_ids(words.words), letters), starts, ends, _EXTRA_OF_PROMPT[:, (ends - starts) // 8], starts >= 0)


def kind(text: str) -> str:
    """What kind of text it is on the whole: a stranger is told by its surroundings."""
    head = text[:4000]
    if head.count("|") > 8 and len(_TABLE_ROW.findall(head)) > 3:
        return "table"
    if head.lstrip()[:1] in ("{", "["):
        return "data"
    if head.count(";\n") + head.count("{\n") + head.count(":\n    ") > 4:
        return "code"
    return "markup" if head.count("</") > 3 else "prose"


def _present(
    letters: npt.NDArray[np.uint8], starts: Indices, ends: Indices, is_said: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """A blank line between two sentences counts as none."""
    own = CONCEPTS - len(_BEFORE)
    present = np.zeros((len(starts), CONCEPTS + 1), np.float32)
    present[np.repeat(np.arange(len(starts)), ends - starts), _COLUMNS[letters]] = 1
    named, before = present[:, _COLUMNS[list(_BEFORE)]], present[:, own:CONCEPTS]
    before[1:] = named[:-1]
    before[2:] = np.maximum(before[2:], named[:-2] * ~is_said[1:-1, None])
    return present[:, :CONCEPTS]


def _cuts(starts: Indices, ends: Indices) -> Indices:
    return np.concatenate([np.arange(start, end, SENTENCE_WORDS) for start, end in zip(starts, ends, strict=True)])


def _ids(words: list[bytes]) -> npt.NDArray[np.uint32]:
    return np.fromiter(map(crc32, words), np.uint32, len(words))


def _buckets(ids: npt.NDArray[np.uint32], letters: npt.NDArray[np.uint8]) -> Buckets:
    count = len(ids)
    out = np.full((WORD_ROWS + CONCEPT_ROWS, count), NONE, np.uint32)
    a, b = ids * _A, ids * _B
    np.right_shift(a, _SHIFT, out=out[0])
    np.right_shift(b[:-1] ^ a[1:], _SHIFT, out=out[1, :-1])
    np.right_shift((ids[:-2] * _C) ^ b[2:], _SHIFT, out=out[2, :-2])
    is_gap = letters == _GAP
    is_gap[1:] &= is_gap[:-1]  # all but the first of a run
    is_gap[0] = False
    kept = np.flatnonzero(~is_gap)
    padded = np.zeros(len(kept) + CONCEPT_ROWS, np.uint32)  # no letter is 0
    padded[: len(kept)] = letters[kept]
    grams = np.ndarray((CONCEPT_ROWS + 1, len(kept)), np.uint32, padded, 0, (4, 4)) * _PLACES
    np.add.accumulate(grams, axis=0, out=grams)
    out[WORD_ROWS:, kept] = grams[1:] * _GRAMS >> _SHIFT
    return out
