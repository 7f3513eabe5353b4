import json
from dataclasses import dataclass, field

import pytest

from freehold.core.effects import CallJudgement, Effect, EffectKind, Place
from freehold.core.findings import Action, Context
from freehold.guard.calls.judge import CallJudge
from freehold.guard.calls.presets import PresetName
from freehold.guard.calls.settings import CallSettings
from freehold.guard.calls.surroundings import Surroundings
from freehold.guard.effects.places import HOLE
from freehold.guard.policy_file import PolicySource, parse


@dataclass
class Told:
    """A conversation: implements `judge.Conversation`."""

    is_tainted: bool = True
    is_suspect: bool = False
    asked: frozenset[str] = frozenset()
    untrusted: frozenset[str] = field(default=frozenset())

    def asked_for(self, target: str) -> bool:
        return target in self.asked

    def came_from_untrusted(self, target: str) -> bool:
        return target in self.untrusted


def settings(text: str) -> CallSettings:
    return parse(PolicySource(name="policy.toml", text=text)).calls


def judged(
    text: str,
    *effects: Effect,
    context: Context = Context(),  # noqa: B008 - frozen
    tool: str = "",
    conversation: Told | None = None,
) -> CallJudgement:
    return CallJudge(settings(text)).judge_effects(effects, context, tool, conversation)


def effect(kind: EffectKind, place: Place = Place.NOTHING, target: str = "") -> Effect:
    return Effect(kind=kind, place=place, target=target, because="it does")


SEND = effect(EffectKind.SEND, Place.HOST, "files.example.com")
REMOVE = effect(EffectKind.DELETE, Place.SYSTEM, "/etc/motd")
WRITE = effect(EffectKind.WRITE, Place.ELSEWHERE, "/srv/data/a.txt")


def rule(action: str, conditions: str = "", mode: str = "enforce") -> str:
    return f'[[calls.rules]]\nid = "a-rule"\naction = "{action}"\nmode = "{mode}"\n{conditions}\n'


def test_the_strictest_of_a_calls_effects_decides_and_the_gravest_stands_first() -> None:
    whole = effect(EffectKind.DELETE, Place.WHOLE_TREE, "/")
    found = judged("", effect(EffectKind.READ, Place.WORKSPACE), SEND, whole)
    assert found.action is Action.BLOCK
    assert [(reason.action, reason.rule) for reason in found.reasons] == [
        (Action.BLOCK, "preset developer"),
        (Action.ASK, "preset developer"),
    ]
    assert judged("").action is Action.ALLOW


@pytest.mark.parametrize(
    ("preset", "action"),
    [("observe", Action.TAG), ("developer", Action.ASK), ("production", Action.ASK), ("locked", Action.BLOCK)],
)
def test_the_preset_decides_where_no_rule_does(preset: PresetName, action: Action) -> None:
    assert judged(f'[calls]\npreset = "{preset}"', REMOVE).action is action


@pytest.mark.parametrize(
    ("conditions", "holding", "other"),
    [
        ('effects = "delete"', REMOVE, SEND),
        ('effects = ["effect-delete-*", "send"]', SEND, WRITE),
        ('effects = "effect-delete-system"', REMOVE, effect(EffectKind.DELETE, Place.HOME, "~/a")),
        ('places = ["system", "device"]', REMOVE, SEND),
        ('paths = "/srv/data/*"', WRITE, effect(EffectKind.WRITE, Place.ELSEWHERE, "/srv/database")),
        ('paths = "/srv/data/*"', WRITE, effect(EffectKind.WRITE, Place.ELSEWHERE, "/srv/data/../x")),
        ('paths = "/srv/data/*"', WRITE, effect(EffectKind.WRITE, Place.ELSEWHERE, f"/srv/data/{HOLE}")),
        ('paths = "*"', WRITE, effect(EffectKind.WRITE, Place.ELSEWHERE)),
        ('hosts = "*.example.com"', SEND, effect(EffectKind.SEND, Place.HOST, "example.com.evil.org")),
        ('hosts = "*.example.com"', SEND, effect(EffectKind.SEND, Place.HOST)),
        ('hosts = "*.example.com"', SEND, effect(EffectKind.SEND, Place.HOST, "evil.org/files.example.com")),
        ('hosts = "*.example.com"', SEND, effect(EffectKind.SEND, Place.HOST, "https://evil.org\\@files.example.com")),
        ('hosts = "*.example.com"', SEND, effect(EffectKind.SEND, Place.HOST, f"{HOLE}.example.com")),
        (
            'hosts = "*.example.com"',
            effect(EffectKind.SEND, Place.HOST, "https://files.example.com/x"),
            effect(EffectKind.SEND, Place.HOST, "https://files.example.com@evil.org/x"),
        ),
        (
            'hosts = "example.com"',
            effect(EffectKind.SEND, Place.HOST, "ada@example.com"),
            effect(EffectKind.SEND, Place.HOST, "ada@example.org"),
        ),
    ],
)
def test_a_rule_holds_for_the_effects_it_names(conditions: str, holding: Effect, other: Effect) -> None:
    text = rule("allow", conditions)
    assert judged(text, holding).action is Action.ALLOW
    assert judged(text, other).action is Action.ASK


def test_what_is_stopped_is_stopped_by_what_is_known_of_its_path() -> None:
    hole = effect(EffectKind.WRITE, Place.WORKSPACE, f"secret/{HOLE}")
    assert judged(rule("block", 'paths = "secret/*"'), hole).action is Action.BLOCK


@pytest.mark.parametrize(
    ("condition", "holding", "other"),
    [
        ('dialect = "openai.*"', Context(dialect="openai.chat"), Context(dialect="google.gemini")),
        ('team = ["law", "hr"]', Context(team="hr"), Context()),
        ('key = "ci-*"', Context(key_id="key_1", key_name="ci-main"), Context(key_id="key_2")),
        ('model = "gpt-*"', Context(model="gpt-5"), Context(model="small")),
        ('label = "personal"', Context(labels=frozenset(("personal",))), Context()),
    ],
)
def test_a_rule_holds_for_those_it_names_and_never_for_the_unknown(condition: str, holding: Context, other: Context) -> None:
    assert judged(rule("allow", condition), SEND, context=holding).action is Action.ALLOW
    assert judged(rule("allow", condition), SEND, context=other).action is Action.ASK


def test_a_rule_holds_for_the_tools_it_names() -> None:
    assert judged(rule("allow", 'tool = "mail_*"'), SEND, tool="mail_send").action is Action.ALLOW
    assert judged(rule("allow", 'tool = "mail_*"'), SEND, tool="send").action is Action.ASK
    assert judged(rule("allow", 'tool = "*"'), SEND).action is Action.ASK


def test_the_first_rule_that_holds_decides_and_one_in_shadow_is_recorded() -> None:
    text = (
        '[[calls.rules]]\nid = "try"\naction = "block"\nmode = "shadow"\n'
        '[[calls.rules]]\nid = "mail"\neffects = "send"\naction = "allow"\n'
        '[[calls.rules]]\nid = "never"\naction = "block"\n'
    )
    call = CallJudge(settings(text)).look("send_mail", '{"to": "a@b.example"}')
    assert call.judgement.action is Action.ALLOW
    assert [(reason.rule, reason.action) for reason in call.shadows] == [("try", Action.BLOCK)]


def test_what_goes_to_ones_own_hosts_is_no_more_than_tagged() -> None:
    local = effect(EffectKind.SEND, Place.HOST, "http://localhost:8080/x")
    assert judged("", local).action is Action.TAG
    assert judged("", effect(EffectKind.SEND, Place.HOST, "localhost.evil.org")).action is Action.ASK
    assert (
        judged('[calls]\nhosts = ["*.corp.example"]', effect(EffectKind.SEND, Place.HOST, "git.corp.example")).action
        is Action.TAG
    )
    assert judged("[calls]\nhosts = []", local).action is Action.ASK
    assert judged("", effect(EffectKind.EXECUTE, Place.HOST, "localhost")).action is Action.ASK
    assert judged("", effect(EffectKind.SEND, Place.CREDENTIAL, "localhost")).action is Action.BLOCK


def test_a_folder_of_ones_own_counts_as_the_working_folder() -> None:
    text = '[calls]\nworkspace = ["/srv/data", "C:/data/x"]'
    assert judged(text, WRITE).action is Action.ALLOW
    assert judged(text, effect(EffectKind.WRITE, Place.ELSEWHERE, "C:\\Data\\X\\a")).action is Action.ALLOW
    for target in ("/srv/data/../x", "/srv/database", f"/srv/data/{HOLE}"):
        assert judged(text, effect(EffectKind.WRITE, Place.ELSEWHERE, target)).action is Action.ASK
    assert judged(text, effect(EffectKind.READ, Place.CREDENTIAL, "/srv/data/.env")).action is Action.ASK


@pytest.mark.parametrize(("folder", "path"), [("/srv/shop", "/srv/shop/a.md"), ("D:\\data\\shop", "d:\\Data\\shop\\a.md")])
def test_the_working_folder_of_the_request_is_the_workspace(folder: str, path: str) -> None:
    judge, call = CallJudge(CallSettings()), f'{{"file_path": {json.dumps(path)}, "content": ""}}'
    assert judge.judge("Write", call, surroundings=Surroundings(folder)).action is Action.ALLOW
    assert judge.judge("Write", call).action is Action.ASK


EVIL, KNOWN = frozenset(("evil.org",)), frozenset(("packages.example",))


@pytest.mark.parametrize(
    ("found", "conversation", "action"),
    [
        (effect(EffectKind.PERSIST, Place.WORKSPACE, ".github/workflows/a.yml"), Told(), Action.ASK),
        (effect(EffectKind.PERSIST, Place.WORKSPACE, "a.yml"), Told(asked=frozenset(("a.yml",))), Action.TAG),
        (effect(EffectKind.PERSIST, Place.WORKSPACE, "a.yml"), Told(is_tainted=False), Action.TAG),
        (effect(EffectKind.DOWNLOAD, Place.HOST, "evil.org"), Told(), Action.ALLOW),
        (effect(EffectKind.DOWNLOAD, Place.HOST, "evil.org"), Told(is_suspect=True), Action.ASK),
        (effect(EffectKind.DOWNLOAD, Place.HOST, "packages.example"), Told(is_suspect=True, asked=KNOWN), Action.ALLOW),
        (effect(EffectKind.DELETE, Place.WORKSPACE, "src"), Told(), Action.ALLOW),
        (effect(EffectKind.DELETE, Place.WORKSPACE, "src"), Told(is_suspect=True), Action.ASK),
        (effect(EffectKind.DELETE, Place.TEMP, "/tmp/x"), Told(is_suspect=True), Action.ALLOW),
        (effect(EffectKind.WRITE, Place.WORKSPACE, "src/a.py"), Told(is_suspect=True), Action.ALLOW),
        (effect(EffectKind.READ, Place.HOST, "evil.org"), Told(is_suspect=True), Action.ALLOW),
        (effect(EffectKind.READ, Place.HOST, "evil.org"), Told(is_suspect=True, untrusted=EVIL), Action.ASK),
        (effect(EffectKind.SEND, Place.HOST, "localhost"), Told(is_suspect=True), Action.TAG),
    ],
)
def test_what_others_may_have_asked_for_is_asked_about(found: Effect, conversation: Told, action: Action) -> None:
    said = judged("", found, conversation=conversation)
    assert said.action is action
    if action is Action.ASK:
        assert said.reasons[0].rule == "data-flow"


def test_data_flow_never_stops_where_nothing_is_stopped_and_can_be_switched_off() -> None:
    persists = effect(EffectKind.PERSIST, Place.WORKSPACE, "a.yml")
    assert judged('[calls]\npreset = "observe"', persists, conversation=Told()).action is Action.TAG
    assert judged("[calls]\ndata_flow = false", persists, conversation=Told()).action is Action.TAG


def test_what_a_rule_lets_go_data_flow_lets_go() -> None:
    persists = effect(EffectKind.PERSIST, Place.WORKSPACE, "a.yml")
    assert judged(rule("allow", 'effects = "persist"'), persists, conversation=Told()).action is Action.ALLOW


def test_what_is_written_and_not_run_is_tagged_at_most() -> None:
    judge = CallJudge(settings('[calls]\npreset = "production"'))
    call = judge.judge("Write", json.dumps({"file_path": "a.sh", "content": "rm -rf /\n"}))
    assert call.action is Action.TAG
    assert {reason.effect.rule for reason in call.reasons} >= {"effect-delete-whole-tree"}


def test_a_declared_tool_is_what_it_was_declared_to_be() -> None:
    text = '[[calls.tools]]\nname = "frob*"\nkind = "shell"\nargument = "line"\n[[calls.tools]]\nname = "*"\nkind = "data"\n'
    judge = CallJudge(settings(text))
    assert judge.judge("frobnicate", '{"line": "rm -rf /"}').action is Action.BLOCK
    assert judge.judge("bash", '{"command": "rm -rf /"}').action is Action.ALLOW


def test_words_say_what_and_why_and_nothing_of_the_call() -> None:
    judge = CallJudge(CallSettings())
    call = judge.judge("bash", json.dumps({"command": "rm -rf / secret-name"}), surroundings=Surroundings("/srv/x"))
    assert call.words.startswith("stopped: ")
    assert "preset developer" in call.words
    assert "secret-name" not in call.words
    assert "secret-name" not in repr(call)


def test_a_long_list_of_reasons_is_cut() -> None:
    effects = [Effect(kind=EffectKind.SEND, place=Place.HOST, because=f"reason {n}") for n in range(9)]
    assert judged("", *effects).words.endswith("and 4 more")
