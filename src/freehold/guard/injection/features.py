"""What the classifier sees of a text: hashed words, word pairs and concept n-grams.

Each word brings a row of buckets: it alone, with the next and with the one after; and the two to five concepts that begin with
it, runs without a concept counted as one. Of content, each two concepts that a sentence has bring a bucket, too, wherever in it
they stand: orders of words differ by language; whom the sentence before speaks of counts among them; and so does how the sentence
begins. A *window* is what gets a score: a sentence of untrusted content; of a prompt, some
sixty words. The hashes are CRC-32 and multiplications of our own, modulo 2**32: the same on every machine and in every version,
as the weights need it. The words of a text are multiplied all at once, as the digits of one large number (`_number`): numpy would
do it in half the time and take a tenth of a node's memory.
"""

import re
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, combinations, compress, pairwise
from operator import sub
from typing import NamedTuple
from zlib import crc32

from freehold.guard.injection.concepts import ENDS, GAP, LEXICON, Words

BUCKET_BITS = 17
BUCKETS = 1 << BUCKET_BITS
NONE = BUCKETS  # the bucket of no feature: its weight is 0
A_WORD, A_GRAM = 3, 4  # so many buckets
_ALIKE = 4  # times as many windows as differ, and each is hashed once
PROMPT_WORDS = 64  # of a prompt's window; a jailbreak of three sentences has about as many
SENTENCE_WORDS = 48  # a longer sentence is cut: an instruction without a full stop in a line of data is still one

_SHIFT = 32 - BUCKET_BITS
_LAST = BUCKETS - 1
_A, _B, _C = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35
_GRAMS = (0x27D4EB2F, 0x165667B1, 0xD3A2646D, 0xFD7046C5)  # by a gram's length
_PLACES = (0x9E3779B1, 0x7FEB352D, 0x846CA68B, 0x45D9F3B3, 0x119DE1F3)  # by a letter's place in it
_DIGIT_BITS = 64
_DIGIT_BYTES = 8  # twice a hash's: so a product of two spills into no other digit

_IS_END = bytes(letter in ENDS for letter in range(256))
_IS_WORD = bytes(letter not in b'"#@:' + ENDS for letter in range(256))
_IS_GAP = bytes(letter in GAP for letter in range(256))
_GAPS = re.compile(re.escape(GAP) + b"{2,}")

# The concepts and marks that make pairs, by their letters. An assistant, what may be one, and people count in the sentence before
# it, too, by another number.
_PAIRED = frozenset(b"".join(LEXICON.letters) + b'"#@:?!')
_NAMED = frozenset(b"Bbp")
_BEFORE = {
    frozenset(named): frozenset(letter + 256 for letter in named)
    for count in range(len(_NAMED) + 1)
    for named in combinations(_NAMED, count)
}
_NOBODY = frozenset[int]()

_TABLE_ROW = re.compile(r"\|[^\n|]*\|")
_KINDS = {"prose": 0, "table": 1, "data": 2, "code": 3, "markup": 4}

Span = tuple[int, int]
Buckets = Sequence[int]
Looks = tuple[int, int, int]


def _bucket(hashed: int) -> int:
    return (hashed >> _SHIFT) & _LAST


PAIRS = {
    (first, second): _bucket((first * _A + second * _B) * _C)
    for first, second in combinations(sorted(_PAIRED | _BEFORE[_NAMED]), 2)
}
_LOOKS_OF_PROMPT = [(_bucket(eighths * _B), NONE, NONE) for eighths in range(1, PROMPT_WORDS // 8 + 2)]


class Hashed(NamedTuple):
    """Buckets, in [0, BUCKETS], and of each window which of them are its own.

    `of_words` has `A_WORD` a word, and `windows` say from which word up to before which. `of_grams` has `A_GRAM` a word that is
    no gap after a gap, and `grams` say the same of those words; what reads the same may stand there once. `looks` are what a
    window looks like as a whole and, of content, how it begins; `is_said` is false of those with less than two words. `present`
    are the concepts that a window has; none of prompts.
    """

    of_words: Buckets
    of_grams: Buckets
    windows: Sequence[Span]
    grams: Sequence[Span]
    looks: Sequence[Looks]
    is_said: Sequence[bool]
    present: Sequence[frozenset[int]]


def of_content(words: Words, text: str) -> Hashed:
    """Of at least one word. Each sentence, line or cell is a window."""
    letters = words.letters
    count = len(letters)
    edges = [0, *compress(range(1, count), letters.translate(_IS_END)), count]
    if max(map(sub, edges[1:], edges)) > SENTENCE_WORDS:
        edges = [*(at for start, end in pairwise(edges) for at in range(start, end, SENTENCE_WORDS)), count]
    windows = list(pairwise(edges))
    ids = list(map(crc32, words.words))
    spelt = [letters[start:end] for start, end in windows]
    distinct = set(spelt)
    of_kind = _KINDS[kind(text)]
    shapes = {one: _looks(one, of_kind) for one in distinct}
    looks = [(*shapes[one], ids[start] * _C >> _SHIFT & _LAST) for one, (start, _) in zip(spelt, windows, strict=True)]
    is_said = [one.translate(_IS_WORD).count(1) > 1 for one in spelt]
    short, grams = _GAPS.sub(GAP, letters), list(pairwise(_places_of_grams(letters, edges)))
    if _ALIKE * len(distinct) < len(windows):
        short, grams = _once(short, grams)
    return Hashed(_of_words(ids), _of_grams(short), windows, grams, looks, is_said, list(_present(spelt, is_said)))


def of_prompt(words: Words) -> Hashed:
    """Of at least one word. Windows overlap by half, so that no cut hides anything."""
    letters = words.letters
    count = len(letters)
    edges = [*range(0, count, PROMPT_WORDS // 2), count]
    starts = range(0, max(1, count - PROMPT_WORDS // 2), PROMPT_WORDS // 2)
    windows = [(start, min(start + PROMPT_WORDS, count)) for start in starts]
    places = _places_of_grams(letters, edges)
    grams = list(zip(places, places[-len(windows) :], strict=False))
    looks = [_LOOKS_OF_PROMPT[(end - start) // 8] for start, end in windows]
    of_words = _of_words(list(map(crc32, words.words)))
    return Hashed(
        of_words, _of_grams(_GAPS.sub(GAP, letters)), windows, grams, looks, [True] * len(windows), [_NOBODY] * len(windows)
    )


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


def _looks(letters: bytes, of_kind: int) -> Span:
    """Of a window: its length, how it ends and in what text; and with what concepts it begins."""
    first, second, third = (letters[:3] + 2 * letters[-1:])[:3]
    shape = (min(len(letters), 31) // 4 * 256 + letters[-1]) * 8 + of_kind + 1
    return _bucket(shape * _A), _bucket((first * _A + second * _B + third * _C) * _A)


def _present(windows: Sequence[bytes], is_said: Sequence[bool]) -> Iterator[frozenset[int]]:
    """A blank line between two sentences counts as none."""
    concepts = {one: _PAIRED.intersection(one) for one in set(windows)}
    moved = {own: _BEFORE[own & _NAMED] for own in concepts.values()}
    before = last = _NOBODY
    for window, said in zip(windows, is_said, strict=True):
        own = concepts[window]
        yield own | before if before else own
        named = moved[own]
        before, last = named if said else named | last, named


def _places_of_grams(letters: bytes, edges: Sequence[int]) -> list[int]:
    """How many n-grams begin before each of some words."""
    is_gap = int.from_bytes(letters.translate(_IS_GAP), "little")
    after_gap = (is_gap & is_gap << 8).to_bytes(len(letters), "little")
    return [*accumulate((end - start - after_gap.count(1, start, end) for start, end in pairwise(edges)), initial=0)]


def _once(short: bytes, grams: list[Span]) -> tuple[bytes, list[Span]]:
    """Each window that reads the same, up to the letters that follow and n-grams run into, once: of a table, its rows."""
    follow = len(_GRAMS)
    followed = short + bytes(follow)  # no letter is 0
    places: dict[bytes, int] = {}
    spans, at = [], 0
    for first, last in grams:
        start = places.setdefault(followed[first : last + follow], at)
        if start == at:
            at += last - first + follow
        spans.append((start, start + last - first))
    return b"".join(places), spans


def _number(digits: list[int]) -> int:
    """Of digits of up to 32 bits, the first the lowest."""
    return int.from_bytes(array("Q", digits), "little")


def _buckets(numbers: Sequence[int], count: int) -> "array[int]":
    """Of each digit, the first of each number before the second of each."""
    mask = int.from_bytes((_LAST << _SHIFT).to_bytes(_DIGIT_BYTES, "little") * count, "little")
    buckets = array("Q", bytes(_DIGIT_BYTES)) * (len(numbers) * count)
    for row, number in enumerate(numbers):
        buckets[row :: len(numbers)] = array("Q", ((number & mask) >> _SHIFT).to_bytes(count * _DIGIT_BYTES, "little"))
    return buckets


def _of_words(ids: list[int]) -> Buckets:
    number = _number(ids)
    a, b = number * _A, number * _B
    buckets = _buckets((a, b ^ a >> _DIGIT_BITS, number * _C ^ b >> 2 * _DIGIT_BITS), len(ids))
    for none in (-1, -2, -4):  # nothing stands next to the last, or after the next of the last two
        if none + len(buckets) > 0:
            buckets[none] = NONE
    return buckets


def _of_grams(short: bytes) -> Buckets:
    number = _number(list(short))
    hashes = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * len(short), "little")
    so_far, numbers = number * _PLACES[0], []
    for place, gram in enumerate(_GRAMS, 1):
        so_far += (number >> place * _DIGIT_BITS) * _PLACES[place]
        numbers.append((so_far & hashes) * gram)
    return _buckets(numbers, len(short))
