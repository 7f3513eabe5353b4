from freehold.core.exchange import ExchangeId
from freehold.core.findings import Action, Channel, Direction, Finding, Mode
from freehold.core.ledger import LedgerEntry
from freehold.guard.config import GuardConfig
from freehold.guard.detectors import DETECTORS
from freehold.guard.policy import Policy
from freehold.guard.policy_file import PolicySource, parse
from freehold.guard.simulate import Change, Simulation, unjudged
from tests.fakes import ledger


def policy(text: str) -> Policy:
    return Policy(GuardConfig(), parse(PolicySource(name="p", text=text)), DETECTORS, "")


def finding(rule: str, action: Action = Action.MASK, mode: Mode = Mode.ENFORCE, start: int = 0) -> Finding:
    return ledger.finding(rule=rule, action=action, mode=mode, start=start, end=start + 9, confidence=0.9)


def entry(name: str, *findings: Finding, team: str | None = None) -> LedgerEntry:
    return ledger.entry(exchange_id=ExchangeId(name), team=team, findings=findings)


CANDIDATE = policy('[[rules]]\nid = "a"\ndetectors = "github-token"\nteam = "law"\naction = "block"\n')


def test_what_the_record_found_is_decided_anew_for_whom_it_was() -> None:
    result = Simulation()
    for number in range(5):
        result.replay(entry(f"xc_{number}", finding("github-token"), team="law"), CANDIDATE)
    result.replay(entry("xc_it", finding("github-token"), finding("email", mode=Mode.SHADOW), team="it"), CANDIDATE)
    result.replay(entry("xc_gone", finding("no-longer-there")), CANDIDATE)
    assert (result.sources, result.same) == (7, 2)
    assert result.changes == [
        Change(rule=rule, direction=Direction.REQUEST, was="mask", would=would, findings=len(examples) + more, examples=examples)
        for rule, would, examples, more in (
            ("github-token", "block", ["xc_0", "xc_1", "xc_2"], 2),
            ("no-longer-there", "nothing", ["xc_gone"], 0),
        )
    ]


def test_what_a_rule_in_shadow_would_do_is_a_change_of_its_own() -> None:
    shadow = policy('[[rules]]\nid = "a"\ncategories = "credential"\nmode = "shadow"\naction = "block"\n')
    result = Simulation()
    result.replay(entry("xc_1", finding("github-token")), shadow)
    assert [(c.was, c.would) for c in result.changes] == [("mask", "mask, block in shadow")]
    again = Simulation()
    again.replay(entry("xc_2", finding("github-token"), finding("github-token", Action.BLOCK, Mode.SHADOW)), shadow)
    assert (again.changes, again.same) == ([], 1)


def test_texts_are_compared_place_by_place() -> None:
    result = Simulation()
    result.compare(
        "t", [finding("email", mode=Mode.SHADOW), finding("iban", start=20)], [finding("email"), finding("iban", start=20)]
    )
    result.compare("u", [], [finding("email")])
    assert result.same == 1
    assert [(c.rule, c.was, c.would, c.examples) for c in result.changes] == [
        ("email", "mask in shadow", "mask", ["t"]),
        ("email", "nothing", "mask", ["u"]),
    ]


def test_rules_the_record_cannot_answer_for_are_named() -> None:
    text = '[[rules]]\nid = "a"\ntool = "x"\naction = "tag"\n[[rules]]\nid = "b"\naction = "tag"\n'
    assert unjudged(policy(text)) == ["a"]


def effect(rule: str, action: Action, mode: Mode = Mode.ENFORCE, category: str = "effect") -> Finding:
    return ledger.finding(
        rule=rule,
        category=category,
        direction=Direction.RESPONSE,
        channel=Channel.TOOL_ARGUMENTS,
        start=0,
        end=9,
        confidence=1.0,
        action=action,
        mode=mode,
    )


def test_recorded_calls_are_decided_anew_by_what_they_did() -> None:
    locked = policy('[calls]\npreset = "locked"\n')
    result = Simulation()
    found = (
        effect("effect-send-host", Action.ASK),
        effect("effect-unknown-nothing", Action.ASK),
        effect("x", Action.TAG, category="weakness"),
    )
    result.replay(entry("xc_1", *found, effect("effect-send-host", Action.BLOCK, Mode.SHADOW)), locked)
    assert [(c.rule, c.was, c.would) for c in result.changes] == [("effect-send-host", "ask", "block")]
    assert result.same == 1


def test_the_same_policy_would_do_the_same_with_recorded_calls() -> None:
    result = Simulation()
    flowed = (effect("effect-persist-workspace", Action.ASK), effect("data-flow", Action.ASK))
    result.replay(entry("xc_1", *flowed, effect("effect-write-home", Action.ASK)), policy(""))
    assert (result.changes, result.same) == ([], 2)


def test_rules_of_calls_the_record_cannot_answer_for_are_named() -> None:
    text = '[[calls.rules]]\nid = "a"\nhosts = "x"\naction = "tag"\n[[calls.rules]]\nid = "b"\naction = "tag"\n'
    assert unjudged(policy(text)) == ["a"]
