"""The nouns of this package: a signal, and what all signals and the classifier together say of a text."""

from dataclasses import dataclass, replace
from typing import Final

INSTRUCTION: Final = "injection-instruction"  # tells the assistant what to do, or to forget what it was told
ROLE_MARKER: Final = "injection-role-marker"  # passes itself off as another turn of the conversation
HIDDEN: Final = "injection-hidden-text"  # can't be seen by the people who read the same page
EXFILTRATION: Final = "injection-exfiltration-link"  # an address that would carry data away
ENCODED: Final = "injection-encoded"  # says it only once it is decoded
JAILBREAK: Final = "jailbreak"  # the user's own prompt wants the model to be another one
RULES: Final = (INSTRUCTION, ROLE_MARKER, HIDDEN, EXFILTRATION, ENCODED, JAILBREAK)
CATEGORY: Final = "injection"
SIGNALS_LIMIT = 64  # of one text


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One reason, with the characters of the text it is about. `words` are our own, for people; never the text's."""

    rule: str
    weight: float  # how likely it alone makes an attack, in (0, 1)
    start: int
    end: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionVerdict:
    """`score` in [0, 1] is about the likelihood of an attack; what is done from which score on is settings."""

    score: float = 0.0
    signals: tuple[Signal, ...] = ()

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The stretches that signals name, in order, joined where they overlap."""
        joined: list[tuple[int, int]] = []
        for start, end in sorted((signal.start, signal.end) for signal in self.signals):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return tuple(joined)

    def joined(self, other: "InjectionVerdict") -> "InjectionVerdict":
        """Of two stretches of one text."""
        kept = (self.signals + other.signals)[:SIGNALS_LIMIT]
        return InjectionVerdict(score=max(self.score, other.score), signals=kept)

    def moved(self, by: int) -> "InjectionVerdict":
        """Of a stretch that begins `by` characters into its text."""
        return replace(self, signals=tuple(replace(one, start=one.start + by, end=one.end + by) for one in self.signals))


CLEAN: Final = InjectionVerdict()
