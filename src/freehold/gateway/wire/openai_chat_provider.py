"""A chat completion answer as providers send it: chunks, or one body, to events.

The structs are all that is read.
`reasoning_content` and `reasoning` are what DeepSeek, vLLM and OpenRouter call a model's thinking.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from freehold.core.errors import UpstreamBroken
from freehold.core.events import (
    FIRST_REFUSAL_PART,
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ServedBy,
    TokenLogprob,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Exchange, Path
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.decoder import (
    NAME_LIMIT_CHARS,
    Decoder,
    Run,
    count,
    ends_a_sentence,
    http_status,
    parsed,
    rejected,
    struct_parser,
)
from freehold.gateway.wire.openai_chat_verbatim import EXTRA_PARTS, ChunkNotes, extra_texts

_BUILD_LIMIT_CHARS = 64
_FINISH_REASONS = {
    **{reason.value: reason for reason in FinishReason},
    "function_call": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "safety": FinishReason.CONTENT_FILTER,
}


LEGACY_PART = 901  # of a choice's calls: `function_call`, which has no index
_ARGUMENTS = {"function": "arguments", "custom": "input"}

_Index = Annotated[int, msgspec.Meta(ge=0, lt=128)]
_Name = Annotated[str, msgspec.Meta(max_length=NAME_LIMIT_CHARS)]


class _Function(msgspec.Struct):
    name: _Name | None = None
    arguments: str | None = None


class _Custom(msgspec.Struct):
    name: _Name | None = None
    input: str | None = None


class _Call(msgspec.Struct):
    """`custom` is a call whose one argument is a text and no JSON."""

    index: _Index | None = None
    id: _Name | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Turn(msgspec.Struct):
    """A chunk's delta or a body's message: the same fields. Mistral's models that think have parts for content."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None  # what `tool_calls` replaced: one call at most, without an id


class _Likely(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Token(_Likely):
    top_logprobs: list[_Likely] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    index: _Index = 0
    delta: _Turn | None = None
    message: _Turn | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Document(msgspec.Struct):
    model: str | None = None
    system_fingerprint: str | None = None
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_parse = struct_parser(_Document)


@dataclass(slots=True)
class _Progress:
    """How far one choice has come: the parts it is in, and which of them are open."""

    text: int = 0  # part numbers
    thought: int = 0
    is_saying: bool = False
    is_thinking: bool = False
    is_refusing: bool = False
    said: str = ""  # the last piece of text
    calls: set[int] = field(default_factory=set)
    extras: dict[Path, int] = field(default_factory=dict)  # open texts of fields we do not know -> part
    next_extra: int = EXTRA_PARTS
    finish_reason: FinishReason | None = None


class ChunkDecoder(Decoder):
    """Chunks, or a whole body: they differ in one word. MessageEnds wait until the usage, which providers send last, is known.

    A thought is over when the text or a call begins, and a text that ends like a sentence when a call begins: then `PartEnd`
    follows, and more of it is a new part. A text cut within a word stays open: what follows the call may end the word.
    """

    __slots__ = ("_choices", "_notes", "_started", "_usage")

    def __init__(self, *, provider: str, verbatim: Exchange | None = None) -> None:
        super().__init__(provider)
        self._started = False
        self._choices: dict[int, _Progress] = {}
        self._usage: Usage | None = None
        self._notes = ChunkNotes(verbatim) if verbatim is not None else None

    def _read_all(self, payloads: Iterable[SseEvent], run: Run) -> None:
        if self._notes is None:
            for data, _ in payloads:
                if not self._is_over(data):
                    self._read_chunk(_parse(data), run)
        else:
            self._read_noted(self._notes, list(payloads), run)

    def _is_over(self, data: bytes) -> bool:
        self.done = self.done or data == b"[DONE]"
        return self.done

    def _ends(self) -> list[Event]:
        ends = [
            MessageEnd(finish_reason=progress.finish_reason, choice=number)
            for number, progress in sorted(self._choices.items())
            if progress.finish_reason is not None
        ]
        if not ends or len(ends) < len(self._choices):
            raise self._ended_early()
        return [*([self._usage] if self._usage else []), *ends]

    def _read_noted(self, notes: ChunkNotes, payloads: Sequence[SseEvent], run: Run) -> None:
        """Chunks that go on as they came."""
        at = 0
        while at < len(payloads) and not self._is_over(payloads[at][0]):
            if (found := notes.row(payloads, at)) is not None:
                payload, text = found
                slot = payload.slots[0]
                run.noted.append(payload)
                run.say((slot.kind, slot.choice, slot.part), text)
                if slot.kind is PartKind.TEXT:
                    self._choices[slot.choice].said = text or self._choices[slot.choice].said
                at += 1 + len(payload.row)
            else:
                self._note(notes, *payloads[at], run)
                at += 1

    def _note(self, notes: ChunkNotes, data: bytes, name: bytes, run: Run) -> None:
        document = _parse(data)
        said = Run()  # joined to the others once the chunk has passed: of one that is refused nothing is said
        slots = said.slots = []
        self._read_chunk(document, said)
        whole = parsed(data)
        for position, choice in enumerate(document.choices or ()):
            self._read_extras(whole, position, choice, said)
        has_ended = all(progress.finish_reason is not None for progress in self._choices.values())
        run.noted += notes.note(data, name, whole, slots, is_usage=not document.choices, has_ended=has_ended)
        run.join(said.events())

    def _read_chunk(self, document: _Document, run: Run) -> None:
        if document.error:
            raise rejected(document.error, http_status(document.error))
        if not self._started:
            self._started = True
            run.add(MessageStart(served=_served(document, self._provider)))
        for position, choice in enumerate(document.choices or ()):
            self._read_choice(position, choice, run)
        if document.usage:
            self._usage = _usage(document.usage)

    def _read_choice(self, position: int, choice: _Choice, run: Run) -> None:
        number = choice.index
        progress = self._choices.get(number)
        if progress is None:
            progress = self._choices[number] = _Progress()
        turn = choice.delta or choice.message
        if turn is not None:
            if progress.finish_reason is not None and _says_something(turn):  # what its end cut would go on here
                raise UpstreamBroken(f"upstream {self._provider} sent more of an answer after its end")
            at = ("choices", position, "delta" if choice.delta is not None else "message")
            key, thought = _thought(turn)
            if thought:
                progress.is_thinking = True
                run.say((PartKind.REASONING, number, progress.thought), thought, (*at, key))
            if turn.refusal:
                progress.is_refusing = True
                run.say((PartKind.TEXT, number, FIRST_REFUSAL_PART), turn.refusal, (*at, "refusal"))
            logprobs = choice.logprobs.content if choice.logprobs else None
            for kind, path, text in _pieces(turn.content, (*at, "content")):
                if kind is PartKind.REASONING:
                    progress.is_thinking = True
                    run.say((kind, number, progress.thought), text, path)
                elif text or logprobs:
                    _end_thought(progress, number, run)
                    progress.is_saying, progress.said = True, text or progress.said
                    run.say((kind, number, progress.text), text, path, _logprobs(logprobs) if logprobs else ())
                    logprobs = None
            for index, call in enumerate(turn.tool_calls or ()):
                self._read_call(call, progress, number, index, (*at, "tool_calls", index), run)
            if turn.function_call is not None:
                self._read_function(turn.function_call, progress, number, (*at, "function_call"), run)
        if choice.finish_reason:  # some write an empty one until the end
            # An unknown word is an ordinary end: all text has come, and the word itself no guard has read.
            progress.finish_reason = _FINISH_REASONS.get(choice.finish_reason, FinishReason.STOP)
            _end_thought(progress, number, run)
            _end_text(progress, number, run)
            if progress.is_refusing:
                run.add(PartEnd(kind=PartKind.TEXT, choice=number, part=FIRST_REFUSAL_PART))

    def _read_call(self, call: _Call, progress: _Progress, number: int, index: int, at: Path, run: Run) -> None:
        part = index if call.index is None else call.index
        function, custom = call.function or _Function(), call.custom or _Custom()
        self._begin_call(progress, number, part, call.id, function.name or custom.name, at, run)
        for kind, text in (("function", function.arguments), ("custom", custom.input)):
            if text:
                run.say((PartKind.TOOL_CALL, number, part), text, (*at, kind, _ARGUMENTS[kind]))

    def _read_function(self, function: _Function, progress: _Progress, number: int, at: Path, run: Run) -> None:
        self._begin_call(progress, number, LEGACY_PART, None, function.name, at, run)
        if function.arguments:
            run.say((PartKind.TOOL_CALL, number, LEGACY_PART), function.arguments, (*at, "arguments"))

    def _begin_call(
        self, progress: _Progress, number: int, part: int, call_id: str | None, name: str | None, at: Path, run: Run
    ) -> None:
        """At the first piece of a call."""
        if part in progress.calls:
            return
        progress.calls.add(part)
        _end_thought(progress, number, run)
        if ends_a_sentence(progress.said):
            _end_text(progress, number, run)
        start = ToolCallStart(call_id=call_id or f"call_{number}_{part}", name=name or "", choice=number, part=part)
        run.begin_call(start, at)

    def _read_extras(self, whole: Any, position: int, choice: _Choice, run: Run) -> None:
        """Strings in a turn that we do not know. Those of a delta may be pieces of a longer text, so they are scanned as one."""
        if choice.delta is None:
            return
        known = {slot.path for slot in run.slots or ()}
        progress = self._choices[choice.index]
        for path, text in extra_texts(whole, position):
            if path in known:
                continue
            if (part := progress.extras.get(path[2:])) is None:
                part = progress.extras[path[2:]] = progress.next_extra
                progress.next_extra += 1
            run.say((PartKind.REASONING, choice.index, part), text, path)
        if progress.extras and (progress.is_saying or progress.finish_reason is not None):
            for part in progress.extras.values():
                run.add(PartEnd(kind=PartKind.REASONING, choice=choice.index, part=part))
            progress.extras = {}


def _says_something(turn: _Turn) -> bool:
    said = turn.content or turn.refusal or turn.reasoning_content or turn.reasoning
    return bool(said or turn.tool_calls or turn.function_call)


def _pieces(content: str | list[Any] | None, at: Path) -> Iterator[tuple[PartKind, Path, str]]:
    """What content says, and where: an empty text where it says nothing, as its tokens may still have log-probabilities."""
    if not isinstance(content, list):
        yield PartKind.TEXT, at, content or ""
        return
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            yield PartKind.TEXT, (*at, number, "text"), part["text"]
        elif kind == "thinking" and isinstance(thoughts := part.get("thinking"), list):
            for place, thought in enumerate(thoughts):
                if isinstance(thought, dict) and isinstance(text := thought.get("text"), str) and text:
                    yield PartKind.REASONING, (*at, number, "thinking", place, "text"), text


def _thought(turn: _Turn) -> tuple[str, str | None]:
    return ("reasoning_content", turn.reasoning_content) if turn.reasoning_content else ("reasoning", turn.reasoning)


def _end_thought(progress: _Progress, number: int, run: Run) -> None:
    if progress.is_thinking:
        run.add(PartEnd(kind=PartKind.REASONING, choice=number, part=progress.thought))
        progress.is_thinking, progress.thought = False, progress.thought + 1


def _end_text(progress: _Progress, number: int, run: Run) -> None:
    if progress.is_saying:
        run.add(PartEnd(kind=PartKind.TEXT, choice=number, part=progress.text))
        progress.is_saying, progress.text = False, progress.text + 1


def decode_completion(body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
    """A whole body to events."""
    return ChunkDecoder(provider=provider, verbatim=verbatim).whole(body)


def _served(document: _Document, provider: str) -> ServedBy:
    build = document.system_fingerprint
    return ServedBy(
        provider=provider,
        model=(document.model or "")[:NAME_LIMIT_CHARS],
        build=build if build and len(build) <= _BUILD_LIMIT_CHARS else None,
    )


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    output = usage.get("completion_tokens_details")
    return Usage(
        input_tokens=count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        cached_input_tokens=count(details.get("cached_tokens")) if isinstance(details, dict) else None,
        reasoning_tokens=count(output.get("reasoning_tokens")) if isinstance(output, dict) else None,
    )


def _logprobs(tokens: Sequence[_Token]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token=token.token,
            token_bytes=_bytes(token),
            logprob=token.logprob,
            top=tuple((likely.token, _bytes(likely), likely.logprob) for likely in token.top_logprobs or ()),
        )
        for token in tokens
    )


def _bytes(token: _Likely) -> bytes:
    if token.bytes is None:
        return token.token.encode()
    try:
        return bytes(token.bytes)
    except ValueError as exc:
        raise UpstreamBroken("the upstream sent a token with a byte above 255") from exc
