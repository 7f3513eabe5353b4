import dataclasses
from base64 import b64encode
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InternalError, UpstreamBroken
from freehold.core.events import (
    Blocked,
    Event,
    FinishReason,
    Found,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    PromptText,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.findings import Action, Channel, Context, Direction, Mode
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.config import RuleConfig
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.examples import sample
from tests.guard.playing import ENGINES, KINDS, Kind, cut, delta, findings_of, flat, guard, play, said, strict_guard, text_of

TOKEN = "ghp_" + sample(36)
KEY = "AKIA" + "QZ3MR7XKD2VWTN5B"
MASK = "[REDACTED:github-token]"
BEGIN, END = "-----BEGIN RSA PRIVATE KEY" + "-----", "-----END RSA PRIVATE KEY-----"
PEM = "\n".join([BEGIN, *(sample(64) for _ in range(40)), sample(22) + "==", END])
CARD = "4539 5787 6362 1486"

EXAMPLES = [example for detector in DETECTORS for example in detector.must_match]
FILLERS = [
    "hello world ",
    "1 2 3 4 ",
    "THE ABC 12 ",
    "x = {",
    "\n",
    "日本語",
    'password = "',
    "\\n",
    "%41%42 ",
    "I a b c d e f g ",
    "key: ",
]
FILLERS += [
    '"',
    "&#65;&amp;",
    "-----BEGIN RSA ",
    BEGIN + "\n",
    "aaa\u200bbbb ",
    "é",
    "Ｔｅｓｔ ",
    "(",
    ")",
    "1" * 30,
    "12 " * 200,
    " ",
    "\\",
]
texts = st.lists(st.sampled_from(EXAMPLES) | st.sampled_from(FILLERS) | st.text(max_size=8), min_size=1, max_size=6).map("".join)
_Spoken = tuple[tuple[Kind, int, int], str, list[int]]
places = st.lists(st.integers(0, 400), max_size=10)


@given(texts, places, st.sampled_from(KINDS))
@settings(max_examples=120)
def test_where_the_stream_is_cut_does_not_matter(whole: str, at: list[int], kind: Kind) -> None:
    expected = said(strict_guard("hyperscan"), [whole], kind)
    for engine in ENGINES:
        assert said(strict_guard(engine), cut(whole, at), kind) == expected
        assert said(strict_guard(engine), list(whole), kind) == expected


@pytest.mark.parametrize("whole", ["address 2 O. 2 Attic", "Mail 7 N. Oak St, home address: 12 A 3 Elm"])
def test_what_comes_later_joins_nothing_before_it(whole: str) -> None:
    assert said(strict_guard(), list(whole)) == said(strict_guard(), [whole])


@pytest.mark.parametrize("turn", range(3))
def test_every_detectors_examples_are_masked_one_character_at_a_time_and_no_prefix_holds_a_part(turn: int) -> None:
    for number, detector in enumerate(DETECTORS[turn::3]):  # hundreds of detectors: each has its turn in one kind of channel
        kind, example = KINDS[number % 3], detector.must_match[number % len(detector.must_match)]
        whole = example if detector.after.endswith("$") else f"so {example} it is."
        events = play(strict_guard(), [delta(kind, char) for char in whole])
        sent, findings = text_of(flat(events)), findings_of(flat(events))
        assert findings, (detector.id, example)
        assert sent == _masked(whole, sent, [(f.start, f.end) for f in findings]), detector.id


def _masked(whole: str, sent: str, spans: list[tuple[int, int]]) -> str:
    """`whole` with the masks of `sent` in place of `spans`: so nothing else of it was sent, changed or lost."""
    masks = iter(piece.partition("]")[0] for piece in sent.split("[REDACTED:")[1:])
    out, at = "", 0
    for start, end in spans:
        out += whole[at:start] + f"[REDACTED:{next(masks)}]"
        at = end
    return out + whole[at:]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "secret", [TOKEN, f"hello{TOKEN}", f"é{TOKEN}", KEY, CARD, PEM, f"password = '{sample(12)} {sample(5)}'"]
)
def test_a_secret_cut_in_two_anywhere_never_leaks(secret: str, engine: str) -> None:
    asked = strict_guard("hyperscan" if engine == "hyperscan" else "re2")
    whole = f"Use {secret} now."
    expected, _ = said(asked, [whole])
    assert secret[-6:] not in expected.replace(" now.", "")
    assert expected.startswith("Use ")
    assert expected.endswith(" now.")
    for place in range(0, len(whole), 1 if len(whole) < 100 else 37):
        assert said(asked, [whole[:place], whole[place:]])[0] == expected


@pytest.mark.parametrize(
    "written",
    [
        TOKEN.replace("_", "%5F"),
        "".join(f"%{ord(c):02x}" for c in TOKEN),
        "".join(f"\\u{ord(c):04x}" for c in TOKEN),
        "".join(f"&#{ord(c)};" for c in TOKEN),
        "".join(f"&#x{ord(c):x};" for c in TOKEN),
        "".join(chr(ord(c) + 0xFEE0) for c in TOKEN),
        "\u200b".join(TOKEN),
        "\u00ad".join(TOKEN),
        " ".join(TOKEN),
        TOKEN[::-1],
        TOKEN.encode().hex(),
        b64encode(f"key {TOKEN}".encode()).decode(),
        b64encode(TOKEN.encode().hex().encode()).decode(),
    ],
)
def test_a_disguised_token_is_masked_wherever_it_is_cut(written: str) -> None:
    expected, findings = said(guard(), [f"say {written} ok"])
    assert expected == f"say {MASK} ok"
    assert [(f.start, f.end) for f in findings] == [(4, 4 + len(written))]
    assert said(guard(), list(f"say {written} ok"))[0] == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (f"\x1b[32m{TOKEN}\x1b[0m", f"\x1b[32m{MASK}\x1b[0m"),
        (f"\x1b[38;2;255;100;20m{TOKEN}\x1b[m", f"\x1b[38;2;255;100;20m{MASK}\x1b[m"),
        (f"\x1b[01;31m\x1b[K{TOKEN[:6]}\x1b[m\x1b[K{TOKEN[6:]}", f"\x1b[01;31m\x1b[K{MASK}"),
        (f"\\u001b[1m{TOKEN}\\u001b[0m", f"\\u001b[1m{MASK}\\u001b[0m"),
    ],
)
def test_a_token_in_the_colours_of_a_terminal_is_masked_wherever_it_is_cut(written: str, expected: str) -> None:
    for pieces in ([f"say {written} ok"], list(f"say {written} ok")):
        assert said(guard(), pieces)[0] == f"say {expected} ok"


def test_a_pem_block_without_end_is_masked_and_what_follows_is_sent() -> None:
    cut_short = PEM.removesuffix(END)
    sent, _ = said(guard(), list(f"{cut_short}That was it."))
    assert sent == "[REDACTED:private-key]\nThat was it." or sent == "[REDACTED:private-key]That was it."


def test_a_token_longer_than_any_unit_is_masked_to_its_end() -> None:
    whole = "a eyJhbGciOiJIUzI1NiJ9.eyJ" + "aB3" * 9000 + " end"
    sent, findings = said(guard(), [whole])
    assert sent == "a [REDACTED:json-web-token] end"
    assert (findings[0].start, findings[0].end) == (2, len(whole) - 4)
    assert said(guard(), cut(whole, range(0, len(whole), 997)))[0] == sent


def test_a_card_in_an_endless_row_of_digit_groups_is_masked() -> None:
    whole = "12 " * 300 + CARD + " 12" * 300
    sent, _ = said(strict_guard(), [whole])
    assert "[REDACTED:payment-card]" in sent
    assert CARD not in sent
    assert said(strict_guard(), list(whole))[0] == sent


@pytest.mark.parametrize("text", ["a" * 70_000, "QUJD" * 20_000, "1 2 " * 20_000, "word " * 20_000, "日本語" * 20_000])
def test_a_very_long_delta_comes_out_as_it_was(text: str) -> None:
    assert said(guard(), [text])[0] == text


def test_what_is_held_is_bounded() -> None:
    stage = guard().stage(Direction.RESPONSE)
    sent = sum(len(text_of(stage.receive(TextDelta(text="Qz9" * 100)))) for _ in range(100))
    assert 30_000 - sent <= 9000


def test_clean_text_is_sent_word_by_word() -> None:
    stage = guard().stage(Direction.RESPONSE)
    assert [text_of(stage.receive(TextDelta(text=t))) for t in ("Good ", "mor", "ning to", " you")] == [
        "Good ",
        "",
        "morning ",
        "to ",
    ]
    assert text_of(stage.close()) == "you"


def test_secrets_in_escaped_json_strings_are_found_and_the_json_stays_whole() -> None:
    arguments = '{"script": "export A=1\\nTOKEN=\\"' + TOKEN + '\\"\\n", "n": 1}'
    sent, _ = said(guard(), list(arguments), ToolCallDelta)
    assert sent == arguments.replace(TOKEN, MASK)


def test_complete_text_before_a_tool_call_is_sent_before_it_and_the_open_word_when_the_message_ends() -> None:
    events: list[Event] = [
        TextDelta(text="I will loo"),
        TextDelta(text="k"),
        ToolCallStart(call_id="c1", name="look"),
        ToolCallDelta(arguments='{"a": 1}'),
        MessageEnd(finish_reason=FinishReason.TOOL_CALLS),
    ]
    steps = play(guard(), events)
    assert flat(steps[:3]) == [TextDelta(text="I will "), ToolCallStart(call_id="c1", name="look")]
    assert steps[4][0] == TextDelta(text="look")
    assert steps[4][-1] == events[-1]
    assert [_text(flat(steps), kind) for kind in (TextDelta, ToolCallDelta)] == ["I will look", '{"a": 1}']


def _text(events: list[Event], kind: Kind, choice: int = 0, part: int = 0) -> str:
    return text_of(e for e in events if isinstance(e, kind) and (e.choice, e.part) == (choice, part))


@pytest.mark.parametrize(
    "between",
    [
        [ReasoningDelta(text="let me think. ")],
        [ToolCallStart(call_id="c1", name="look"), ToolCallDelta(arguments="{}")],
        [TextDelta(text="another ", choice=1), MessageEnd(finish_reason=FinishReason.STOP, choice=1)],
        [Usage(input_tokens=1, output_tokens=2)],
    ],
)
@pytest.mark.parametrize(
    "secret", [TOKEN, f"hello{TOKEN}", f"é{TOKEN}", KEY, CARD, PEM, f"password = '{sample(12)} {sample(5)}'"]
)
def test_a_value_interrupted_anywhere_by_anything_is_masked_whole(secret: str, between: list[Event]) -> None:
    whole = f"Use {secret} now."
    expected, _ = said(strict_guard(), [whole])
    for place in range(4, len(whole), 1 if len(whole) < 100 else 97):
        events = [TextDelta(text=whole[:place]), *between, TextDelta(text=whole[place:])]
        assert _text(flat(play(strict_guard(), events)), TextDelta) == expected


channels = st.tuples(st.sampled_from(KINDS), st.integers(0, 1), st.integers(0, 1))


@given(st.lists(st.tuples(channels, texts, places), min_size=1, max_size=4, unique_by=lambda said: said[0]), st.randoms())
@settings(max_examples=60)
def test_however_channels_interleave_each_says_what_it_says_uncut(spoken: list[_Spoken], chance: Random) -> None:
    waiting = [[delta(kind, piece, choice, part) for piece in cut(whole, at)] for (kind, choice, part), whole, at in spoken]
    events: list[Event] = []
    while waiting := [pieces for pieces in waiting if pieces]:
        events.append(chance.choice(waiting).pop(0))
        if chance.random() < 0.2:
            events.append(ToolCallStart(call_id="c", name="look", choice=chance.randint(0, 1), part=5))
    events += [MessageEnd(finish_reason=FinishReason.STOP, choice=choice) for choice in (0, 1)]
    out = flat(play(strict_guard(), events))
    for (kind, choice, part), whole, _ in spoken:
        assert _text(out, kind, choice, part) == said(strict_guard(), [whole], kind)[0]


def test_what_comes_after_the_end_of_its_choice_breaks_the_stream() -> None:
    stage = guard().stage(Direction.RESPONSE)
    stage.receive(TextDelta(text=KEY[:9]))
    stage.receive(MessageEnd(finish_reason=FinishReason.STOP))
    with pytest.raises(UpstreamBroken):
        stage.receive(TextDelta(text=KEY[9:]))


def test_more_channels_than_an_answer_can_have_break_the_stream() -> None:
    with pytest.raises(UpstreamBroken, match="1024"):
        play(guard(), [ToolCallDelta(arguments="a", part=part) for part in range(1025)])


def test_choices_and_parts_are_kept_apart_however_they_interleave() -> None:
    events: list[Event] = []
    for char in TOKEN:
        events += [TextDelta(text=char), TextDelta(text=char, choice=1), ToolCallDelta(arguments=char, part=1, choice=2)]
        events += [ToolCallDelta(arguments=char, part=2, choice=2)]
    out = flat(play(guard(), events))
    assert text_of(out) == MASK * 4
    assert len(findings_of(out)) == 4


def test_thinking_and_answer_are_each_sent_word_by_word() -> None:
    steps = play(guard(), [ReasoningDelta(text="hmm ok"), TextDelta(text="Yes "), TextDelta(text="sir")])
    assert steps[:3] == [[ReasoningDelta(text="hmm ")], [TextDelta(text="Yes ")], []]
    assert steps[3] == [ReasoningDelta(text="ok"), TextDelta(text="sir")]


def test_events_without_text_pass_untouched_and_in_order() -> None:
    start = MessageStart(served=ServedBy(provider="p", model="m"))
    usage = Usage(input_tokens=1, output_tokens=2)
    end = MessageEnd(finish_reason=FinishReason.STOP)
    assert flat(play(guard(), [start, usage, end])) == [start, usage, end]


def test_a_tools_name_is_text_too() -> None:
    out = flat(play(guard(), [ToolCallStart(call_id="c", name=TOKEN)]))
    assert [e.name for e in out if isinstance(e, ToolCallStart)] == [MASK]


def test_a_prompt_leaf_is_scanned_whole_and_keeps_its_number() -> None:
    clean = PromptText(leaf=3, channel=Channel.USER, text="hello")
    out = flat(play(guard(), [clean, PromptText(leaf=4, channel=Channel.SYSTEM, text=f"use {TOKEN}")], Direction.REQUEST))
    found, masked = out[1:]
    assert out[0] is clean
    assert isinstance(found, Found)
    assert (found.finding.channel, found.finding.part, found.finding.start) == (Channel.SYSTEM, 4, 4)
    assert masked == PromptText(leaf=4, channel=Channel.SYSTEM, text=f"use {MASK}")


def test_a_finding_never_holds_the_value() -> None:
    _, (finding,) = said(guard(), [f"use {TOKEN}"])
    assert TOKEN not in str(dataclasses.asdict(finding))


def test_a_rule_in_shadow_is_recorded_and_changes_nothing() -> None:
    sent, (finding,) = said(guard(), ["write to ada@lovelace.org now"])
    assert sent == "write to ada@lovelace.org now"
    assert (finding.rule, finding.mode, finding.enforced) == ("email", Mode.SHADOW, Action.ALLOW)


def test_after_blocked_nothing_is_sent() -> None:
    asked = StreamGuard(GuardConfig(engine="re2", rules={"github-token": RuleConfig(action="block")}))
    steps = play(
        asked, [TextDelta(text=f"one {TOKEN} two "), TextDelta(text="three "), MessageEnd(finish_reason=FinishReason.STOP)]
    )
    out = flat(steps)
    assert isinstance(out[-1], Blocked)
    assert out[-1].verdict.action is Action.BLOCK
    assert "two" not in text_of(out)
    assert TOKEN[:8] not in text_of(out)
    assert steps[1:] == [[], [], []]


def test_a_stage_that_failed_sends_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = guard().stage(Direction.RESPONSE)
    stage.receive(TextDelta(text="half a wor"))

    def broken(*_: object) -> bytes:
        raise RuntimeError

    monkeypatch.setattr("freehold.guard.channel.last_boundary", broken)
    with pytest.raises(RuntimeError):
        stage.receive(TextDelta(text="d"))
    monkeypatch.undo()
    with pytest.raises(InternalError):
        stage.receive(TextDelta(text="d"))
    with pytest.raises(InternalError):
        stage.close()


def _tokens(text: str, size: int = 4) -> tuple[TokenLogprob, ...]:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    return tuple(TokenLogprob(token=p, token_bytes=p.encode(), logprob=-1.0, top=((p, p.encode(), -1.0),)) for p in pieces)


def test_log_probabilities_go_with_their_text_and_not_with_what_is_masked() -> None:
    whole = f"here it is {TOKEN} and more"
    events = [TextDelta(text=t.token, logprobs=(t,)) for t in _tokens(whole)]
    out = flat(play(guard(), events))
    released = [entry.token for event in out if isinstance(event, TextDelta) for entry in event.logprobs]
    assert released[:2] == ["here", " it "]
    assert not any(token in TOKEN for token in released)
    assert released[-1] == "more"
    so_far = shown = ""
    for event in out:
        if isinstance(event, TextDelta):
            so_far += event.text
            shown += "".join(entry.token for entry in event.logprobs)
            assert len(shown) <= len(so_far)


def test_log_probabilities_that_are_not_of_the_text_are_dropped() -> None:
    event = TextDelta(text="hello there ", logprobs=_tokens("hello ") + _tokens(TOKEN))
    out = flat(play(guard(), [event]))
    assert text_of(out) == "hello there "
    assert not [entry for e in out if isinstance(e, TextDelta) for entry in e.logprobs]


def test_a_thoughts_seal_is_scanned_and_left_out_where_it_would_be_changed() -> None:
    stage = StreamGuard(GuardConfig()).open(Context()).stage(Direction.RESPONSE)
    seal = PartEnd(kind=PartKind.REASONING, part=0, signature="EqQBCkYIBBgCKkBp")
    assert stage.receive(seal) == [seal]
    events = stage.receive(PartEnd(kind=PartKind.REASONING, part=1, signature="ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"))
    assert [event.signature for event in events if isinstance(event, PartEnd)] == [None]
    assert any(isinstance(event, Found) for event in events)
