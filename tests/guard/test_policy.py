from typing import Any

import pytest

from freehold.core.errors import ConfigError
from freehold.core.events import Event, PromptText, TextDelta, ToolCallDelta, ToolCallStart
from freehold.core.findings import Action, Channel, Context, Direction, Mode
from freehold.core.ports import UpstreamStatus
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.config import DirectionConfig, RuleConfig
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector
from freehold.guard.detectors.examples import sample
from freehold.guard.policy import Decision, Policy
from freehold.guard.policy_file import PolicyFile, PolicySource, parse
from freehold.guard.ruling import Ruling
from tests.guard.playing import findings_of, flat, play, text_of

TOKEN = "ghp_" + sample(36)
ANYBODY = Context()


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


def file_policy(text: str) -> Policy:
    source = PolicySource(name="policy.toml", text=text)
    made = Policy(GuardConfig(), parse(source), DETECTORS, "")
    made.check(source)
    return made


def decided(text: str, rule: str, context: Context = ANYBODY, *, channel: Channel = Channel.USER, **where: str) -> Ruling | None:
    made = file_policy(text)
    direction = Direction(where.get("direction", "request"))
    return made.table(context, direction).of(channel, where.get("tool", ""))[made.numbers[rule]]


def action(*arguments: Any, **where: Any) -> tuple[str, str] | None:
    ruling = decided(*arguments, **where)
    return None if ruling is None else (ruling.action, ruling.mode)


def test_the_first_rule_that_holds_decides() -> None:
    text = """
        rules = [
            {id = "a", detectors = "email", action = "tag"},
            {id = "b", categories = "personal_*", action = "block"},
        ]"""
    assert action(text, "email") == ("tag", "enforce")
    assert action(text, "iban") == ("block", "enforce")
    assert action(text, "github-token") == ("mask", "enforce")


@pytest.mark.parametrize(
    ("condition", "holding", "other"),
    [
        ('dialect = "openai.*"', Context(dialect="openai.chat"), Context(dialect="google.gemini")),
        ('team = ["law", "hr"]', Context(team="hr"), Context(team="it")),
        ('key = "key_1"', Context(key_id="key_1", key_name="x"), Context(key_id="key_2")),
        ('key = "ci-*"', Context(key_id="key_1", key_name="ci-main"), Context(key_name="my-ci-")),
        ('model = "gpt-*"', Context(model="gpt-5"), Context(model="small")),
        ('label = "personal"', Context(labels=frozenset(("personal", "internal"))), Context(labels=frozenset(("internal",)))),
        ('team = "*"', Context(team="any"), Context()),
        ('label = "*"', Context(labels=frozenset(("x",))), Context()),
    ],
)
def test_a_condition_holds_for_those_it_names_and_never_for_what_is_unknown(
    condition: str, holding: Context, other: Context
) -> None:
    text = f'[[rules]]\nid = "a"\ndetectors = "github-token"\naction = "block"\n{condition}\n'
    assert action(text, "github-token", holding) == ("block", "enforce")
    assert action(text, "github-token", other) == ("mask", "enforce")


def test_conditions_on_direction_channel_and_tool() -> None:
    rule = '[[rules]]\nid = "a"\ndetectors = "github-token"\naction = "block"\n'
    text = rule + 'direction = "response"'
    assert action(text, "github-token") == ("mask", "enforce")
    assert action(text, "github-token", direction="response") == ("block", "enforce")
    text = rule + 'channel = ["tool_*", "file"]'
    assert action(text, "github-token") == ("mask", "enforce")
    assert action(text, "github-token", channel=Channel.TOOL_RESULT) == ("block", "enforce")
    text = rule + 'tool = "sh*"'
    assert action(text, "github-token", channel=Channel.TOOL_ARGUMENTS, tool="shell") == ("block", "enforce")
    assert action(text, "github-token", channel=Channel.TOOL_ARGUMENTS, tool="mail") == ("mask", "enforce")
    assert action(text, "github-token", channel=Channel.TOOL_ARGUMENTS) == ("mask", "enforce")


def test_a_rule_in_shadow_is_recorded_and_switches_no_other_off() -> None:
    text = '[[rules]]\nid = "a"\ncategories = ["credential", "personal_data"]\naction = "block"\nmode = "shadow"\n'
    credential, mail = decided(text, "github-token"), decided(text, "email")
    assert credential is not None
    assert (credential.action, credential.mode, credential.shadow) == (Action.MASK, Mode.ENFORCE, Action.BLOCK)
    assert mail is not None
    assert (mail.action, mail.mode, mail.shadow) == (Action.BLOCK, Mode.SHADOW, None)
    asked = StreamGuard(GuardConfig(engine="re2"), policy=PolicySource(name="p", text=text))
    verdict = asked.check(f"use {TOKEN}")
    assert verdict.action is Action.MASK
    assert [(f.action, f.mode) for f in verdict.findings] == [("mask", "enforce"), ("block", "shadow")]
    assert asked.redact(f"use {TOKEN}") == "use [REDACTED:github-token]"


def test_an_allowed_detector_with_a_rule_in_shadow_before_it_is_still_recorded() -> None:
    rules = '{id="a",detectors="github-token",action="block",mode="shadow"},{id="b",detectors="github-token",action="allow"}'
    text = f"rules=[{rules}]"
    ruling = decided(text, "github-token")
    assert ruling is not None
    assert (ruling.enforced, ruling.shadow) == (Action.ALLOW, Action.BLOCK)


def test_confidence_is_a_condition() -> None:
    text = '[[rules]]\nid = "a"\ncategories = "credential"\nmin_confidence = 0.97\naction = "block"\n'
    made = file_policy(text)
    rulings = made.table(ANYBODY, Direction.REQUEST).of(Channel.USER)
    blocked = {r.rule for r in rulings if r is not None and r.action is Action.BLOCK}
    assert blocked == {d.id for d in DETECTORS if d.category == "credential" and d.confidence >= 0.97}
    assert blocked


def test_a_token_is_for_requests_and_answers_are_masked() -> None:
    text = '[[rules]]\nid = "a"\ndetectors = "email"\naction = "tokenise"\nformat = "preserving"\n'
    asked, answered = decided(text, "email"), decided(text, "email", direction="response", channel=Channel.TEXT)
    assert asked is not None
    assert (asked.action, asked.shape) == (Action.TOKENISE, "preserving")
    assert answered is not None
    assert answered.action is Action.MASK


def test_tables_are_kept_for_those_for_whom_the_same_rules_hold() -> None:
    made = file_policy('[[rules]]\nid = "a"\ndetectors = "email"\nteam = "law"\naction = "block"\n')
    law, other = Context(team="law"), Context(team="it", model="m")
    of = {name: made.table(c, Direction.REQUEST).of(Channel.USER) for name, c in (("law", law), ("it", other), ("any", ANYBODY))}
    assert of["it"] is of["any"]
    assert of["law"] is not of["any"]
    assert made.table(law, Direction.REQUEST) is made.table(law, Direction.REQUEST)
    for number in range(3000):
        made.table(Context(model=str(number)), Direction.REQUEST)
    assert len(made._contexts) <= 1024


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rules]\n", r"^policy\.toml:1: not TOML"),
        ('\n[[rules]]\nid = "a"\n', r"^policy\.toml:2: rules: .*action"),
        ('[[rules]]\nid = "a"\naction = "tag"\n[[rules]]\nid = "b"\naction = "hide"\n', r"^policy\.toml:4: .*hide"),
        ('[[rules]]\nid = "a"\nacton = "tag"\n', r":1: rules: there is no setting 'acton'; did you mean 'action'"),
        ('[[rules]]\nid = "A b"\naction = "tag"\n', r":1: rules: .*regex"),
        ('[[rules]]\nid = "a"\naction = "tag"\ndetectors = "githab-token"\n', r":1: rule 'a': detectors has .*'github-token'"),
        ('[[rules]]\nid = "a"\naction = "tag"\nchannel = "tool_args"\n', r":1: rule 'a': channel .*'tool_arguments'"),
        ('[[rules]]\nid = "a"\naction = "maks"\n', r":1: rules: action is 'maks', .* 'tokenise', 'mask', 'block'"),
        ('[[rules]]\nid = "a"\naction = "tag"\nchannel = "usr"\n', r":1: rule 'a': channel has 'usr', .* did you mean 'user'"),
        ('[[rules]]\nid = "a"\naction = "tag"\ncategories = "credentials"\n', r"did you mean 'credential'"),
        ('[[rules]]\nid = "a"\naction = "tag"\nteam = []\n', r"team names nothing"),
        ('[[rules]]\nid = "a"\naction = "tag"\n' * 2, r":4: rules: the id 'a' is used twice"),
        ("[[rulez]]\n", r":1: there is no table 'rulez'; did you mean 'rules'"),
        ("[rules]\n", r":1: rules is a list of tables"),
        ('[tokens]\nttl = "1"\n', r":1: tokens: there is no setting 'ttl'; did you mean 'ttl_s'"),
        ("[tokens]\nttl_s = -1\n", r":1: tokens: .*> 0"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused_with_line_and_reason(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        file_policy(text)


def test_what_is_put_in_force_counts_for_new_sessions_and_a_refused_file_changes_nothing_but_the_status() -> None:
    asked = StreamGuard(GuardConfig(engine="re2"))
    before = asked.open(ANYBODY)
    strict = PolicySource(name="strict.toml", text='[[rules]]\nid = "a"\ndetectors = "email"\naction = "mask"\n')
    prepared = asked.prepare(strict)
    assert asked.redact("ada@lovelace.org") == "ada@lovelace.org"
    asked.adopt(prepared)
    assert asked.redact("ada@lovelace.org") == "[REDACTED:email]"
    stage = before.stage(Direction.REQUEST)
    event = PromptText(leaf=0, channel=Channel.USER, text="ada@lovelace.org")
    assert event in stage.receive(event)
    assert before.policy_digest != asked.policy_digest == prepared.digest
    assert asked.status().ready
    with pytest.raises(ConfigError):
        asked.prepare(PolicySource(name="broken.toml", text="[[rules"))
    asked.refuse("broken.toml:1: not TOML")
    assert asked.status() == UpstreamStatus(ready=False, detail="broken.toml:1: not TOML; the policy before it stays in force")
    assert asked.redact("ada@lovelace.org") == "[REDACTED:email]"
    asked.adopt(asked.prepare(None))
    assert asked.status().ready
    assert asked.policy_digest == before.policy_digest


def test_a_tools_calls_are_ruled_by_its_name_in_a_stream() -> None:
    text = '[[rules]]\nid = "a"\ndetectors = "github-token"\ntool = "vault_*"\naction = "allow"\n'
    asked = StreamGuard(GuardConfig(engine="re2"), policy=PolicySource(name="p", text=text))
    for name, expected in (("vault_put", TOKEN), ("http_post", "[REDACTED:github-token]")):
        call: list[Event] = [ToolCallStart(call_id="c", name=name, part=2), ToolCallDelta(arguments=TOKEN, part=2)]
        assert text_of(flat(play(asked, call))) == expected
    text_event = PromptText(leaf=0, channel=Channel.TOOL_RESULT, text=TOKEN, tool="vault_get")
    assert asked.stage(Direction.REQUEST).receive(text_event) == [text_event]


def test_a_value_has_one_digest_wherever_it_stands_and_another_under_another_key() -> None:
    asked = StreamGuard(GuardConfig(engine="re2"), key=b"one")
    found = asked.check(f"{TOKEN} and {TOKEN}, ada@lovelace.org").findings
    digests = [f.value_digest for f in found]
    assert digests[0] == digests[1] != digests[2]
    assert all(digest is not None and len(digest) == 64 for digest in digests)
    again = StreamGuard(GuardConfig(engine="re2"), key=b"two").check(TOKEN).findings
    assert again[0].value_digest != digests[0]
    pem = "-----BEGIN RSA PRIVATE KEY" + "-----\n" + "\n".join([sample(64)] * 9) + "\n-----END RSA PRIVATE KEY-----"
    whole = asked.check(f"a {pem} b").findings
    pieces = findings_of(flat(play(asked, [TextDelta(text=char) for char in f"a {pem} b"])))
    assert [f.value_digest for f in whole] == [f.value_digest for f in pieces]
