"""Generated code in an answer: found wherever the stream is cut, held only where it may be blocked, noted where wished."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.events import Blocked, Event, FinishReason, Found, MessageEnd, PartEnd, PartKind, TextDelta, ToolCallDelta
from freehold.core.findings import Channel, Direction
from freehold.guard.weaknesses import stage as stage_module
from freehold.guard.weaknesses.fences import LIMIT_CHARS
from freehold.guard.weaknesses.settings import CodeRule, CodeSettings
from freehold.guard.weaknesses.stage import CodeStage
from freehold.guard.weaknesses.weakness import Weakness
from tests.guard.playing import cut

END = MessageEnd(finish_reason=FinishReason.STOP)
BAD = "import os\nos.system('ls ' + input())\n"
ANSWER = f"Here it is:\n\n```python\n{BAD}```\nMind the `input`.\n\n~~~js\neval(location.hash)\n~~~\nDone.\n"
BLOCKING = CodeSettings(rules=(CodeRule(id="no-commands", action="block", rules="command-injection"),))


def play(pieces: list[str], settings: CodeSettings | None = None) -> list[Event]:
    stage = CodeStage(settings or CodeSettings(), "digest")
    return [*(out for piece in pieces for out in stage.receive(TextDelta(text=piece))), *stage.close()]


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def rules(events: list[Event]) -> list[str]:
    return [event.finding.rule for event in events if isinstance(event, Found)]


@given(st.lists(st.integers(0, len(ANSWER)), max_size=40))
def test_where_the_stream_is_cut_does_not_matter(places: list[int]) -> None:
    whole, pieces = play([ANSWER]), play(cut(ANSWER, places))
    assert [event for event in pieces if isinstance(event, Found)] == [event for event in whole if isinstance(event, Found)]
    assert said(pieces) == ANSWER


def test_a_finding_says_where_the_code_stands_in_the_text() -> None:
    [first, second] = [event.finding for event in play([ANSWER]) if isinstance(event, Found)]
    assert ANSWER[first.start : first.end] == "os.system('ls ' + input())"
    assert ANSWER[second.start : second.end] == "eval(location.hash)"
    assert (first.category, first.channel, first.direction) == ("weakness", Channel.TEXT, Direction.RESPONSE)


def test_text_waits_for_nothing_where_nothing_can_block() -> None:
    stage = CodeStage(CodeSettings(), "digest")
    for char in ANSWER:
        assert [event for event in stage.receive(TextDelta(text=char)) if isinstance(event, TextDelta)] == [TextDelta(text=char)]


@given(st.lists(st.integers(0, len(ANSWER)), max_size=40))
def test_code_that_may_be_blocked_is_held_until_it_is_judged(places: list[int]) -> None:
    events = play(cut(ANSWER, places), BLOCKING)
    assert isinstance(events[-1], Blocked)
    assert "os.system" not in said(events)
    assert rules(events) == ["command-injection"]


@given(st.lists(st.integers(0, len(ANSWER)), max_size=40))
def test_held_code_goes_on_whole_when_it_is_clean(places: list[int]) -> None:
    settings = CodeSettings(rules=(CodeRule(id="no-hashes", action="block", rules="weak-hash"),))
    assert said(play(cut(ANSWER, places), settings)) == ANSWER


def test_nothing_follows_a_block() -> None:
    stage = CodeStage(BLOCKING, "digest")
    assert isinstance(stage.receive(TextDelta(text=ANSWER))[-1], Blocked)
    assert stage.receive(TextDelta(text="more")) == []
    assert stage.close() == []


def test_an_open_fence_is_judged_when_its_text_ends() -> None:
    for end in (PartEnd(kind=PartKind.TEXT), MessageEnd(finish_reason=FinishReason.LENGTH)):
        stage = CodeStage(CodeSettings(), "digest")
        assert rules(stage.receive(TextDelta(text="```python\n" + BAD))) == []
        out = stage.receive(end)
        assert rules(out) == ["command-injection"]
        assert out[-1] == end


def test_the_end_of_another_part_changes_nothing() -> None:
    stage = CodeStage(CodeSettings(), "digest")
    stage.receive(TextDelta(text="```python\n" + BAD, part=1))
    assert stage.receive(PartEnd(kind=PartKind.TEXT, part=0)) == [PartEnd(kind=PartKind.TEXT, part=0)]
    assert stage.receive(PartEnd(kind=PartKind.TOOL_CALL, part=1)) == [PartEnd(kind=PartKind.TOOL_CALL, part=1)]
    assert rules(stage.receive(PartEnd(kind=PartKind.TEXT, part=1))) == ["command-injection"]


def test_two_texts_at_once_are_kept_apart() -> None:
    stage = CodeStage(CodeSettings(), "digest")
    events: list[Event] = []
    for first, second in zip(cut(ANSWER, range(0, 200, 9)), cut(ANSWER, range(0, 200, 9)), strict=True):
        events += stage.receive(TextDelta(text=first, part=0))
        events += stage.receive(TextDelta(text=second, part=1, choice=1))
    parts = [event.finding.part for event in events if isinstance(event, Found)]
    assert sorted(parts) == [0, 0, 1, 1]


@given(st.lists(st.integers(0, len(ANSWER)), max_size=40))
def test_a_note_stands_behind_the_code_and_for_no_characters_of_its_own(places: list[int]) -> None:
    events = [event for event in play(cut(ANSWER, places), CodeSettings(annotate=True)) if isinstance(event, TextDelta)]
    stands_for = [len(event.text) if event.source_chars is None else event.source_chars for event in events]
    assert sum(stands_for) == len(ANSWER)
    noted = said(list(events))
    assert noted.count("> Check before use: line ") == 2
    assert "CWE-78)\n\nMind the" in noted


def test_tool_calls_are_left_to_others() -> None:
    stage = CodeStage(BLOCKING, "digest")
    call = ToolCallDelta(arguments="```python\n" + BAD + "```\n")
    assert stage.receive(call) == [call]


def test_nothing_is_looked_at_where_it_is_switched_off() -> None:
    assert rules(play([ANSWER], CodeSettings(enabled=False))) == []


def test_what_is_no_code_or_of_a_language_nobody_knows_has_no_findings() -> None:
    for fence in ("text", "brainfuck", ""):
        assert rules(play([f"```{fence}\nsome words that are no program\n```\n"])) == []


def test_a_longer_fence_holds_shorter_ones() -> None:
    assert rules(play([f"````markdown\n```python\n{BAD}```\n````\n"])) == []
    assert rules(play([f"````python\n{BAD}```\n````\n"])) == ["command-injection"]


@given(st.text(alphabet="`~\n ax>", max_size=80), st.lists(st.integers(0, 80), max_size=20))
def test_any_text_passes_unchanged_however_it_is_cut(text: str, places: list[int]) -> None:
    assert said(play(cut(text, places))) == text
    assert said(play(cut(text, places), BLOCKING)) == text


@pytest.mark.parametrize("size", [100, 256, 257, 5000])
def test_code_without_an_end_is_judged_at_the_limit_however_small_its_pieces(size: int) -> None:
    text = "```python\n" + "x = 1  # so it goes on\n" * (LIMIT_CHARS // 22)
    events = play([text[at : at + size] for at in range(0, len(text), size)])
    found = [event.finding for event in events if isinstance(event, Found)]
    assert [finding.rule for finding in found] == ["code-unread"]
    assert LIMIT_CHARS <= found[0].end - found[0].start <= LIMIT_CHARS + size


@given(st.lists(st.integers(0, len(ANSWER)), max_size=40), st.sampled_from([CodeSettings(), BLOCKING]))
def test_no_more_is_judged_at_once_than_was_said_before(places: list[int], settings: CodeSettings) -> None:
    stage, seen = CodeStage(settings, "digest"), list[int]()
    events = [*(TextDelta(text=piece) for piece in cut(ANSWER + "```js\neval(", places)), END, None]

    def find(text: str, *_: object) -> tuple[Weakness, ...]:
        seen.append(len(text))
        return ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_module, "LOOKS", {"all": find})
        for event in events:
            weight = stage.weighs(event)
            before = len(seen)
            _ = stage.close() if event is None else stage.receive(event)
            assert sum(seen[before:]) <= weight
    assert len(seen) == 3
