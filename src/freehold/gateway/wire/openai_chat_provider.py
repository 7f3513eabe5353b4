"""A chat completion answer as providers send it: chunks, or one body, to events.

The structs are all that is read; msgspec parses and checks them in one pass, and whatever else a provider sends is skipped.
`reasoning_content` and `reasoning` are what DeepSeek, vLLM and OpenRouter call a model's thinking.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamRejected
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ReasoningDelta,
    ServedBy,
    Slot,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Exchange, Path
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.openai_chat_verbatim import EXTRA_PARTS, ChunkNotes, extra_texts

_NAME_LIMIT_CHARS = 256  # of a model, a tool or a call; OpenAI allows 64 for tools
_BUILD_LIMIT_CHARS = 64
_MESSAGE_LIMIT_CHARS = 2000
_FINISH_REASONS = {
    **{reason.value: reason for reason in FinishReason},
    "function_call": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "safety": FinishReason.CONTENT_FILTER,
}

_SENTENCE_ENDS = (".", "!", "?", ":", ";", ")", "`", "*", "\n", "…", "。", "！", "？", "：")

LEGACY_PART = 901  # of a choice's calls: `function_call`, which has no index
_ARGUMENTS = {"function": "arguments", "custom": "input"}
_REFUSAL_PART = 900  # of a choice's texts; a field of its own, whose pieces the client joins apart from the content's

_Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta
_DELTAS: dict[PartKind, type[_Delta]] = {
    PartKind.TEXT: TextDelta,
    PartKind.REASONING: ReasoningDelta,
    PartKind.TOOL_CALL: ToolCallDelta,
}
_Index = Annotated[int, msgspec.Meta(ge=0, lt=128)]
_Name = Annotated[str, msgspec.Meta(max_length=_NAME_LIMIT_CHARS)]


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


_parse = msgspec.json.Decoder(_Document).decode


class _Progress:
    """How far one choice has come: the parts it is in, and which of them are open."""

    __slots__ = (
        "calls",
        "extras",
        "finish_reason",
        "is_refusing",
        "is_saying",
        "is_thinking",
        "next_extra",
        "said",
        "text",
        "thought",
    )

    def __init__(self) -> None:
        self.text = self.thought = 0  # part numbers
        self.is_saying = self.is_thinking = self.is_refusing = False
        self.said = ""  # the last piece of text
        self.calls: set[int] = set()
        self.extras: dict[Path, int] = {}  # open texts of fields we do not know -> part
        self.next_extra = EXTRA_PARTS
        self.finish_reason: FinishReason | None = None


class ChunkDecoder:
    """Chunks of any provider to events. MessageEnds wait until the usage, which providers send last, is known.

    A chunk that can't be read ends the answer: what came before it is given, and `close` raises. A thought is over when the text
    or a call begins, and a text that ends like a sentence when a call begins: then `PartEnd` follows, and more of it is a new
    part. A text cut within a word stays open: what follows the call may end the word.
    """

    __slots__ = ("_choices", "_failure", "_notes", "_provider", "_started", "_usage", "done")

    def __init__(self, *, provider: str, verbatim: Exchange | None = None) -> None:
        self._provider = provider
        self._started = False
        self._choices: dict[int, _Progress] = {}
        self._usage: Usage | None = None
        self._failure: UpstreamError | None = None
        self._notes = ChunkNotes(verbatim) if verbatim is not None else None
        self.done = False

    def decode(self, payloads: Iterable[SseEvent]) -> list[Event]:
        """Chunks, or a whole body: they differ in one word."""
        noted: list[Event] = []
        run = _Run()
        try:
            if self._notes is None:
                for data, _ in payloads:
                    if not self._is_over(data):
                        self._read_chunk(_read(data), run)
            else:
                self._read_noted(self._notes, list(payloads), noted, run)
        except UpstreamError as exc:
            self._failure, self.done = exc, True
        return [*noted, *run.events()]

    def _is_over(self, data: bytes) -> bool:
        self.done = self.done or data == b"[DONE]"
        return self.done

    def close(self) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        ends = [
            MessageEnd(finish_reason=progress.finish_reason, choice=number)
            for number, progress in sorted(self._choices.items())
            if progress.finish_reason is not None
        ]
        if not ends or len(ends) < len(self._choices):
            raise UpstreamBroken(f"upstream {self._provider} ended its stream before the answer's end")
        return [*([self._usage] if self._usage else []), *ends]

    def _read_noted(self, notes: ChunkNotes, payloads: Sequence[SseEvent], noted: list[Event], run: "_Run") -> None:
        """Chunks that go on as they came. Payloads stand before all deltas of one read, whose texts may be joined."""
        at = 0
        while at < len(payloads) and not self._is_over(payloads[at][0]):
            if (found := notes.row(payloads, at)) is not None:
                payload, text = found
                slot = payload.slots[0]
                noted.append(payload)
                run.say(_DELTAS[slot.kind], slot.choice, slot.part, text)
                if slot.kind is PartKind.TEXT:
                    self._choices[slot.choice].said = text or self._choices[slot.choice].said
                at += 1 + len(payload.row)
            else:
                noted += self._note(notes, *payloads[at], run)
                at += 1

    def _note(self, notes: ChunkNotes, data: bytes, name: bytes, run: "_Run") -> list[Event]:
        document = _read(data)
        slots: list[Slot] = []
        said = _Run()  # joined to the others once the chunk has passed: of one that is refused nothing is said
        self._read_chunk(document, said, slots)
        whole = notes.read(data)
        for position, choice in enumerate(document.choices or ()):
            self._read_extras(whole, position, choice, slots, said)
        has_ended = all(progress.finish_reason is not None for progress in self._choices.values())
        noted = notes.note(data, name, whole, slots, is_usage=not document.choices, has_ended=has_ended)
        run.join(said.events())
        return noted

    def _read_chunk(self, document: _Document, run: "_Run", slots: list[Slot] | None = None) -> None:
        if document.error:
            raise _rejected(document.error)
        if not self._started:
            self._started = True
            run.add(MessageStart(served=_served(document, self._provider)))
        for position, choice in enumerate(document.choices or ()):
            self._read_choice(position, choice, run, slots)
        if document.usage:
            self._usage = _usage(document.usage)

    def _read_choice(self, position: int, choice: _Choice, run: "_Run", slots: list[Slot] | None) -> None:
        number = choice.index
        progress = self._choices.get(number)
        if progress is None:
            progress = self._choices[number] = _Progress()
        turn = choice.delta or choice.message
        if turn is not None:
            if progress.finish_reason is not None and _says_something(turn):  # what its end cut would go on here
                raise UpstreamBroken(f"upstream {self._provider} sent more of an answer after its end")
            at = ("choices", position, "delta" if choice.delta is not None else "message")
            field, thought = _thought(turn)
            if thought:
                progress.is_thinking = True
                run.say(ReasoningDelta, number, progress.thought, thought)
                _place(slots, PartKind.REASONING, number, progress.thought, (*at, field), thought)
            if turn.refusal:
                progress.is_refusing = True
                run.say(TextDelta, number, _REFUSAL_PART, turn.refusal)
                _place(slots, PartKind.TEXT, number, _REFUSAL_PART, (*at, "refusal"), turn.refusal)
            logprobs = choice.logprobs.content if choice.logprobs else None
            for kind, path, text in _pieces(turn.content, (*at, "content")):
                if kind is PartKind.REASONING:
                    progress.is_thinking = True
                    run.say(ReasoningDelta, number, progress.thought, text)
                    _place(slots, kind, number, progress.thought, path, text)
                elif text or logprobs:
                    _end_thought(progress, number, run)
                    progress.is_saying, progress.said = True, text or progress.said
                    run.say(TextDelta, number, progress.text, text, _logprobs(logprobs) if logprobs else ())
                    _place(slots, kind, number, progress.text, path, text)
                    logprobs = None
            for index, call in enumerate(turn.tool_calls or ()):
                self._read_call(call, progress, number, index, (*at, "tool_calls", index), run, slots)
            if turn.function_call is not None:
                self._read_function(turn.function_call, progress, number, (*at, "function_call"), run, slots)
        if choice.finish_reason:  # some write an empty one until the end
            # An unknown word is an ordinary end: all text has come, and the word itself no guard has read.
            progress.finish_reason = _FINISH_REASONS.get(choice.finish_reason, FinishReason.STOP)
            _end_thought(progress, number, run)
            _end_text(progress, number, run)
            if progress.is_refusing:
                run.add(PartEnd(kind=PartKind.TEXT, choice=number, part=_REFUSAL_PART))

    def _read_call(
        self, call: _Call, progress: _Progress, number: int, index: int, at: Path, run: "_Run", slots: list[Slot] | None
    ) -> None:
        part = index if call.index is None else call.index
        function, custom = call.function or _Function(), call.custom or _Custom()
        self._begin_call(progress, number, part, call.id, function.name or custom.name, at, run, slots)
        for field, text in (("function", function.arguments), ("custom", custom.input)):
            if text:
                run.say(ToolCallDelta, number, part, text)
                _place(slots, PartKind.TOOL_CALL, number, part, (*at, field, _ARGUMENTS[field]), text)

    def _read_function(
        self, function: _Function, progress: _Progress, number: int, at: Path, run: "_Run", slots: list[Slot] | None
    ) -> None:
        self._begin_call(progress, number, LEGACY_PART, None, function.name, at, run, slots)
        if function.arguments:
            run.say(ToolCallDelta, number, LEGACY_PART, function.arguments)
            _place(slots, PartKind.TOOL_CALL, number, LEGACY_PART, (*at, "arguments"), function.arguments)

    def _begin_call(
        self,
        progress: _Progress,
        number: int,
        part: int,
        call_id: str | None,
        name: str | None,
        at: Path,
        run: "_Run",
        slots: list[Slot] | None,
    ) -> None:
        """At the first piece of a call."""
        if part in progress.calls:
            return
        progress.calls.add(part)
        _end_thought(progress, number, run)
        if progress.said.rstrip(" ").endswith(_SENTENCE_ENDS):
            _end_text(progress, number, run)
        start = ToolCallStart(call_id=call_id or f"call_{number}_{part}", name=name or "", choice=number, part=part)
        run.add(start)
        if slots is not None:
            slots.append(Slot(kind=PartKind.TOOL_CALL, choice=number, part=part, path=at, chars=0, begins=True))

    def _read_extras(self, whole: Any, position: int, choice: _Choice, slots: list[Slot], run: "_Run") -> None:
        """Strings in a turn that we do not know. Those of a delta may be pieces of a longer text, so they are scanned as one."""
        if choice.delta is None:
            return
        known = {slot.path for slot in slots}
        progress = self._choices[choice.index]
        for path, text in extra_texts(whole, position):
            if path in known:
                continue
            if (part := progress.extras.get(path[2:])) is None:
                part = progress.extras[path[2:]] = progress.next_extra
                progress.next_extra += 1
            run.say(ReasoningDelta, choice.index, part, text)
            _place(slots, PartKind.REASONING, choice.index, part, path, text)
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


def _place(slots: list[Slot] | None, kind: PartKind, choice: int, part: int, path: Path, text: str) -> None:
    if slots is not None:
        slots.append(Slot(kind=kind, choice=choice, part=part, path=path, chars=len(text)))


def _end_thought(progress: _Progress, number: int, run: "_Run") -> None:
    if progress.is_thinking:
        run.add(PartEnd(kind=PartKind.REASONING, choice=number, part=progress.thought))
        progress.is_thinking, progress.thought = False, progress.thought + 1


def _end_text(progress: _Progress, number: int, run: "_Run") -> None:
    if progress.is_saying:
        run.add(PartEnd(kind=PartKind.TEXT, choice=number, part=progress.text))
        progress.is_saying, progress.text = False, progress.text + 1


class _Run:
    """Events in their order, deltas of one text that follow each other joined: every stage and the client get fewer of them."""

    __slots__ = ("_events", "_key", "_logprobs", "_texts")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._key: tuple[type[_Delta], int, int] | None = None  # kind, choice, part
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []

    def say(self, kind: type[_Delta], choice: int, part: int, text: str, logprobs: Sequence[TokenLogprob] = ()) -> None:
        key = (kind, choice, part)
        if key != self._key:
            self._settle()
            self._key = key
        self._texts.append(text)
        if logprobs:
            self._logprobs += logprobs

    def add(self, event: Event) -> None:
        self._settle()
        self._events.append(event)

    def join(self, events: Iterable[Event]) -> None:
        """Add events, their deltas to those before them."""
        for event in events:
            match event:
                case TextDelta():
                    self.say(TextDelta, event.choice, event.part, event.text, event.logprobs)
                case ReasoningDelta():
                    self.say(ReasoningDelta, event.choice, event.part, event.text)
                case ToolCallDelta():
                    self.say(ToolCallDelta, event.choice, event.part, event.arguments)
                case _:
                    self.add(event)

    def events(self) -> list[Event]:
        self._settle()
        return self._events

    def _settle(self) -> None:
        if self._key is None:
            return
        kind, choice, part = self._key
        text = "".join(self._texts)
        if kind is TextDelta:
            self._events.append(TextDelta(text=text, choice=choice, part=part, logprobs=tuple(self._logprobs)))
        elif kind is ReasoningDelta:
            self._events.append(ReasoningDelta(text=text, choice=choice, part=part))
        else:
            self._events.append(ToolCallDelta(arguments=text, choice=choice, part=part))
        self._key, self._texts, self._logprobs = None, [], []


def decode_completion(body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
    """A whole body to events."""
    decoder = ChunkDecoder(provider=provider, verbatim=verbatim)
    return [*decoder.decode([(body, b"")]), *decoder.close()]


def _read(data: bytes) -> _Document:
    try:
        return _parse(data)
    except msgspec.ValidationError as exc:
        raise UpstreamBroken(f"the upstream sent a malformed answer: {exc}") from exc
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # ValueError: bad UTF-8, a number of thousands of digits
        raise UpstreamBroken("the upstream sent something that is not JSON") from exc


def _served(document: _Document, provider: str) -> ServedBy:
    build = document.system_fingerprint
    return ServedBy(
        provider=provider,
        model=(document.model or "")[:_NAME_LIMIT_CHARS],
        build=build if build and len(build) <= _BUILD_LIMIT_CHARS else None,
    )


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    output = usage.get("completion_tokens_details")
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        cached_input_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else None,
        reasoning_tokens=_count(output.get("reasoning_tokens")) if isinstance(output, dict) else None,
    )


def _count(value: Any) -> int | None:
    """A count that makes no sense is unknown: it is no reason to lose the answer."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


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


def _rejected(error: Any) -> UpstreamRejected:
    """An error in the place of an answer. Its words are the provider's: the gateway lets the guard see them."""
    message = error.get("message") if isinstance(error, dict) else error
    status = error.get("code") if isinstance(error, dict) else None
    known = isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599
    return UpstreamRejected(
        message[:_MESSAGE_LIMIT_CHARS] if isinstance(message, str) and message else "the upstream broke off with an error",
        status=status if known and status is not None else 502,
    )
