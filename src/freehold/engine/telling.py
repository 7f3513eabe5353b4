"""The engine's frames of one exchange as events: several answers side by side, and the tool calls that are in their text."""

from collections.abc import Iterator
from dataclasses import dataclass, field

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
from freehold.core.exchange import Exchange
from freehold.core.measurement import add
from freehold.engine.calls import FORMATS, Call, CallReader, Read
from freehold.engine.frames import Ended, Text
from freehold.engine.stops import Piece


@dataclass(slots=True)
class _Choice:
    number: int
    reader: CallReader | None
    worked: Worked = field(default_factory=lambda: Worked(compute_s=0.0, prefill_s=0.0, decode_s=0.0))
    ended: Ended | None = None
    part: int = 0  # of the text or call that comes next
    is_in_text: bool = False
    calls: int = 0


class Telling:
    """Of one exchange. `calls` names the form of calls that the model's template teaches."""

    def __init__(self, exchange: Exchange, calls: str | None) -> None:
        form = FORMATS.get(calls or "")
        names = [tool.name for tool in exchange.tools] if may_call(exchange) else []
        self._one_call = exchange.parallel_tool_calls is False
        self._choices = [
            _Choice(number, CallReader(form, names, f"{exchange.id} {number}") if form is not None and names else None)
            for number in range(exchange.choices)
        ]

    @property
    def is_over(self) -> bool:
        return all(choice.ended is not None for choice in self._choices)

    def text(self, choice: int, frame: Text) -> Iterator[Event]:
        found = self._choices[choice]
        found.worked = frame.worked
        yield from self._said(found, [frame.piece] if found.reader is None else found.reader.receive(frame.piece))
        yield self._worked()  # so far: should the client leave, this is what its answer has cost

    def end(self, choice: int, frame: Ended) -> Iterator[Event]:
        """One answer's end; with the last, what they took together, and all the ends."""
        found = self._choices[choice]
        found.worked, found.ended = frame.worked, frame
        if found.reader is not None:
            yield from self._said(found, found.reader.close())
        if not self.is_over:
            yield self._worked()
            return
        ends = [choice.ended for choice in self._choices if choice.ended is not None]
        yield Usage(
            input_tokens=ends[0].input_tokens,  # one prompt, however many answers
            output_tokens=sum(end.output_tokens for end in ends),
            cached_input_tokens=ends[0].cached_tokens,
        )
        yield self._worked()
        for one, end in zip(self._choices, ends, strict=True):
            has_called = one.calls > 0 and end.reason is FinishReason.STOP
            reason = FinishReason.TOOL_CALLS if has_called else end.reason
            yield MessageEnd(choice=one.number, finish_reason=reason, tokens=end.tokens or None)

    def _said(self, choice: _Choice, read: "list[Read] | list[Piece]") -> Iterator[Event]:
        for one in read:
            if isinstance(one, Piece):
                choice.is_in_text = True
                yield TextDelta(text=one.text, choice=choice.number, part=choice.part, logprobs=one.logprobs)
            elif not (self._one_call and choice.calls):
                yield from self._called(choice, one)

    def _called(self, choice: _Choice, call: Call) -> Iterator[Event]:
        """Parts are numbered through, texts and calls alike."""
        if choice.is_in_text:
            yield PartEnd(kind=PartKind.TEXT, choice=choice.number, part=choice.part)
            choice.is_in_text = False
            choice.part += 1
        yield ToolCallStart(call_id=call.call_id, name=call.name, choice=choice.number, part=choice.part)
        yield ToolCallDelta(arguments=call.arguments, choice=choice.number, part=choice.part)
        yield PartEnd(kind=PartKind.TOOL_CALL, choice=choice.number, part=choice.part)
        choice.part += 1
        choice.calls += 1

    def _worked(self) -> Worked:
        """Work adds up; they were waited for side by side."""
        metered = [choice.worked.metered for choice in self._choices]
        return Worked(
            compute_s=sum(choice.worked.compute_s for choice in self._choices),
            prefill_s=max(choice.worked.prefill_s for choice in self._choices),
            decode_s=max(choice.worked.decode_s for choice in self._choices),
            metered=None if None in metered else add([one for one in metered if one is not None]),
        )


def may_call(exchange: Exchange) -> bool:
    """Whether the model is told of the tools at all."""
    return bool(exchange.tools) and (exchange.tool_choice is None or exchange.tool_choice.mode != "none")
