from itertools import pairwise, product

import pytest

from freehold.core.effects import EffectKind, Place
from freehold.core.findings import Action
from freehold.guard.calls.presets import DEVELOPER, LOCKED, NAMES, PRESETS, PRODUCTION, PresetName, action_of

ORDER = list(Action)
CELLS = list(product(EffectKind, Place))


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_effect_has_an_answer_for_every_place(name: PresetName) -> None:
    assert set(PRESETS[name]) == set(CELLS)
    assert set(PRESETS[name].values()) <= {Action.ALLOW, Action.TAG, Action.ASK, Action.BLOCK}


def test_each_preset_is_no_milder_than_the_one_before_it() -> None:
    for (mild, strict), (kind, place) in product(pairwise(NAMES), CELLS):
        milder, stricter = action_of(mild, kind, place), action_of(strict, kind, place)
        assert ORDER.index(milder) <= ORDER.index(stricter), f"{mild} {milder}, {strict} {stricter}: {kind} of {place}"


@pytest.mark.parametrize("table", [DEVELOPER, PRODUCTION, LOCKED])
def test_the_columns_of_the_tables_are_the_places_in_their_order(table: str) -> None:
    short = {"user": "other_user", "tree": "whole_tree"}
    heads = [short.get(head, head) for head in table.split("\n")[1].split()]
    assert all(place.startswith(head) for head, place in zip(heads, Place, strict=True))


def test_to_observe_stops_nothing() -> None:
    assert set(PRESETS["observe"].values()) == {Action.ALLOW, Action.TAG}


@pytest.mark.parametrize("kind", EffectKind)
def test_nothing_but_looking_is_free_under_a_locked_policy(kind: EffectKind) -> None:
    free = {place for place in Place if action_of("locked", kind, place) is Action.ALLOW}
    looks = kind in (EffectKind.READ, EffectKind.DISCOVER)
    assert free == ({Place.NOTHING, Place.TEMP, Place.WORKSPACE} if looks else set())


@pytest.mark.parametrize("name", ["developer", "production", "locked"])
def test_what_is_unknown_is_never_clean(name: PresetName) -> None:
    assert {action_of(name, EffectKind.UNKNOWN, place) for place in Place} == {Action.ASK}


@pytest.mark.parametrize("name", ["developer", "production", "locked"])
@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (EffectKind.DELETE, Place.WHOLE_TREE),
        (EffectKind.DELETE, Place.DEVICE),
        (EffectKind.WRITE, Place.DEVICE),
        (EffectKind.OVERWRITE, Place.DEVICE),
        (EffectKind.PERMISSION, Place.WHOLE_TREE),
        (EffectKind.SEND, Place.CREDENTIAL),
        (EffectKind.EVADE, Place.SYSTEM),
        (EffectKind.REMOTE_SHELL, Place.HOST),
        (EffectKind.REMOTE_SHELL, Place.NOTHING),
    ],
)
def test_the_catastrophic_is_stopped(name: PresetName, kind: EffectKind, place: Place) -> None:
    assert action_of(name, kind, place) is Action.BLOCK


@pytest.mark.parametrize(
    ("kind", "developer", "production"),
    [
        (EffectKind.READ, Action.ALLOW, Action.ALLOW),
        (EffectKind.WRITE, Action.ALLOW, Action.ALLOW),
        (EffectKind.DELETE, Action.ALLOW, Action.TAG),
        (EffectKind.RUN, Action.ALLOW, Action.TAG),
        (EffectKind.DOWNLOAD, Action.ALLOW, Action.TAG),
        (EffectKind.INSTALL, Action.ALLOW, Action.TAG),
        (EffectKind.EXECUTE, Action.ASK, Action.ASK),
        (EffectKind.PERSIST, Action.TAG, Action.ASK),
    ],
)
def test_work_in_the_workspace(kind: EffectKind, developer: Action, production: Action) -> None:
    assert action_of("developer", kind, Place.WORKSPACE) is developer
    assert action_of("production", kind, Place.WORKSPACE) is production
