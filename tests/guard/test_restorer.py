"""Tokens out and values back, through the guard's own sessions."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import (
    FIRST_REFUSAL_PART,
    Event,
    FinishReason,
    MessageEnd,
    PartEnd,
    PartKind,
    Payload,
    PayloadLeaf,
    PromptText,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
)
from freehold.core.findings import Action, Channel, Context, Direction
from freehold.core.stage import Stage
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.policy_file import PolicySource
from freehold.guard.stream_guard import Chain
from tests.guard.playing import KEY, cut, findings_of, flat, text_of

POLICY = """
[[rules]]
id = "people"
detectors = ["email", "payment-card", "iban", "ip-address", "ipv6-address"]
categories = ["names"]
action = "tokenise"
{shape}

[[dictionaries]]
id = "customers"
category = "names"
terms = ["Ada Lovelace", 'Grace "Amazing" Hopper']

[tokens]
trusted_tools = ["send_*"]
"""
MAIL, OTHER_MAIL = "ada@lovelace.org", "grace@hopper.net"
ALICE, BOB = Context(key_id="key_alice"), Context(key_id="key_bob")


def guard_with(shape: str = "token", now: list[float] | None = None) -> StreamGuard:
    text = POLICY.replace("{shape}", f'format = "{shape}"')
    clock = now if now is not None else [0.0]
    return StreamGuard(
        GuardConfig(engine="re2"), policy=PolicySource(name="policy.toml", text=text), key=KEY, monotonic_s=lambda: clock[0]
    )


TOKENS, PRESERVING = guard_with(), guard_with("preserving")


def asked(guard: StreamGuard, text: str, context: Context = ALICE) -> str:
    """`text` as a provider gets it."""
    stage = guard.open(context).stage(Direction.REQUEST)
    return text_of([*stage.receive(PromptText(leaf=0, channel=Channel.USER, text=text)), *stage.close()])


def answered(guard: StreamGuard, events: list[Event], context: Context = ALICE) -> list[Event]:
    """What the client gets of an answer."""
    session = guard.open(context)
    restorer = session.restorer()
    stage: Stage = session.stage(Direction.RESPONSE)
    if restorer is not None:
        stage = Chain(stage, restorer)
    return [*flat(stage.receive(event) for event in events), *stage.close()]


@pytest.mark.parametrize("guard", [TOKENS, PRESERVING], ids=["token", "preserving"])
def test_a_value_leaves_as_a_token_and_comes_back(guard: StreamGuard) -> None:
    for value in (MAIL, "4539 5787 6362 1486", "DE89370400440532013000", "10.20.30.40", "Ada Lovelace"):
        sent = asked(guard, f"write to {value}, please")
        assert value not in sent, value
        assert sent.startswith("write to ")
        assert sent.endswith(", please")
        assert text_of(answered(guard, [TextDelta(text=sent)])) == f"write to {value}, please"


def test_a_token_says_its_kind_and_is_the_same_for_the_same_value_and_another_for_another_key() -> None:
    first = asked(TOKENS, MAIL)
    assert first.startswith("<<EMAIL_")
    assert first == asked(TOKENS, MAIL) == asked(guard_with(), MAIL)
    assert first != asked(TOKENS, OTHER_MAIL)
    assert first != asked(TOKENS, MAIL, BOB)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_value_that_json_in_a_text_escapes_has_the_token_that_it_has_anyway(depth: int) -> None:
    plain = "jörg.lovelace@lovelace.org"
    written = plain
    for _ in range(depth):
        written = json.dumps(written)
    token = asked(TOKENS, f"write to {plain} now").split()[2]
    assert token in asked(TOKENS, written)
    assert text_of(answered(TOKENS, [TextDelta(text=f"to {token}")])) == f"to {plain}"


def test_what_keeps_its_shape_is_nobodys() -> None:
    assert asked(PRESERVING, MAIL).endswith("@example.com")
    card = asked(PRESERVING, "4539 5787 6362 1486")
    assert [len(group) for group in card.split()] == [4, 4, 4, 4]
    assert card.replace(" ", "").isdigit()
    assert asked(PRESERVING, "10.20.30.40").rpartition(".")[0] in ("192.0.2", "198.51.100", "203.0.113")
    assert asked(PRESERVING, "DE89370400440532013000").isidentifier()


def test_a_token_that_was_never_issued_stays() -> None:
    asked(TOKENS, MAIL)
    assert text_of(answered(TOKENS, [TextDelta(text="<<EMAIL_00000000>> and <<X>> < <<")])) == "<<EMAIL_00000000>> and <<X>> < <<"


def test_another_keys_token_stays() -> None:
    token = asked(TOKENS, MAIL, BOB)
    asked(TOKENS, OTHER_MAIL, ALICE)
    assert text_of(answered(TOKENS, [TextDelta(text=token)], ALICE)) == token
    assert text_of(answered(TOKENS, [TextDelta(text=token)], BOB)) == MAIL


def test_without_tokens_there_is_no_restorer() -> None:
    assert guard_with().open(ALICE).restorer() is None


def test_a_session_without_a_key_shares_its_tokens_with_no_other() -> None:
    guard = guard_with()
    token = asked(guard, MAIL, Context())
    assert guard.open(Context()).restorer() is None
    assert text_of(answered(guard, [TextDelta(text=token)], Context())) == token


def test_a_token_is_forgotten_after_its_time() -> None:
    now = [0.0]
    guard = guard_with(now=now)
    token = asked(guard, MAIL)
    now[0] = 3599.0
    assert text_of(answered(guard, [TextDelta(text=token)])) == MAIL
    now[0] = 3601.0
    assert text_of(answered(guard, [TextDelta(text=token)])) == token
    assert asked(guard, MAIL) == token
    assert MAIL not in repr(guard.open(ALICE).__dict__)


def test_an_answer_that_repeats_a_token_of_natural_shape_is_not_masked() -> None:
    strict = StreamGuard(
        GuardConfig(engine="re2"),
        policy=PolicySource(name="p", text='[[rules]]\nid="a"\ndetectors="email"\naction="tokenise"\nformat="preserving"\n'),
        key=KEY,
    )
    token = asked(strict, MAIL)
    events = answered(strict, [TextDelta(text=f"to {token} and {OTHER_MAIL} now")])
    assert text_of(events) == f"to {MAIL} and [REDACTED:email] now"
    assert [f.action for f in findings_of(events)] == [Action.MASK]


def test_a_token_in_a_past_turn_is_not_made_a_token_again() -> None:
    token = asked(PRESERVING, MAIL)
    assert asked(PRESERVING, f"you wrote to {token}") == f"you wrote to {token}"


places = st.lists(st.integers(0, 300), max_size=12)
kinds = st.sampled_from([TextDelta, ReasoningDelta])
parts = st.lists(
    st.sampled_from(
        [
            MAIL,
            OTHER_MAIL,
            "Ada Lovelace",
            "4539 5787 6362 1486",
            "10.20.30.40",
            "<",
            "<<",
            "<<EMAIL_",
            "user-",
            " ",
            "日本",
            "x",
            "12",
        ]
    ),
    max_size=8,
).map(" ".join)


@pytest.mark.parametrize("guard", [TOKENS, PRESERVING], ids=["token", "preserving"])
@given(parts, places, kinds)
@settings(max_examples=60)
def test_where_an_answer_is_cut_does_not_matter(guard: StreamGuard, said: str, at: list[int], kind: type[TextDelta]) -> None:
    sent = asked(guard, said)
    expected = text_of(answered(guard, [kind(text=sent)]))
    assert expected == said
    for pieces in (cut(sent, at), list(sent)):
        events = answered(guard, [kind(text=piece) for piece in pieces])
        assert text_of(events) == expected
        deltas = [e for e in events if isinstance(e, TextDelta | ReasoningDelta)]
        assert sum(len(e.text) if e.source_chars is None else e.source_chars for e in deltas) == len(sent)


def call(name: str, pieces: list[str]) -> list[Event]:
    return [ToolCallStart(call_id="c1", name=name, part=1), *(ToolCallDelta(arguments=piece, part=1) for piece in pieces)]


def test_in_arguments_values_come_back_for_trusted_tools_alone() -> None:
    token = asked(TOKENS, MAIL)
    written = json.dumps({"to": token})
    for pieces in ([written], list(written)):
        assert json.loads(text_of(answered(TOKENS, call("send_mail", pieces)))) == {"to": MAIL}
        assert json.loads(text_of(answered(TOKENS, call("http_post", pieces)))) == {"to": token}


def test_in_arguments_values_are_escaped_and_escaped_tokens_known() -> None:
    value = 'Grace "Amazing" Hopper'
    token = asked(TOKENS, value)
    assert token.startswith("<<CUSTOMERS_")
    plain = json.dumps({"n": token})
    for written in (plain, *(plain.replace("<", f"\\u003{low}").replace(">", f"\\u003{high}") for low, high in ("ce", "CE"))):
        for pieces in ([written], list(written)):
            assert json.loads(text_of(answered(TOKENS, call("send_mail", pieces)))) == {"n": value}


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_a_text_that_was_asked_for_as_json_stays_json(place: int) -> None:
    name = 'Grace "Amazing" Hopper'
    source = json.dumps({"name": asked(TOKENS, name)})
    session = TOKENS.open(ALICE)
    restorer = session.restorer(in_json=True)
    assert restorer is not None
    said: list[Event] = [TextDelta(text=piece) for piece in (source[:place], source[place:])]
    refused = TextDelta(text=asked(TOKENS, name), part=FIRST_REFUSAL_PART)
    leaf = PromptText(leaf=0, channel=Channel.SUMMARY, text=source)
    events = [*flat(restorer.receive(event) for event in (*said, refused, leaf)), *restorer.close()]
    texts = [event for event in events if isinstance(event, TextDelta)]
    assert json.loads("".join(event.text for event in texts if event.part == 0)) == {"name": name}
    assert "".join(event.text for event in texts if event.part) == name
    assert [json.loads(event.text) for event in events if isinstance(event, PromptText)] == [{"name": name}]


def test_an_escaped_backslash_before_a_tokens_escape_is_no_token() -> None:
    token = asked(TOKENS, MAIL)
    written = json.dumps({"n": "\\" + token}).replace("\\\\<", "\\\\u003c", 1)
    assert text_of(answered(TOKENS, call("send_mail", [written]))) == written


def payload(document: object, *leaves: tuple[tuple[str | int, ...], str]) -> list[Event]:
    noted = tuple(PayloadLeaf(leaf=n, path=path, text=text) for n, (path, text) in enumerate(leaves))
    texts = [PromptText(leaf=n, channel=Channel.SUMMARY, text=text) for n, (_, text) in enumerate(leaves)]
    return [Payload(data=json.dumps(document).encode(), number=0, leaves=noted), *texts]


def test_strings_of_a_payload_are_restored_and_arguments_in_it_follow_their_tool() -> None:
    token = asked(TOKENS, MAIL)
    arguments = json.dumps({"to": token})
    for name, expected in (("send_mail", {"to": MAIL}), ("other", {"to": token})):
        document = {"item": {"name": name, "arguments": arguments}, "text": token}
        events = answered(TOKENS, payload(document, (("item", "arguments"), arguments), (("text",), token)))
        texts = [event.text for event in events if isinstance(event, PromptText)]
        assert json.loads(texts[0]) == expected
        assert texts[1] == MAIL
        done: list[Event] = payload({"arguments": arguments, "output_index": 1}, (("arguments",), arguments))
        events = answered(TOKENS, [*call(name, [arguments]), *done])
        assert json.loads(next(event.text for event in events if isinstance(event, PromptText))) == expected


def test_arguments_of_nobody_knows_whose_stay_tokens() -> None:
    token = asked(TOKENS, MAIL)
    arguments = json.dumps({"to": token})
    events = answered(TOKENS, payload({"arguments": arguments}, (("arguments",), arguments)))
    assert [event.text for event in events if isinstance(event, PromptText)] == [arguments]


def test_a_part_of_a_token_is_sent_when_its_text_ends() -> None:
    token = asked(TOKENS, MAIL)
    ends: list[Event] = [PartEnd(kind=PartKind.TEXT), MessageEnd(finish_reason=FinishReason.STOP)]
    for end in ends:
        events = answered(TOKENS, [TextDelta(text=token[:9]), end])
        assert text_of(events) == token[:9]
        assert events[-1] == end


def test_text_goes_on_before_the_token_is_whole_and_nothing_else_is_held() -> None:
    token = asked(TOKENS, MAIL)
    restorer = TOKENS.open(ALICE).restorer()
    assert restorer is not None
    whole = TextDelta(text="a b < c")
    assert restorer.receive(whole) == [whole]
    assert restorer.receive(TextDelta(text=f"mail {token[:4]}")) == [TextDelta(text="mail ")]
    assert restorer.receive(TextDelta(text=f"{token[4:]} ok")) == [
        TextDelta(text=MAIL, source_chars=len(token)),
        TextDelta(text=" ok"),
    ]


def test_a_delta_with_log_probabilities_is_not_cut_and_loses_them_with_its_text() -> None:
    token = asked(TOKENS, MAIL)
    restorer = TOKENS.open(ALICE).restorer()
    assert restorer is not None

    def spoken(text: str) -> TextDelta:
        return TextDelta(text=text, logprobs=(TokenLogprob(token=text, token_bytes=text.encode(), logprob=-1.0),))

    assert restorer.receive(spoken("a <<")) == []
    assert restorer.receive(spoken("b ")) == [spoken("a <<"), spoken("b ")]
    assert restorer.receive(spoken(token[:5])) == []
    after = restorer.receive(spoken(token[5:]))
    assert after == [TextDelta(text=MAIL, source_chars=len(token))]
    assert restorer.receive(spoken("end")) == [spoken("end")]


def test_what_another_stage_put_in_a_values_place_is_never_looked_into_nor_joined() -> None:
    token = asked(TOKENS, MAIL)
    restorer = TOKENS.open(ALICE).restorer()
    assert restorer is not None
    masked = TextDelta(text=token, source_chars=7)
    assert restorer.receive(TextDelta(text="x " + token[:6])) == [TextDelta(text="x ")]
    assert restorer.receive(masked) == [TextDelta(text=token[:6]), masked]
    assert restorer.close() == []
