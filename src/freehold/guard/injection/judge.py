"""Says how likely a text is an attack on the model that reads it, and why.

`judge` reads a text as what it is in the conversation: content that somebody else wrote, where hardly any order to an assistant
has its place; or a prompt, where orders are what it is for and only those against the rules count. The words go through the
classifier (`model.py`); what is hidden or encoded is read and judged, too; signs of structure add to it. Never raises, whatever
the text. What follows from a score is the stage's to say, by its settings.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from typing import NamedTuple

from freehold.core.findings import Channel
from freehold.guard.injection import features
from freehold.guard.injection.concepts import Words, words_of
from freehold.guard.injection.encoded import decoded
from freehold.guard.injection.model import HEADS, Head, HeadName, facts_of, worst
from freehold.guard.injection.patterns import Hit, Letters
from freehold.guard.injection.reading import Reading, read, strings_alone
from freehold.guard.injection.settings import ASKED
from freehold.guard.injection.structure import hidden, links, role_markers, unseen
from freehold.guard.injection.verdict import CLEAN, ENCODED, HIDDEN, INSTRUCTION, JAILBREAK, InjectionVerdict, Signal

SLICE_CHARS = 64 << 10  # 11 ms of a table or of code, 25 of prose
OVERLAP_CHARS = 2 << 10  # no sentence is longer
SHORT_CHARS = 6  # nothing is ordered in fewer: "OK", an id, a number
NAMED_FROM = 0.3  # the likelihood from which on the sentences are named
NAMED_LIMIT = 8  # sentences
CLEAR_BELOW = -2.0  # log-odds of a prompt's best window: 96% of people's prompts are below, and none that patterns would name
INNER_FROM = 0.4  # what is encoded needs to say less
_DISHONEST = {"override": 0.55, "hush": 0.45, "secret": 0.35, "send": 0.25, "leak": 0.4, "void": 0.3, "every-reply": 0.25}
_HIDDEN_WEIGHT = 0.8  # of an order that is hidden, whatever else there is

_SURROGATES = re.compile("[\ud800-\udfff]")  # halves of characters, which JSON can hold and UTF-8 can't


class _Said(NamedTuple):
    """What a text says in words alone."""

    likelihood: float
    signals: tuple[Signal, ...]


def judge(text: str, source: Channel) -> InjectionVerdict:
    """`source` is where it stands in a conversation: SYSTEM and USER are prompts, the rest is somebody else's content."""
    first, *others = judge_slices(text, source)
    for verdict in others:
        first = first.joined(verdict)
    return first


def judge_slices(text: str, source: Channel) -> Iterator[InjectionVerdict]:
    """The verdicts on stretches of a text, each some milliseconds of work; most texts are one. They overlap."""
    if not text.isascii():
        text = _SURROGATES.sub("\ufffd", text)
    words = text if source in ASKED else strings_alone(text)
    if len(text) <= SLICE_CHARS:
        yield _judged(text, words, source)
        return
    for start in range(0, len(text) - OVERLAP_CHARS, SLICE_CHARS - OVERLAP_CHARS):
        end = start + SLICE_CHARS
        yield _judged(text[start:end], words[start:end], source).moved(start)


def _judged(text: str, words: str, source: Channel) -> InjectionVerdict:
    if len(text) < SHORT_CHARS:
        return CLEAN
    is_prompt = source in ASKED
    reading = read(words)
    is_description = source is Channel.TOOL_DESCRIPTION
    said = _described(reading) if is_description else _said(reading, "prompt" if is_prompt else "content")
    signals = [*said.signals, *role_markers(text), *unseen(text, reading), *_inner(text, is_prompt)]
    if not is_prompt:
        signals += links(text)
    if not signals and said.likelihood < NAMED_FROM:
        return InjectionVerdict(score=said.likelihood)
    return InjectionVerdict(score=_joined(said, signals), signals=tuple(signals))


def _joined(said: _Said, signals: Iterable[Signal]) -> float:
    """As if what the words say and each kind of sign were independent; of one kind the strongest counts."""
    strongest: dict[str, float] = {}
    for one in signals:
        if one not in said.signals:
            strongest[one.rule] = max(one.weight, strongest.get(one.rule, 0.0))
    clean = 1.0 - said.likelihood
    for weight in strongest.values():
        clean *= 1.0 - weight
    return 1.0 - clean


def _inner(text: str, is_prompt: bool) -> Iterator[Signal]:
    """What is hidden or encoded, where it says something to the model."""
    for one in decoded(text):
        likelihood = _likelihood(one.text)
        if likelihood >= INNER_FROM:
            yield Signal(rule=ENCODED, weight=max(_HIDDEN_WEIGHT, likelihood), start=one.start, end=one.end, words=one.words)
    if is_prompt:
        return  # people paste pages
    for stretch in hidden(text):
        likelihood = _likelihood(stretch.text)
        if likelihood >= stretch.least:
            yield Signal(
                rule=HIDDEN, weight=max(_HIDDEN_WEIGHT, likelihood), start=stretch.start, end=stretch.end, words=stretch.words
            )


def _described(reading: Reading) -> _Said:
    """A tool's description speaks to the assistant by its nature: what no honest one needs counts, by weights set by hand."""
    words = words_of(reading.text)
    hits = [hit for hit in Letters(words.letters, range(len(words.letters))).hits() if hit.pattern.name in _DISHONEST]
    clean = 1.0
    for hit in hits:
        clean *= 1.0 - _DISHONEST[hit.pattern.name]
    if not hits:
        return _Said(0.0, ())
    places = _Places(reading, words)
    signals = (_signal(places, hit, 1.0 - clean) for hit in hits)
    return _Said(1.0 - clean, tuple(signals))


def _likelihood(text: str) -> float:
    return _said(read(strings_alone(text)), "content").likelihood


def _said(reading: Reading, name: HeadName) -> _Said:
    words = words_of(reading.text)
    if not words.words:
        return _Said(0.0, ())
    hashed = features.of_content(words, reading.text) if name == "content" else features.of_prompt(words)
    head = HEADS[name]
    odds = head.log_odds(hashed)
    best = max(odds)
    if name == "prompt" and best < CLEAR_BELOW:
        return _Said(1.0 / (1.0 + math.exp(min(30.0, -best))), ())
    hits = list(worst(hashed, odds, words.letters).hits())
    facts = facts_of(odds, features.kind(reading.text), hits, words.letters.count(b"Z"))
    likelihood = head.weighed(facts)
    if likelihood < NAMED_FROM:
        return _Said(likelihood, ())
    rule = JAILBREAK if name == "prompt" else INSTRUCTION
    return _Said(likelihood, tuple(_named(_Places(reading, words), hashed, odds, hits, head, likelihood, rule)))


class _Places:
    """Where, in the original, words stand."""

    def __init__(self, reading: Reading, words: Words) -> None:
        self._reading, self._words, self._places = reading, words, words.places()

    def of(self, first: int, last: int) -> tuple[int, int]:
        start, end = self._places[first][0], self._places[last - 1][1]
        return self._reading.place(self._words.in_text(start)), self._reading.place(self._words.in_text(end))


def _signal(places: _Places, hit: Hit, weight: float) -> Signal:
    start, end = places.of(hit.first, hit.last)
    return Signal(rule=hit.pattern.rule, weight=weight, start=start, end=end, words=hit.pattern.words)


def _named(
    places: _Places, hashed: features.Hashed, odds: Sequence[float], hits: list[Hit], head: Head, likelihood: float, rule: str
) -> Iterator[Signal]:
    """The patterns that spoke for an attack, and the sentences that did."""
    for hit in hits:
        if not hit.is_quoted and head.evidence.get(hit.pattern.name, 0.0) > 0:
            yield _signal(places, hit, likelihood)
    least = min(0.0, max(odds))
    for number in nlargest(NAMED_LIMIT, range(len(odds)), odds.__getitem__):
        if odds[number] >= least:
            start, end = places.of(*hashed.windows[number])
            yield Signal(rule=rule, weight=likelihood, start=start, end=end, words="reads like an order to an assistant")
