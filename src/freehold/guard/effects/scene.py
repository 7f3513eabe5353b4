"""Where a text is analysed: what surrounds it, how deep it lies in others, and how much work is left.

An analyser is a function from a text and a `Scene` to effects. A shell command that runs Python that runs SQL goes through three
of them: each hands what it finds inside to `Scene.inside`, which knows the others. Nothing is ever run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.syntax import Language

LIMIT_DEPTH = 4  # texts inside texts: a shell in an ssh in a shell in a Python string
LIMIT_STEPS = 20_000  # over all depths: commands walked, expressions folded; a 4 KB script takes some hundred
LIMIT_EFFECTS = 2_000
LIMIT_KEPT_CHARS = 200  # of an effect's target, that the effect is kept for the next like it


@dataclass(slots=True)
class Budget:
    """What is left of the work one analysis may take, over all depths."""

    steps: int = LIMIT_STEPS

    def spend(self, steps: int = 1) -> bool:
        """Whether there was enough left. An analyser that hears no stops, and gives `unknown("...")`."""
        self.steps -= steps
        return self.steps >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`variables` are those known by value where the text begins. `folder` is the working folder if it is known, else ""."""

    analysers: "Mapping[Language, Analyser]"
    depth: int = 0
    folder: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def inside(self, language: Language, text: str, **changes: object) -> list[Effect]:
        """The effects of a text that this one runs. Too deep, or in a language nobody analyses, is unknown."""
        if self.depth + 1 > LIMIT_DEPTH:
            return [unknown("code in code in code: deeper than is looked into")]
        analyser = self.analysers.get(language)
        if analyser is None:
            return [unknown(f"runs {language} code, which is not analysed")]
        return analyser(text, replace(self, depth=self.depth + 1, **changes))  # type: ignore[arg-type]


Analyser = Callable[[str, Scene], list[Effect]]


def effect(kind: EffectKind, place: Place, target: str, because: str) -> Effect:
    """The same one where there was one like it: a script does one thing many times."""
    if len(target) > LIMIT_KEPT_CHARS:
        return Effect(kind=kind, place=place, target=target, because=because)
    return _kept(kind, place, target, because)


@lru_cache(maxsize=2048)
def _kept(kind: EffectKind, place: Place, target: str, because: str) -> Effect:
    return Effect(kind=kind, place=place, target=target, because=because)


def unknown(because: str) -> Effect:
    """`because` in our own words."""
    return _kept(EffectKind.UNKNOWN, Place.NOTHING, "", because)
