"""What another policy would have done with an effect of which the record has no more than its rule's name."""

from freehold.core.effects import Effect, EffectKind, Place
from freehold.core.findings import Action, Context, Finding
from freehold.guard.calls.judge import CallJudge

NOTED_CONFIDENCE = 0.5  # of what a call's text does that is written and not run: tagged at most


def effect_of(rule: str) -> Effect | None:
    """ "effect-delete-whole-tree": the effect of that name. None where there is none any more."""
    return _EFFECTS.get(rule)


def action_of_finding(finding: Finding, judge: CallJudge, context: Context, *, flowed: bool) -> Action:
    """`flowed`: data-flow had a say in the call then, and may have raised just this effect."""
    effect = effect_of(finding.rule)
    if effect is None:
        return Action.ALLOW
    action = judge.judge_effects([effect], context).action
    if finding.confidence <= NOTED_CONFIDENCE and action is not Action.ALLOW:
        return Action.TAG
    raised = flowed and finding.action is Action.ASK and action in (Action.ALLOW, Action.TAG)
    return Action.ASK if raised else action


_EFFECTS = {(effect := Effect(kind=kind, place=place)).rule: effect for kind in EffectKind for place in Place}
