"""Weaknesses of a piece of code: the way from its text to what was found.

Whatever the text, this never raises. Code that could not be read in full (too long, too deep, too much work) is a finding of its
own, `code-unread`: what is not looked at is not clean. A text that is no code of a language known here has no findings.
"""

import re
from collections.abc import Mapping

from freehold.guard.syntax import LIMIT_BYTES, Language, parse
from freehold.guard.weaknesses.access import unguarded
from freehold.guard.weaknesses.flow import Flow, OutOfSteps
from freehold.guard.weaknesses.grammar import GRAMMARS
from freehold.guard.weaknesses.guess import guess
from freehold.guard.weaknesses.lower import Lowering
from freehold.guard.weaknesses.matching import Hit
from freehold.guard.weaknesses.packages import squatted
from freehold.guard.weaknesses.rules import KINDS, rules_of
from freehold.guard.weaknesses.special import Special
from freehold.guard.weaknesses.special_c import Memory, Nulls
from freehold.guard.weaknesses.special_go import Go
from freehold.guard.weaknesses.weakness import Weakness

_BIDI = re.compile(b"\xe2(?:\x80[\xaa-\xae]|\x81[\xa6-\xa9])")  # U+202A to U+202E, U+2066 to U+2069
SPECIALS: Mapping[Language, type[Special]] = {
    Language.GO: Go,
    Language.C: Memory,
    Language.CPP: Memory,
    Language.JAVA: Nulls,
    Language.CSHARP: Nulls,
}
UNREAD = "code-unread"


def find(text: str, language: Language | None, name: str = "") -> tuple[Weakness, ...]:
    """In their order in `text`. `name` is the file's, where there is one; it helps where `language` is None."""
    spoken = language if language is not None else guess(text, name)
    source = text.encode("utf-8", "replace")
    hits: list[Hit] = []
    if spoken is not None and spoken in GRAMMARS:
        try:
            hits = _hits(source, spoken)
        except RecursionError:
            hits = [_unread(source)]
    return tuple(sorted((*_placed(hits, source), *squatted(text, spoken, name)), key=lambda weakness: weakness.start))


def _hits(source: bytes, language: Language) -> list[Hit]:
    if len(source) > LIMIT_BYTES:
        return [_unread(source)]
    rules = rules_of(language)
    tree = parse(language, source, cut=True)
    if tree is None:
        return [_unread(source)]
    if language is Language.TYPESCRIPT and tree.root_node.has_error:  # with JSX in it, whatever its fence says
        other = parse(Language.TSX, source, cut=True)
        if other is not None and not other.root_node.has_error:
            language, tree = Language.TSX, other
    lowering = Lowering(GRAMMARS[language], source)
    root = lowering.low(tree.root_node)
    flow = Flow(lowering, rules, source, SPECIALS.get(language, Special))
    hits: list[Hit] = []
    try:
        flow.run(root)
    except (OutOfSteps, RecursionError):
        hits.append(_unread(source))
    if lowering.is_cut:
        hits.append(_unread(source))
    found = flow.close()
    return [*found, *hits, *unguarded(lowering, source, language), *_hidden(source)]


def _hidden(source: bytes) -> list[Hit]:
    """Characters that make a reader see another program than a compiler (CVE-2021-42574)."""
    found = None if source.isascii() else _BIDI.search(source)
    return [] if found is None else [Hit(kind="hidden-text", at=found.start(), end=found.end(), confidence=0.8, severity=None)]


def _unread(source: bytes) -> Hit:
    return Hit(kind=UNREAD, at=0, end=len(source), confidence=1.0, severity=None)


def _placed(hits: list[Hit], source: bytes) -> tuple[Weakness, ...]:
    """Bytes to characters and lines."""
    is_ascii = source.isascii()
    made: list[Weakness] = []
    for hit in sorted(hits, key=lambda hit: (hit.at, hit.kind)):
        kind = KINDS[hit.kind]
        before = source[: hit.at]
        start = hit.at if is_ascii else len(before.decode("utf-8", "replace"))
        end = hit.end if is_ascii else start + len(source[hit.at : hit.end].decode("utf-8", "replace"))
        made.append(
            Weakness(
                rule=hit.kind,
                cwe=kind.cwe,
                severity=hit.severity or kind.severity,
                confidence=hit.confidence,
                start=start,
                end=end,
                line=before.count(b"\n") + 1,
                words=kind.words,
                fix=kind.fix,
            )
        )
    return tuple(made)
