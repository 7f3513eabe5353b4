import pytest

from freehold.core.errors import ConfigError
from freehold.core.findings import Action, Channel, Direction, Mode
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.config import DirectionConfig, RuleConfig
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector
from freehold.guard.detectors.examples import sample
from freehold.guard.policy import Decision, Policy
from freehold.guard.policy_file import PolicyFile

TOKEN = "ghp_" + sample(36)


def policy_of(config: GuardConfig, patterns: str = "") -> Policy:
    return Policy(config, PolicyFile(), DETECTORS, patterns)


def decision(config: GuardConfig, rule: str, direction: Direction = Direction.REQUEST) -> Decision:
    return policy_of(config).decisions[rule, direction]


def test_credentials_are_masked_both_ways_and_personal_data_starts_in_shadow() -> None:
    for direction in Direction:
        assert decision(GuardConfig(), "github-token", direction) == Decision(action=Action.MASK, mode=Mode.ENFORCE)
        assert decision(GuardConfig(), "email", direction) == Decision(action=Action.MASK, mode=Mode.SHADOW)


def test_a_category_nobody_wrote_about_is_masked() -> None:
    odd = Detector(id="odd", pattern="odd", category="trade_secret", must_match=("odd",), must_not_match=())
    policy = Policy(GuardConfig(), PolicyFile(), [odd], "")
    assert policy.decisions["odd", Direction.REQUEST] == Decision(action=Action.MASK, mode=Mode.ENFORCE)


def test_a_rule_goes_before_its_category_and_a_direction_before_both() -> None:
    config = GuardConfig(
        categories={"personal_data": RuleConfig(mode="enforce")},
        rules={"email": RuleConfig(action="tag", response=DirectionConfig(action="block"))},
    )
    assert decision(config, "iban") == Decision(action=Action.MASK, mode=Mode.ENFORCE)
    assert decision(config, "email") == Decision(action=Action.TAG, mode=Mode.ENFORCE)
    assert decision(config, "email", Direction.RESPONSE) == Decision(action=Action.BLOCK, mode=Mode.ENFORCE)


def test_an_unknown_rule_or_category_is_refused_with_what_is_close() -> None:
    with pytest.raises(ConfigError, match=r"guard\.rules\.githab-token: no such name; did you mean .*'github-token'"):
        policy_of(GuardConfig(rules={"githab-token": RuleConfig()}), "")
    with pytest.raises(ConfigError, match=r"guard\.categories\.credentials: .*'credential'"):
        policy_of(GuardConfig(categories={"credentials": RuleConfig()}), "")


def test_the_digest_tells_policies_and_detectors_apart() -> None:
    base = policy_of(GuardConfig(), "d").digest
    assert base == policy_of(GuardConfig(rules={"email": RuleConfig(mode="shadow")}), "d").digest
    assert base != policy_of(GuardConfig(rules={"email": RuleConfig(mode="enforce")}), "d").digest
    assert base != policy_of(GuardConfig(), "e").digest
    assert len(base) == 64


def test_check_says_what_policy_would_do_and_changes_nothing() -> None:
    asked = StreamGuard(GuardConfig(engine="re2"))
    verdict = asked.check(f"use {TOKEN} or ada@lovelace.org", Channel.SYSTEM)
    assert verdict.action is Action.MASK
    assert verdict.policy_digest == asked.policy_digest
    assert [(f.rule, f.channel) for f in verdict.findings] == [("github-token", Channel.SYSTEM), ("email", Channel.SYSTEM)]
    assert asked.check("ada@lovelace.org").action is Action.ALLOW


def test_a_rule_that_is_allowed_is_not_looked_for() -> None:
    asked = StreamGuard(GuardConfig(engine="re2", rules={"github-token": RuleConfig(action="allow")}))
    assert asked.redact(f"use {TOKEN}") == f"use {TOKEN}"
