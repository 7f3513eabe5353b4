import json
from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken
from freehold.core.events import (
    Alerted,
    Blocked,
    Event,
    FinishReason,
    Found,
    Held,
    MessageEnd,
    PartEnd,
    PartKind,
    ReasoningDelta,
    Refused,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.findings import Action, Channel, Direction, Finding, Mode, Verdict
from freehold.guard.calls.judge import CallJudge
from freehold.guard.calls.settings import CallRule, CallSettings
from freehold.guard.calls.stage import EVENT_CHARS, LIMIT_CALL_CHARS, LIMIT_HELD_CHARS, LIMIT_OPEN, CallStage
from freehold.guard.calls.written import Written
from tests.fakes import ledger

ALLOWED = '{"command": "ls -la"}'
ASKED = '{"command": "touch /etc/motd"}'
STOPPED = '{"command": "rm -rf /"}'
END = MessageEnd(finish_reason=FinishReason.TOOL_CALLS)


def call(arguments: str, *, name: str = "bash", part: int = 0, choice: int = 0, size: int = 5, ends: bool = True) -> list[Event]:
    pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]
    return [
        ToolCallStart(call_id=f"call_{part}", name=name, choice=choice, part=part),
        *(ToolCallDelta(arguments=piece, choice=choice, part=part) for piece in pieces),
        *([PartEnd(kind=PartKind.TOOL_CALL, choice=choice, part=part)] if ends else []),
    ]


def stage(**settings: object) -> CallStage:
    return CallStage(CallJudge(CallSettings(**settings)))  # type: ignore[arg-type]


def play(through: CallStage, events: Iterable[Event]) -> list[Event]:
    return [*(out for event in events for out in through.receive(event)), *through.close()]


def found(events: Iterable[Event]) -> list[Finding]:
    return [event.finding for event in events if isinstance(event, Found)]


def only(events: Sequence[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_a_call_that_may_go_on_goes_on_as_it_came_once_it_is_whole() -> None:
    events = call(ALLOWED)
    through = stage()
    assert [out for event in events[:-1] for out in through.receive(event)] == []
    assert through.receive(events[-1]) == events


def test_text_goes_on_while_a_call_is_held() -> None:
    through = stage()
    through.receive(ToolCallStart(call_id="c", name="bash", part=1))
    for event in (TextDelta(text="a"), ReasoningDelta(text="b"), Usage(input_tokens=1, output_tokens=1)):
        assert through.receive(event) == [event]
    assert through.receive(PartEnd(kind=PartKind.TEXT)) == [PartEnd(kind=PartKind.TEXT)]


def test_a_call_that_is_noted_goes_on_with_what_was_found() -> None:
    events = call(ASKED)
    out = play(stage(preset="observe"), events)
    assert out[-len(events) :] == events
    assert {(f.rule, f.action, f.mode) for f in found(out)} >= {("effect-write-system", Action.TAG, Mode.ENFORCE)}


def test_a_call_that_a_person_is_asked_about_is_held_with_both_outcomes() -> None:
    events = call(ASKED)
    out = play(stage(ask_timeout_s=7.0), events)
    (held,) = only(out, Held)
    assert isinstance(held, Held)
    assert out[-1] == held
    assert (held.tool, held.arguments, held.timeout_s, held.released) == ("bash", ASKED, 7.0, tuple(events))
    assert held.judgement.action is Action.ASK
    assert held.refused == Refused(choice=0, part=0, call_id="call_0", tool="bash", text=held.refused.text)
    assert "needs a person's approval" in held.refused.text


def test_a_call_that_is_stopped_is_refused_in_words_a_model_can_act_on() -> None:
    out = play(stage(), call(STOPPED))
    (refused,) = only(out, Refused)
    assert isinstance(refused, Refused)
    assert "was not run" in refused.text
    assert "preset developer" in refused.text
    assert "What you may do instead" in refused.text
    assert "rm -rf" not in refused.text
    assert not only(out, ToolCallStart)
    finding = found(out)[0]
    assert (finding.rule, finding.category, finding.action) == ("effect-delete-whole-tree", "effect", Action.BLOCK)
    assert (finding.direction, finding.channel, finding.part) == (Direction.RESPONSE, Channel.TOOL_ARGUMENTS, 0)
    assert (finding.start, finding.end) == (0, len(STOPPED))


def test_where_no_ends_are_marked_a_call_ends_with_its_choice() -> None:
    interleaved = [
        event for pair in zip(call(ALLOWED, part=0, ends=False), call(ALLOWED, part=1, ends=False), strict=True) for event in pair
    ]
    through = stage()
    assert [out for event in interleaved for out in through.receive(event)] == []
    other = MessageEnd(finish_reason=FinishReason.STOP, choice=1)
    assert through.receive(other) == [other]
    assert through.receive(END) == [*call(ALLOWED, part=0, ends=False), *call(ALLOWED, part=1, ends=False), END]


def test_each_call_is_judged_by_itself() -> None:
    events = [*call(ALLOWED, part=0, ends=False), *call(STOPPED, part=1, ends=False), *call(ASKED, part=2, ends=False), END]
    out = play(stage(), events)
    kinds = [type(event) for event in out if not isinstance(event, Found | ToolCallDelta)]
    assert kinds == [ToolCallStart, Refused, Held, MessageEnd]


def test_a_call_that_is_not_whole_when_the_answer_breaks_off_is_never_released() -> None:
    assert play(stage(), call(ALLOWED, ends=False)) == []
    blocked = Blocked(verdict=Verdict(action=Action.BLOCK, policy_digest=""))
    assert play(stage(), [*call(ALLOWED, ends=False), blocked, END]) == [blocked, END]


def test_a_call_cut_off_by_a_limit_is_unknown() -> None:
    out = play(stage(), [*call(ALLOWED[:-2], ends=False), MessageEnd(finish_reason=FinishReason.LENGTH)])
    assert [f.rule for f in found(out)] == ["effect-unknown-nothing"]
    assert only(out, Held)


def test_a_call_without_arguments_is_judged_by_its_name() -> None:
    assert only(play(stage(), call("", name="git_push")), Held)
    assert play(stage(), call("", name="get_time")) == call("", name="get_time")


def test_arguments_that_came_with_the_call_count() -> None:
    start = ToolCallStart(call_id="c", name="bash", arguments=STOPPED)
    assert only(play(stage(), [start, PartEnd(kind=PartKind.TOOL_CALL)]), Refused)


@pytest.mark.parametrize("how", ["stream", "remote"])
def test_a_call_that_cannot_be_held_passes_and_is_judged_all_the_same(how: str) -> None:
    start, *rest = call(STOPPED, name="Shell")
    if how == "remote":
        start = ToolCallStart(call_id="call_0", name="Shell", is_remote=True)
    through = stage(stream=("Sh*",) if how == "stream" else ())
    events = [start, *rest]
    for event in events[:-1]:
        assert through.receive(event) == [event]
    out = through.receive(events[-1])
    assert out[-1] == events[-1]
    assert {f.mode for f in found(out)} == {Mode.SHADOW}
    assert found(out)[0].action is Action.BLOCK
    (alerted,) = only(out, Alerted)
    assert isinstance(alerted, Alerted)
    assert alerted.alert.kind == "call_not_held"
    assert "rm" not in alerted.alert.message.split()


def test_a_harmless_call_that_streams_raises_nothing() -> None:
    events = call(json.dumps({"file_path": "a.md", "content": "x" * 90}), name="Write")
    assert play(stage(stream=("Write",)), events) == events


def test_what_a_rule_in_shadow_would_have_done_is_recorded() -> None:
    rule = CallRule(id="try", action="block", mode="shadow")
    out = play(stage(rules=(rule,)), call(ALLOWED))
    assert {(f.action, f.mode) for f in found(out)} <= {(Action.BLOCK, Mode.SHADOW)}
    assert only(out, ToolCallStart)


def long_call(chars: int) -> Iterator[Event]:
    yield ToolCallStart(call_id="c", name="Write")
    yield ToolCallDelta(arguments='{"file_path": "a.md", "content": "')
    for _ in range(0, chars, 1 << 16):
        yield ToolCallDelta(arguments="x" * (1 << 16))
    yield ToolCallDelta(arguments='"}')
    yield PartEnd(kind=PartKind.TOOL_CALL)


def test_a_call_too_long_to_be_held_is_refused_and_not_kept() -> None:
    through = stage()
    events = list(long_call(2 * LIMIT_CALL_CHARS))
    assert [out for event in events[:-1] for out in through.receive(event)] == []
    assert through._held_chars == 0
    out = through.receive(events[-1])
    assert [type(event) for event in out] == [Found, Refused]
    assert found(out)[0].rule == "effect-unknown-nothing"


def test_a_call_too_long_to_be_held_goes_on_whole_where_policy_lets_it() -> None:
    events = list(long_call(2 * LIMIT_CALL_CHARS))
    out = play(stage(preset="observe"), events)
    assert [event for event in out if not isinstance(event, Found)] == events
    assert [(f.rule, f.action, f.mode) for f in found(out)] == [("effect-unknown-nothing", Action.TAG, Mode.ENFORCE)]


def test_many_calls_together_are_held_up_to_a_bound() -> None:
    through = stage()
    for part in range(3 * LIMIT_HELD_CHARS // LIMIT_CALL_CHARS):
        through.receive(ToolCallStart(call_id="c", name="Write", part=part))
        through.receive(ToolCallDelta(arguments="x" * (LIMIT_CALL_CHARS - 1), part=part))
        assert through._held_chars <= LIMIT_HELD_CHARS
    out = through.receive(END)
    assert len(only(out, Refused)) + len(only(out, Held)) == 3 * LIMIT_HELD_CHARS // LIMIT_CALL_CHARS
    assert through._held_chars == 0


def test_deltas_without_text_are_held_up_to_a_bound_too() -> None:
    through = stage()
    through.receive(ToolCallStart(call_id="c", name="Write"))
    empty = ToolCallDelta(arguments="")
    for _ in range(LIMIT_HELD_CHARS // EVENT_CHARS + 1):
        through.receive(empty)
    assert through._held_chars == 0
    assert only(through.receive(END), Refused)


def test_more_calls_at_once_than_anybody_makes_break_the_stream() -> None:
    through = stage()
    for part in range(LIMIT_OPEN):
        through.receive(ToolCallStart(call_id="c", name="bash", part=part))
    with pytest.raises(UpstreamBroken, match="calls at once"):
        through.receive(ToolCallStart(call_id="c", name="bash", part=LIMIT_OPEN))


def test_a_call_that_begins_twice_or_was_never_begun_breaks_the_stream() -> None:
    through = stage()
    with pytest.raises(UpstreamBroken, match="not open"):
        through.receive(ToolCallDelta(arguments="{}"))
    through.receive(ToolCallStart(call_id="c", name="bash"))
    with pytest.raises(UpstreamBroken, match="twice"):
        through.receive(ToolCallStart(call_id="c", name="bash"))


def weakness(action: Action) -> Finding:
    where = {"direction": Direction.RESPONSE, "channel": Channel.TOOL_ARGUMENTS}
    return ledger.finding(rule="sql-injection", category="weakness", start=0, end=1, confidence=1.0, action=action, **where)


@pytest.mark.parametrize(("action", "outcome"), [(Action.TAG, ToolCallStart), (Action.BLOCK, Refused)])
def test_programs_that_a_call_writes_are_inspected(action: Action, outcome: type[Event]) -> None:
    seen: list[Written] = []

    def inspect(written: Written, part: int) -> list[Finding]:
        seen.append(written)
        return [weakness(action)]

    through = CallStage(CallJudge(CallSettings()), inspect=inspect)
    out = play(through, call(json.dumps({"file_path": "a.py", "content": "x = 1"}), name="Write"))
    assert [(one.name, one.text) for one in seen] == [("a.py", "x = 1")]
    assert [f.rule for f in found(out)] == ["sql-injection"]
    assert only(out, outcome)


@given(st.lists(st.sampled_from([ALLOWED, ASKED, STOPPED, "{", ""]), max_size=4), st.integers(1, 30), st.randoms())
def test_every_call_has_one_outcome_however_calls_are_cut_and_mixed(calls: list[str], size: int, random: object) -> None:
    waiting = [call(arguments, part=part, size=size, ends=False) for part, arguments in enumerate(calls)]
    events: list[Event] = []
    while waiting := [events_left for events_left in waiting if events_left]:
        events.append(random.choice(waiting).pop(0))  # type: ignore[attr-defined]
    out = play(stage(), [*events, END])
    outcomes = [event.part for event in out if isinstance(event, ToolCallStart | Held | Refused)]
    assert sorted(outcomes) == list(range(len(calls)))
    for part, arguments in enumerate(calls):
        released = [event for event in out if isinstance(event, ToolCallDelta) and event.part == part]
        assert "".join(event.arguments for event in released) in (arguments, "")


def test_a_call_weighs_what_it_has_at_its_end_and_nothing_before() -> None:
    through = stage()
    first, second = call(ALLOWED), call(STOPPED, part=1)[:-1]
    for event in [*first[:-1], *second]:
        assert through.weighs(event) == 0
        through.receive(event)
    assert through.weighs(first[-1]) == len(ALLOWED)
    assert through.weighs(END) == len(ALLOWED) + len(STOPPED)
    through.receive(first[-1])
    assert through.weighs(END) == len(STOPPED)
    assert through.weighs(MessageEnd(finish_reason=FinishReason.TOOL_CALLS, choice=1)) == 0
    assert through.weighs(None) == 0
