import pytest

from freehold.guard.config import GuardConfig
from freehold.guard.detectors import DETECTORS
from freehold.guard.policy import Policy
from freehold.guard.policy_check import oddities
from freehold.guard.policy_file import PolicySource, parse


def reasons(*rules: str) -> list[tuple[str, str]]:
    text = "\n".join(f'[[rules]]\nid = "r{number}"\n{rule}\n' for number, rule in enumerate(rules))
    policy = Policy(GuardConfig(), parse(PolicySource(name="p", text=text)), DETECTORS, "")
    return [(odd.rule, odd.reason) for odd in oddities(policy, frozenset(("openai.chat", "google.gemini")))]


BLOCK = 'action = "block"'


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (f'{BLOCK}\ndetectors = "email"\nmin_confidence = 1.0', "confidence of 1.0"),
        (f'{BLOCK}\ndirection = "response"\nchannel = ["user", "system"]', "a response has no text on channel user or system"),
        (f'{BLOCK}\ndirection = "request"\nchannel = "summary"', "a request has no text on channel summary"),
        (f'{BLOCK}\ntool = "x"\nchannel = "user"', "no tool has a part in channel user"),
        (f'{BLOCK}\ndialect = "openai.chats"', "no client speaks dialect 'openai.chats'"),
    ],
)
def test_a_rule_that_can_never_hold_is_named(rule: str, reason: str) -> None:
    ((name, said),) = reasons(rule)
    assert name == "r0"
    assert reason in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (BLOCK, 'action = "tag"\ndetectors = "email"'),
        (f'{BLOCK}\ncategories = "credential"', 'action = "tag"\ndetectors = "github-*"\nteam = "law"'),
        (f'{BLOCK}\nmodel = "gpt-*"', 'action = "tag"\nmodel = ["gpt-4*", "gpt-5"]'),
    ],
)
def test_a_rule_that_never_gets_to_decide_is_named(first: str, second: str) -> None:
    ((name, reason),) = reasons(first, second)
    assert name == "r1"
    assert "rule 'r0' before it" in reason


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f'{BLOCK}\nmode = "shadow"', 'action = "tag"\ndetectors = "email"'),
        (f'{BLOCK}\nmodel = "gpt-4*"', 'action = "tag"\nmodel = "gpt-*"'),
        (f'{BLOCK}\nteam = "law"', 'action = "tag"'),
        (f'{BLOCK}\ndetectors = "email"', 'action = "tag"\ncategories = "personal_data"'),
        (f'{BLOCK}\ntool = "x"', 'action = "tag"\nchannel = ["tool_*"]\ndirection = "response"'),
    ],
)
def test_rules_that_all_have_their_turn_are_nothing_odd(first: str, second: str) -> None:
    assert reasons(first, second) == []


def test_rules_of_calls_are_looked_at_too() -> None:
    text = '[[calls.rules]]\nid = "all"\naction = "ask"\n[[calls.rules]]\nid = "b"\naction = "block"\n'
    policy = Policy(GuardConfig(), parse(PolicySource(name="p", text=text)), DETECTORS, "")
    (odd,) = oddities(policy)
    assert (odd.rule, odd.number, odd.table) == ("b", 1, "calls.rules")
