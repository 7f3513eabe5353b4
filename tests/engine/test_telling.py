import json

from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    PartEnd,
    PartKind,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    Worked,
)
from freehold.core.exchange import Tool, ToolChoice
from freehold.engine.frames import Ended, Text
from freehold.engine.stops import Piece
from freehold.engine.telling import Telling
from tests.engine.test_client import ask

TOOLS = (Tool(name="f", description="", parameters={}),)
CALL = f"<tool_call>{json.dumps({'name': 'f', 'arguments': {'a': 1}})}</tool_call>"


def worked(compute_s: float) -> Worked:
    return Worked(compute_s=compute_s, prefill_s=0.5, decode_s=compute_s)


def text(said: str, compute_s: float = 1.0) -> Text:
    return Text(request=0, piece=Piece(text=said), worked=worked(compute_s))


def end(reason: FinishReason = FinishReason.STOP, compute_s: float = 1.0) -> Ended:
    return Ended(request=0, reason=reason, input_tokens=7, output_tokens=3, worked=worked(compute_s), cached_tokens=2)


def without_work(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Worked)]


def test_answers_side_by_side_add_up_and_end_together() -> None:
    telling = Telling(ask(choices=2), None)
    assert list(telling.text(1, text("b"))) == [TextDelta(text="b", choice=1), worked(1.0)]
    assert without_work(list(telling.end(1, end(compute_s=2.0)))) == []
    *_, at_work = telling.text(0, text("a", 3.0))
    assert at_work == Worked(compute_s=5.0, prefill_s=0.5, decode_s=3.0)
    last = list(telling.end(0, end(FinishReason.LENGTH, 3.0)))
    assert telling.is_over
    assert without_work(last) == [
        Usage(input_tokens=7, output_tokens=6, cached_input_tokens=2),
        MessageEnd(choice=0, finish_reason=FinishReason.LENGTH),
        MessageEnd(choice=1, finish_reason=FinishReason.STOP),
    ]


def test_a_call_comes_whole_after_the_text_before_it() -> None:
    telling = Telling(ask(tools=TOOLS), "hermes")
    events = [event for said in ("Well. ", CALL[:20], CALL[20:]) for event in telling.text(0, text(said))]
    start, *rest = without_work(events)[2:]
    assert without_work(events)[:2] == [TextDelta(text="Well. "), PartEnd(kind=PartKind.TEXT)]
    assert isinstance(start, ToolCallStart)
    assert (start.name, start.part) == ("f", 1)
    assert rest == [ToolCallDelta(arguments='{"a": 1}', part=1), PartEnd(kind=PartKind.TOOL_CALL, part=1)]
    assert list(telling.end(0, end()))[-1] == MessageEnd(finish_reason=FinishReason.TOOL_CALLS)


def test_an_answer_cut_short_is_cut_short_whatever_it_called() -> None:
    telling = Telling(ask(tools=TOOLS), "hermes")
    assert len(without_work(list(telling.text(0, text(CALL))))) == 3
    assert list(telling.end(0, end(FinishReason.LENGTH)))[-1] == MessageEnd(finish_reason=FinishReason.LENGTH)


def test_one_call_is_one_call() -> None:
    telling = Telling(ask(tools=TOOLS, parallel_tool_calls=False), "hermes")
    events = list(telling.text(0, text(CALL + CALL)))
    assert sum(isinstance(event, ToolCallStart) for event in events) == 1


def test_without_tools_a_call_is_text() -> None:
    for exchange in (ask(), ask(tools=TOOLS, tool_choice=ToolChoice(mode="none"))):
        events = list(Telling(exchange, "hermes").text(0, text(CALL)))
        assert without_work(events) == [TextDelta(text=CALL)]
    assert without_work(list(Telling(ask(tools=TOOLS), None).text(0, text(CALL)))) == [TextDelta(text=CALL)]
