"""Responses' payloads as their provider wrote them, for a client who speaks the same dialect.

Most payloads of a stream differ from the one before in one delta and a sequence number: nothing else in them needs to be scanned
again. What repeats the streamed texts (`done`, `completed`) is scanned whole, so that it comes out masked alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from freehold.core.events import Event, Payload, Slot
from freehold.core.exchange import Path
from freehold.core.findings import Channel
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.openai_responses_request import VOCABULARY, file_channel
from freehold.gateway.wire.verbatim import PayloadNotes

# Words of answers, and the ends of events' names.
_ANSWER_WORDS = VOCABULARY | {
    "sequence_number",
    "response",
    "item",
    "item_id",
    "output_index",
    "content_index",
    "summary_index",
    "annotation_index",
    "annotation",
    "delta",
    "part",
    "created_at",
    "completed_at",
    "error",
    "incomplete_details",
    "usage",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "input_tokens_details",
    "output_tokens_details",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "token",
    "bytes",
    "logprob",
    "code",
    "param",
    "url_citation",
    "file_citation",
    "container_file_citation",
    "start_index",
    "end_index",
    "title",
    "index",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "mcp_call",
    "obfuscation",
    "max_output_tokens",
    "content_filter",
    "moderation",
    "frequency_penalty",
    "presence_penalty",
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.completed",
    "response.incomplete",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_text.annotation.added",
    "response.refusal.delta",
    "response.refusal.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.custom_tool_call_input.delta",
    "response.custom_tool_call_input.done",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.code_interpreter_call_code.delta",
    "response.code_interpreter_call_code.done",
    "response.reasoning_text.delta",
    "response.reasoning_text.done",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_part.done",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
}
_DELTA: Path = ("delta",)
_ECHOES = {"instructions": Channel.SYSTEM, "input": Channel.USER, "tools": Channel.TOOL_DESCRIPTION}


class ResponseNotes:
    """Takes the payloads of one stream apart. Deltas of one text that follow each other wait as a row: `flush` gives it."""

    __slots__ = ("_like", "_notes", "_rest", "_row", "_slots")

    def __init__(self) -> None:
        self._notes = PayloadNotes(_ANSWER_WORDS, _channel_of)
        self._rest: dict[str, Any] | None = None  # of the payload that the next ones are compared with
        self._like: int | None = None
        self._row: list[SseEvent] = []
        self._slots: list[Slot] = []  # one a payload of the row

    def note(self, data: bytes, name: bytes, document: dict[str, Any], slots: Sequence[Slot], *, is_last: bool) -> list[Event]:
        """Events that stand for the payload, and for the row before it where it goes on with something else."""
        if len(slots) != 1 or slots[0].path != _DELTA or orjson.dumps(document) != data:
            return [*self.flush(), *self._notes.note(data, name, without_logprobs(document), slots, is_last=is_last)]
        rest = document.copy()
        del rest["delta"]
        rest.pop("sequence_number", None)
        if rest == self._rest and (not self._row or (self._row[0][1] == name and self._slots[0].part == slots[0].part)):
            self._row.append((data, name))
            self._slots.append(slots[0])
            return []
        events = [*self.flush(), *self._notes.note(data, name, without_logprobs(document), slots)]
        payload = next(event for event in events if isinstance(event, Payload) and event.data == data)
        self._rest, self._like = rest, payload.number if payload.like is None else payload.like
        return events

    def flush(self) -> list[Event]:
        if not self._row:
            return []
        (data, name), slot = self._row[0], self._slots[0]
        rest, chars = tuple(data for data, _ in self._row[1:]), tuple(slot.chars for slot in self._slots[1:])
        self._row, self._slots = [], []
        return [self._notes.same(data, name, slot, self._like, rest, chars)]


def without_logprobs(value: Any) -> Any:
    """The document without log-probabilities that say what the text beside them says: any others are scanned."""
    if isinstance(value, list):
        return [without_logprobs(item) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {key: without_logprobs(item) for key, item in value.items() if key != "logprobs"}
    if (logprobs := value.get("logprobs")) and not _says_the_same(value, logprobs):
        copy["logprobs"] = logprobs
    return copy


def _says_the_same(said: Mapping[str, Any], logprobs: Any) -> bool:
    try:
        text = said["delta"] if "delta" in said else said["text"]
        return bool(text == "".join(token["token"] for token in logprobs))
    except (KeyError, TypeError):
        return False


def scrub(value: Any) -> None:
    """Take log-probabilities out: they tell the text in pieces."""
    if isinstance(value, list):
        for item in value:
            scrub(item)
    elif isinstance(value, dict):
        if value.get("logprobs"):
            value["logprobs"] = []
        for item in value.values():
            scrub(item)


def _channel_of(path: Path, value: Any, around: Channel) -> Channel:
    """The answer's own words repeat what was streamed; the request's, which stand in it too, what was asked."""
    if not path:
        return Channel.SUMMARY
    if path[0] == "response" and len(path) == 2:
        return _ECHOES.get(str(path[1]), Channel.SUMMARY if path[1] == "output" else Channel.OTHER)
    return file_channel(path, value, around)
