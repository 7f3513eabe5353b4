"""A chat completion answer as providers send it: chunks, or one body, to events.

The structs are all that is read; msgspec parses and checks them in one pass, and whatever else a provider sends is skipped.
`reasoning_content` and `reasoning` are what DeepSeek, vLLM and OpenRouter call a model's thinking.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamRejected
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.gateway.sse import SseEvent

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

_Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta
_Index = Annotated[int, msgspec.Meta(ge=0, lt=128)]
_Name = Annotated[str, msgspec.Meta(max_length=_NAME_LIMIT_CHARS)]


class _Function(msgspec.Struct):
    name: _Name | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: _Index | None = None
    id: _Name | None = None
    function: _Function | None = None


class _Turn(msgspec.Struct):
    """A chunk's delta or a body's message: the same fields."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


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


class ChunkDecoder:
    """Chunks of any provider to events. MessageEnds wait until the usage, which providers send last, is known.

    A chunk that can't be read ends the answer: what came before it is given, and `close` raises.
    """

    __slots__ = ("_calls", "_ends", "_failure", "_open", "_provider", "_started", "_usage", "done")

    def __init__(self, *, provider: str) -> None:
        self._provider = provider
        self._started = False
        self._open: set[int] = set()
        self._ends: dict[int, MessageEnd] = {}
        self._usage: Usage | None = None
        self._calls: set[tuple[int, int]] = set()
        self._failure: UpstreamError | None = None
        self.done = False

    def decode(self, payloads: Iterable[SseEvent]) -> list[Event]:
        """Chunks, or a whole body: they differ in one word."""
        run = _Run()
        try:
            for data, _ in payloads:
                if self.done:
                    break
                if data == b"[DONE]":
                    self.done = True
                else:
                    self._read_chunk(_read(data), run)
        except UpstreamError as exc:
            self._failure, self.done = exc, True
        return run.events()

    def close(self) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        if not self._ends or self._open - self._ends.keys():
            raise UpstreamBroken(f"upstream {self._provider} ended its stream before the answer's end")
        ends = [self._ends[choice] for choice in sorted(self._ends)]
        return [*([self._usage] if self._usage else []), *ends]

    def _read_chunk(self, document: _Document, run: "_Run") -> None:
        if document.error:
            raise _rejected(document.error)
        if not self._started:
            self._started = True
            run.add(MessageStart(served=_served(document, self._provider)))
        for choice in document.choices or ():
            self._read_choice(choice, run)
        if document.usage:
            self._usage = _usage(document.usage)

    def _read_choice(self, choice: _Choice, run: "_Run") -> None:
        number = choice.index
        self._open.add(number)
        turn = choice.delta or choice.message
        if turn is not None:
            if reasoning := turn.reasoning_content or turn.reasoning:
                run.say(ReasoningDelta, number, 0, reasoning)
            text = turn.content or turn.refusal or ""
            logprobs = choice.logprobs.content if choice.logprobs else None
            if text or logprobs:
                run.say(TextDelta, number, 0, text, _logprobs(logprobs) if logprobs else ())
            if turn.tool_calls:
                for position, call in enumerate(turn.tool_calls):
                    self._read_call(call, number, position, run)
        if choice.finish_reason is not None:
            # An unknown word is an ordinary end: all text has come, and the word itself no guard has read.
            reason = _FINISH_REASONS.get(choice.finish_reason, FinishReason.STOP)
            self._ends[number] = MessageEnd(finish_reason=reason, choice=number)

    def _read_call(self, call: _Call, number: int, position: int, run: "_Run") -> None:
        part = position if call.index is None else call.index
        function = call.function or _Function()
        if (number, part) not in self._calls:
            self._calls.add((number, part))
            call_id = call.id or f"call_{number}_{part}"
            run.add(ToolCallStart(call_id=call_id, name=function.name or "", choice=number, part=part))
        if function.arguments:
            run.say(ToolCallDelta, number, part, function.arguments)


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


def decode_completion(body: bytes, *, provider: str) -> list[Event]:
    """A whole body to events."""
    decoder = ChunkDecoder(provider=provider)
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
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        cached_input_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else None,
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
