"""What is odd about a `[calls]` table that could be put in force: what never holds, and what never gets to decide."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.calls.settings import ON_EXCHANGE, CallRule, CallSettings
from freehold.guard.patterns import covers, matches, patterns

_CELLS = tuple(product(EffectKind, Place))
_OF_TARGETS = ("paths", "hosts")
_MACHINES = frozenset((Place.HOST, Place.NOTHING, Place.CREDENTIAL))


def oddities_of(settings: CallSettings, dialects: frozenset[str]) -> Iterator[tuple[str, int, str, str]]:
    """(table under `calls`, number in it from 0, name, reason). `dialects` are those the node speaks; none given is any."""
    for number, tool in enumerate(settings.tools):
        for other in settings.tools[:number]:
            if covers(other.name, tool.name):
                yield "tools", number, tool.name, f"never counts: {other.name!r} before it names all that it does"
                break
    for number, rule in enumerate(settings.rules):
        for reason in (*_never(rule, dialects), *_hidden(rule, settings.rules[:number])):
            yield "rules", number, rule.id, reason


def _never(rule: CallRule, dialects: frozenset[str]) -> Iterator[str]:
    cells = _cells(rule)
    if not cells:
        yield "never holds: no effect of those it names is at a place of those it names"
    elif rule.hosts is not None and not any(place in _MACHINES for _, place in cells):
        yield "never holds: at the places it names there are no hosts"
    elif rule.paths is not None and all(place is Place.HOST for _, place in cells):
        yield "never holds: at the place it names there are no paths"
    for pattern in patterns(rule.dialect) or ():
        if dialects and not any(fnmatchcase(dialect, pattern) for dialect in dialects):
            yield f"no client speaks dialect {pattern!r}; this node speaks {', '.join(sorted(dialects))}"


def _hidden(rule: CallRule, before: tuple[CallRule, ...]) -> Iterator[str]:
    cells = _cells(rule)
    for other in before:
        names = (*_OF_TARGETS, "tool", *ON_EXCHANGE)
        if (
            other.mode == "enforce"
            and cells
            and cells <= _cells(other)
            and all(covers(getattr(other, n), getattr(rule, n)) for n in names)
        ):
            yield f"never decides: rule {other.id!r} before it holds wherever it would"
            return


def _cells(rule: CallRule) -> frozenset[tuple[EffectKind, Place]]:
    """The effects it is about."""
    effects, places = patterns(rule.effects), patterns(rule.places)
    return frozenset(
        (kind, place)
        for kind, place in _CELLS
        if (effects is None or matches(effects, kind) or matches(effects, Effect(kind=kind, place=place).rule))
        and (places is None or matches(places, place))
    )
