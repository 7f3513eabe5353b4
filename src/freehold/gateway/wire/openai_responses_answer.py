"""An answer as clients of Responses get it: events to the stream's items, or to one response.

Every item is told three times: as it grows, when it is done, and in the response at the end; all of it is what the stages let
through. A text, a thought and a call are an item each, open until their end or the answer's: a word that a stage held back while
the next item began still goes where it belongs. Responses knows one alternative: others are left out.

Written are fields of ours only. A thought is told as its summary, with its provider's seal as `encrypted_content`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

import orjson

from freehold.core.events import (
    FIRST_REFUSAL_PART,
    Aside,
    Blocked,
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    Payload,
    PromptText,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Exchange
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.openai_chat_answer import written_logprobs
from freehold.gateway.wire.openai_responses_prompt import DIALECT, asked_tools
from freehold.gateway.wire.prompt import bare_seal

_INCOMPLETE = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}
# The request's fields that its response repeats: all but its words.
_ECHOED: dict[str, Any] = {
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}


class ItemEncoder:
    """Events to Responses' stream. Deltas are written byte by byte around a prepared head: this runs once a token."""

    __slots__ = ("_exchange", "_items", "_open", "_sequence", "_started", "_tools")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._tools = asked_tools(exchange.document)
        self._sequence = 0
        self._started = False
        self._items: list[_Item] = []
        self._open: dict[tuple[PartKind, int], _Item] = {}  # what grows under (kind, part)

    def encode(self, event: Event) -> list[SseEvent]:
        match event:
            case TextDelta():
                return self._grow(PartKind.TEXT, event.choice, event.part, event.text, event.logprobs)
            case ReasoningDelta():
                return self._grow(PartKind.REASONING, event.choice, event.part, event.text)
            case ToolCallDelta():
                return self._grow(PartKind.TOOL_CALL, event.choice, event.part, event.arguments)
            case ToolCallStart():
                return [] if event.choice else self._begin(self._new_call(event), PartKind.TOOL_CALL, event.part)
            case PartEnd():
                return self._end_part(event)
            case MessageStart():
                return self._start()
            case MessageEnd() | Usage() | Aside() | Blocked() | PromptText() | Payload():
                return []
            case _:
                assert_never(event)

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[SseEvent]:
        reason = next((end.finish_reason for end in ends if end.choice == 0), FinishReason.STOP)
        sent = self._start()
        status = "incomplete" if reason in _INCOMPLETE else "completed"
        for item in self._open.values():
            sent += self._written(item.end(status))
        self._open = {}
        return [*sent, *self._written([(f"response.{status}", {"response": self.response(reason, usage)})])]

    def response(self, reason: FinishReason | None, usage: Usage | None) -> dict[str, Any]:
        """The response as it stands; `reason` None while it is being made."""
        exchange, document = self._exchange, self._exchange.document
        incomplete = _INCOMPLETE.get(reason) if reason is not None else None
        status = "in_progress" if reason is None else "incomplete" if incomplete else "completed"
        return {
            "id": f"resp_{exchange.id}",
            "object": "response",
            "created_at": exchange.received_at_ns // 1_000_000_000,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "model": exchange.model,
            "output": [item.document for item in self._items],
            "previous_response_id": None,
            "store": False,
            "usage": _usage(usage),
            **{name: default if document.get(name) is None else document[name] for name, default in _ECHOED.items()},
            "instructions": None,
        }

    def _start(self) -> list[SseEvent]:
        if self._started:
            return []
        self._started = True
        response = {"response": self.response(None, None)}
        return self._written([("response.created", response), ("response.in_progress", response)])

    def _grow(self, kind: PartKind, choice: int, part: int, text: str, logprobs: Sequence[TokenLogprob] = ()) -> list[SseEvent]:
        if choice or not (text or logprobs):
            return []
        item, sent = self._open.get((kind, part)), []
        if item is None:
            sent = self._begin(self._new(kind, part), kind, part)
            item = self._open[kind, part]
        if (head := item.add(text, logprobs)) is not None:
            sent.append(self._delta(item, head, text, logprobs))
        return sent

    def _delta(self, item: "_Item", head: bytes, text: str, logprobs: Sequence[TokenLogprob]) -> SseEvent:
        tail = b',"logprobs":' + orjson.dumps(written_logprobs(logprobs)) if isinstance(item, _Message) else b""
        data = b'%s%d,"delta":%s%s}' % (head, self._sequence, orjson.dumps(text), tail)
        self._sequence += 1
        return data, item.delta_name

    def _begin(self, item: "_Item", kind: PartKind, part: int) -> list[SseEvent]:
        sent = self._start()
        earlier = self._open.pop((kind, part), None)
        if earlier is not None:
            sent += self._written(earlier.end("completed"))
        self._items.append(item)
        self._open[kind, part] = item
        return [*sent, *self._written(item.begin())]

    def _end_part(self, event: PartEnd) -> list[SseEvent]:
        if event.choice:
            return []
        item, sent = self._open.get((event.kind, event.part)), []
        if item is None and event.signature is None:
            return []
        if item is None:
            item = _Thought(len(self._items), self._exchange.id, is_told=False)
            sent = self._begin(item, event.kind, event.part)
        del self._open[event.kind, event.part]
        if event.signature is not None and isinstance(item, _Thought):
            item.document["encrypted_content"] = bare_seal(DIALECT, event.signature) or event.signature
        return sent + self._written(item.end("completed"))

    def _new(self, kind: PartKind, part: int) -> "_Item":
        number, exchange_id = len(self._items), self._exchange.id
        if kind is PartKind.TEXT and part >= FIRST_REFUSAL_PART:
            return _Refusal(number, exchange_id)
        if kind is PartKind.TEXT:
            return _Message(number, exchange_id)
        if kind is PartKind.REASONING:
            return _Thought(number, exchange_id)
        return self._new_call(ToolCallStart(call_id=f"call_{number}", name=""))

    def _new_call(self, start: ToolCallStart) -> "_Item":
        number, exchange_id = len(self._items), self._exchange.id
        kind, name, namespace = self._tools.get(start.name, ("function", start.name, None))
        if kind == "local_shell":
            return _ShellCall(number, exchange_id, start.call_id)
        fields = {"call_id": start.call_id, "name": name, **({"namespace": namespace} if namespace else {})}
        return _CustomCall(number, exchange_id, fields) if kind == "custom" else _Call(number, exchange_id, fields)

    def _written(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[SseEvent]:
        sent: list[SseEvent] = []
        for name, fields in events:
            sent.append((orjson.dumps({"type": name, "sequence_number": self._sequence, **fields}), name.encode()))
            self._sequence += 1
        return sent


def encode_response(exchange: Exchange, events: Iterable[Event]) -> bytes:
    """All events of one answer to one response."""
    encoder, usage, ends = ItemEncoder(exchange), None, list[MessageEnd]()
    for event in events:
        if isinstance(event, Usage):
            usage = event
        elif isinstance(event, MessageEnd):
            ends.append(event)
        encoder.encode(event)
    encoder.finish(ends, usage)
    reason = next((end.finish_reason for end in ends if end.choice == 0), FinishReason.STOP)
    return orjson.dumps(encoder.response(reason, usage))


class _Item:
    """One item as it grows. `begin` and `end` give (event name, fields), `add` the bytes before a delta or None to wait."""

    kind = ""
    id_prefix = ""
    delta_name = b""
    index = ""  # of the part that grows, in an event's words

    __slots__ = ("_head", "_texts", "document", "number")

    def __init__(self, number: int, exchange_id: str, **fields: Any) -> None:
        self.number = number
        self._texts: list[str] = []
        self.document: dict[str, Any] = {"id": f"{self.id_prefix}_{exchange_id}_{number}", "type": self.kind, **fields}
        place = {"type": self.delta_name.decode(), **self._place, **({self.index: 0} if self.index else {})}
        self._head = orjson.dumps(place)[:-1] + b',"sequence_number":'

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self.document["id"], "output_index": self.number}

    @property
    def _text(self) -> str:
        return "".join(self._texts)

    def add(self, text: str, logprobs: Sequence[TokenLogprob]) -> bytes | None:
        self._texts.append(text)
        return self._head

    def begin(self) -> list[tuple[str, dict[str, Any]]]:
        return [("response.output_item.added", {"output_index": self.number, "item": dict(self.document)})]

    def end(self, status: str) -> list[tuple[str, dict[str, Any]]]:
        """Closes the item: `status` is "completed" or "incomplete"."""
        self.document["status"] = status
        return [("response.output_item.done", {"output_index": self.number, "item": self.document})]


class _Message(_Item):
    kind = "message"
    id_prefix = "msg"
    delta_name = b"response.output_text.delta"
    index = "content_index"

    __slots__ = ("_logprobs",)

    def __init__(self, number: int, exchange_id: str) -> None:
        super().__init__(number, exchange_id, status="in_progress", role="assistant", content=[])
        self._logprobs: list[TokenLogprob] = []

    def add(self, text: str, logprobs: Sequence[TokenLogprob]) -> bytes | None:
        self._logprobs += logprobs
        return super().add(text, logprobs)

    def begin(self) -> list[tuple[str, dict[str, Any]]]:
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        return [*super().begin(), ("response.content_part.added", {**self._place, "content_index": 0, "part": part})]

    def end(self, status: str) -> list[tuple[str, dict[str, Any]]]:
        text, logprobs = self._text, written_logprobs(self._logprobs)
        place = {**self._place, "content_index": 0}
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}
        self.document["content"] = [part]
        return [
            ("response.output_text.done", {**place, "text": text, "logprobs": logprobs}),
            ("response.content_part.done", {**place, "part": part}),
            *super().end(status),
        ]


class _Refusal(_Item):
    kind = "message"
    id_prefix = "msg"
    delta_name = b"response.refusal.delta"
    index = "content_index"

    __slots__ = ()

    def __init__(self, number: int, exchange_id: str) -> None:
        super().__init__(number, exchange_id, status="in_progress", role="assistant", content=[])

    def begin(self) -> list[tuple[str, dict[str, Any]]]:
        part = {"type": "refusal", "refusal": ""}
        return [*super().begin(), ("response.content_part.added", {**self._place, "content_index": 0, "part": part})]

    def end(self, status: str) -> list[tuple[str, dict[str, Any]]]:
        place, part = {**self._place, "content_index": 0}, {"type": "refusal", "refusal": self._text}
        self.document["content"] = [part]
        return [
            ("response.refusal.done", {**place, "refusal": self._text}),
            ("response.content_part.done", {**place, "part": part}),
            *super().end(status),
        ]


class _Thought(_Item):
    kind = "reasoning"
    id_prefix = "rs"
    delta_name = b"response.reasoning_summary_text.delta"
    index = "summary_index"

    __slots__ = ("_is_told",)

    def __init__(self, number: int, exchange_id: str, *, is_told: bool = True) -> None:
        super().__init__(number, exchange_id, summary=[])
        self._is_told = is_told  # else there is only a seal

    def begin(self) -> list[tuple[str, dict[str, Any]]]:
        if not self._is_told:
            return super().begin()
        part = {"type": "summary_text", "text": ""}
        return [*super().begin(), ("response.reasoning_summary_part.added", {**self._place, "summary_index": 0, "part": part})]

    def end(self, status: str) -> list[tuple[str, dict[str, Any]]]:
        if not self._is_told:
            return super().end(status)
        place, part = {**self._place, "summary_index": 0}, {"type": "summary_text", "text": self._text}
        self.document["summary"] = [part]
        return [
            ("response.reasoning_summary_text.done", {**place, "text": part["text"]}),
            ("response.reasoning_summary_part.done", {**place, "part": part}),
            *super().end(status),
        ]


class _Call(_Item):
    kind = "function_call"
    id_prefix = "fc"
    delta_name = b"response.function_call_arguments.delta"

    __slots__ = ()

    def __init__(self, number: int, exchange_id: str, fields: Mapping[str, str]) -> None:
        super().__init__(number, exchange_id, status="in_progress", **fields, arguments="")

    def end(self, status: str) -> list[tuple[str, dict[str, Any]]]:
        self.document["arguments"] = self._text or "{}"
        done = {**self._place, "name": self.document["name"], "arguments": self.document["arguments"]}
        return [("response.function_call_arguments.done", done), *super().end(status)]


class _CustomCall(_Item):
    """Its input is one string of the arguments: known once they are whole."""

    kind = "custom_tool_call"
    id_prefix = "ctc"
    delta_name = b"response.custom_tool_call_input.delta"

    __slots__ = ()

    def __init__(self, number: int, exchange_id: str, fields: Mapping[str, str]) -> None:
        super().__init__(number, exchange_id, status="in_progress", **fields, input="")

    def add(self, text: str, logprobs: Sequence[TokenLogprob]) -> bytes | None:
        self._texts.append(text)
        return None

    def end(self, status: str) -> list[tuple[str, dict[str, Any]]]:
        given = _object(self._text).get("input")
        text = self.document["input"] = given if isinstance(given, str) else self._text
        return [
            ("response.custom_tool_call_input.delta", {**self._place, "delta": text}),
            ("response.custom_tool_call_input.done", {**self._place, "input": text}),
            *super().end(status),
        ]


class _ShellCall(_Item):
    """A call of the client's shell: it begins once its command is whole, as it has no deltas."""

    kind = "local_shell_call"
    id_prefix = "lsh"

    __slots__ = ()

    def __init__(self, number: int, exchange_id: str, call_id: str) -> None:
        super().__init__(number, exchange_id, status="in_progress", call_id=call_id, action={"type": "exec", "command": []})

    def add(self, text: str, logprobs: Sequence[TokenLogprob]) -> bytes | None:
        self._texts.append(text)
        return None

    def begin(self) -> list[tuple[str, dict[str, Any]]]:
        return []

    def end(self, status: str) -> list[tuple[str, dict[str, Any]]]:
        asked = _object(self._text)
        command = asked.get("command")
        shown = command if isinstance(command, list) else ["bash", "-lc", command] if isinstance(command, str) else []
        limits = {name: asked[to] for name, to in (("timeout_ms", "timeout_ms"), ("working_directory", "workdir")) if to in asked}
        self.document["action"] = {"type": "exec", "command": [str(word) for word in shown], "env": {}, **limits}
        return [*super().begin(), *super().end(status)]


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    """None where a count is unknown, and no details where those are: a 0 would be a lie."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    counts: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    read, written = usage.cached_input_tokens, usage.cache_write_tokens
    if read is not None:
        counts["input_tokens_details"] = {"cached_tokens": read, **({} if written is None else {"cache_write_tokens": written})}
    if usage.reasoning_tokens is not None:
        counts["output_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return counts
