"""What is done with a weakness."""

from dataclasses import replace

from freehold.core.findings import Action, Channel, Mode
from freehold.guard.weaknesses.settings import CodeRule, CodeSettings, complaint, ruling
from freehold.guard.weaknesses.stage import findings_of
from freehold.guard.weaknesses.weakness import Severity, Weakness

SQL = Weakness(
    rule="sql-injection", cwe=89, severity=Severity.HIGH, confidence=0.8, start=3, end=9, line=1, words="It is.", fix="Mend it."
)


def rule(action: str, **conditions: object) -> CodeRule:
    return CodeRule(id="a-rule", action=action, **conditions)  # type: ignore[arg-type]


def test_a_weakness_is_tagged_by_default() -> None:
    assert ruling(SQL, CodeSettings()) == (Action.TAG, Mode.ENFORCE)


def test_what_is_too_mild_or_too_unsure_is_left_alone() -> None:
    assert ruling(replace(SQL, confidence=0.4), CodeSettings()) is None
    assert ruling(SQL, CodeSettings(min_severity="critical")) is None
    assert ruling(SQL, CodeSettings(action="allow")) is None
    assert ruling(SQL, CodeSettings(enabled=False)) is None


def test_the_first_rule_that_holds_decides() -> None:
    settings = CodeSettings(rules=(rule("allow", cwe=79), rule("block", rules="sql-*"), rule("tag")))
    assert ruling(SQL, settings) == (Action.BLOCK, Mode.ENFORCE)
    assert ruling(replace(SQL, rule="xss", cwe=79), settings) is None
    assert ruling(replace(SQL, rule="xxe", cwe=611), settings) == (Action.TAG, Mode.ENFORCE)


def test_a_rules_own_limits_hold_for_it_alone() -> None:
    settings = CodeSettings(rules=(rule("block", min_severity="critical"), rule("block", min_confidence=0.9)))
    assert ruling(SQL, settings) == (Action.TAG, Mode.ENFORCE)
    assert ruling(replace(SQL, confidence=0.95), settings) == (Action.BLOCK, Mode.ENFORCE)


def test_a_rule_in_shadow_decides_nothing() -> None:
    settings = CodeSettings(rules=(rule("block", mode="shadow"),))
    assert ruling(SQL, settings) == (Action.TAG, Mode.ENFORCE)
    assert ruling(replace(SQL, confidence=0.1), settings) == (Action.BLOCK, Mode.SHADOW)
    assert not settings.may_block


def test_only_what_may_block_holds_text_back() -> None:
    assert not CodeSettings().may_block
    assert CodeSettings(action="block").may_block
    assert not CodeSettings(action="block", enabled=False).may_block
    assert CodeSettings(rules=(rule("block", rules="xss"),)).may_block


def test_a_rule_that_can_never_hold_is_complained_of() -> None:
    assert complaint(rule("block", rules=("sql-*", "xss"), cwe=(89, 79))) is None
    assert "sql-injektion" in (complaint(rule("block", rules="sql-injektion")) or "")
    assert "cwe has 4711" in (complaint(rule("block", cwe=4711)) or "")


def test_a_finding_says_where_in_its_channel_and_nothing_of_the_code() -> None:
    [finding] = findings_of([SQL], CodeSettings(), Channel.TOOL_ARGUMENTS, part=2, at=100)
    assert (finding.start, finding.end, finding.part, finding.rule) == (103, 109, 2, "sql-injection")
    assert finding.value_digest is None
