import pytest

from freehold.guard.calls.oddities import oddities_of
from freehold.guard.policy_file import PolicySource, parse

DIALECTS = frozenset(("openai.chat", "google.gemini"))


def odd(*rules: str, tools: str = "") -> list[tuple[str, str]]:
    text = tools + "".join(f'[[calls.rules]]\nid = "r{number}"\n{rule}\n' for number, rule in enumerate(rules))
    settings = parse(PolicySource(name="p", text=text)).calls
    return [(name, reason) for _, _, name, reason in oddities_of(settings, DIALECTS)]


ASK = 'action = "ask"'


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (f'{ASK}\neffects = "effect-delete-system"\nplaces = "home"', "no effect of those it names"),
        (f'{ASK}\nplaces = ["home", "system"]\nhosts = "*.example"', "there are no hosts"),
        (f'{ASK}\nplaces = "host"\npaths = "/srv/*"', "there are no paths"),
        (f'{ASK}\ndialect = "openai.chats"', "no client speaks dialect 'openai.chats'"),
    ],
)
def test_a_rule_that_can_never_hold_is_named(rule: str, reason: str) -> None:
    ((name, said),) = odd(rule)
    assert name == "r0"
    assert reason in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ASK, 'action = "block"\neffects = "send"'),
        (f'{ASK}\neffects = "delete"', 'action = "block"\neffects = "effect-delete-*"\nteam = "law"'),
        (f'{ASK}\neffects = ["send", "publish"]', 'action = "allow"\neffects = "send"\nhosts = "*.example"'),
        (f'{ASK}\npaths = "/srv/*"', 'action = "allow"\npaths = "/srv/a/*"'),
    ],
)
def test_a_rule_that_never_gets_to_decide_is_named(first: str, second: str) -> None:
    ((name, reason),) = odd(first, second)
    assert name == "r1"
    assert "rule 'r0' before it" in reason


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f'{ASK}\nmode = "shadow"', 'action = "block"'),
        (f'{ASK}\neffects = "delete"\nhosts = "*"', 'action = "block"\neffects = "delete"'),
        (f'{ASK}\neffects = "delete"', 'action = "block"\neffects = ["delete", "send"]'),
        (f'{ASK}\ntool = "bash"', 'action = "block"'),
    ],
)
def test_rules_that_all_have_their_turn_are_nothing_odd(first: str, second: str) -> None:
    assert odd(first, second) == []


def test_a_tool_that_another_names_before_never_counts() -> None:
    tools = '[[calls.tools]]\nname = "run_*"\nkind = "shell"\n[[calls.tools]]\nname = "run_sql"\nkind = "sql"\n'
    assert odd(tools=tools) == [("run_sql", "never counts: 'run_*' before it names all that it does")]
