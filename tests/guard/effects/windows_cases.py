"""How the tests of Windows' shells ask what a command does."""

from freehold.core.findings import Action
from freehold.guard.calls.presets import action_of
from freehold.guard.effects.analyse import analyse
from freehold.guard.syntax import Language

ORDER = list(Action)


def rules(text: str, language: Language) -> set[str]:
    """The names of its effects, without the "effect-" before them."""
    return {effect.rule.removeprefix("effect-") for effect in analyse(text, language)}


def verdict(text: str, language: Language) -> Action:
    """What `production` says of it."""
    actions = [action_of("production", effect.kind, effect.place) for effect in analyse(text, language)]
    return max(actions, key=ORDER.index, default=Action.ALLOW)
