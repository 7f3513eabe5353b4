import pytest

from freehold.core.effects import Effect, EffectKind, Place
from freehold.core.findings import Action, Channel, Context, Direction, Finding
from freehold.guard.calls.judge import CallJudge
from freehold.guard.calls.replay import NOTED_CONFIDENCE, action_of_finding, effect_of
from freehold.guard.calls.settings import CallSettings
from tests.fakes import ledger


def finding(rule: str, action: Action, confidence: float = 1.0) -> Finding:
    where = {"direction": Direction.RESPONSE, "channel": Channel.TOOL_ARGUMENTS}
    return ledger.finding(rule=rule, category="effect", confidence=confidence, action=action, **where)


def test_every_effect_is_known_by_its_rule() -> None:
    for kind in EffectKind:
        for place in Place:
            assert effect_of(Effect(kind=kind, place=place).rule) == Effect(kind=kind, place=place)
    assert effect_of("effect-gone") is None


@pytest.mark.parametrize(
    ("found", "flowed", "action"),
    [
        (finding("effect-persist-workspace", Action.TAG), False, Action.ASK),
        (finding("effect-persist-workspace", Action.TAG, NOTED_CONFIDENCE), False, Action.TAG),
        (finding("effect-download-host", Action.ASK), False, Action.TAG),
        (finding("effect-download-host", Action.ASK), True, Action.ASK),
        (finding("effect-read-workspace", Action.TAG), False, Action.ALLOW),
        (finding("effect-gone", Action.ASK), False, Action.ALLOW),
    ],
)
def test_what_production_does_with_what_was_recorded(found: Finding, flowed: bool, action: Action) -> None:
    judge = CallJudge(CallSettings(preset="production"))
    assert action_of_finding(found, judge, Context(), flowed=flowed) is action
