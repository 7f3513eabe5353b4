"""Responses' payloads as their provider wrote them, for a client who speaks the same dialect.

Most payloads of a stream differ from the one before in one delta and a sequence number: nothing else in them needs to be scanned
again. What repeats the streamed texts (`done`, `completed`) is scanned whole, so that it comes out masked alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from freehold.core.errors import UpstreamBroken
from freehold.core.events import Event, Payload, Slot
from freehold.core.exchange import Path
from freehold.core.findings import Channel
from freehold.gateway.wire.codec import Leaf
from freehold.gateway.wire.openai_responses_request import VOCABULARY, file_channel
from freehold.gateway.wire.verbatim import PayloadNotes, only_tokens

# Words of answers, and the ends of events' names.
_ANSWER_WORDS_WORDS = (
    "sequence_number response item item_id output_index content_index summary_index annotation_index annotation delta part"
    " created_at completed_at error incomplete_details usage input_tokens output_tokens total_tokens input_tokens_details"
    " output_tokens_details cached_tokens cache_write_tokens reasoning_tokens token bytes logprob code param url_citation"
    " file_citation container_file_citation start_index end_index title index web_search_call file_search_call"
    " code_interpreter_call mcp_call obfuscation max_output_tokens content_filter moderation frequency_penalty"
    " presence_penalty response.created response.queued response.in_progress response.completed response.incomplete"
    " response.output_item.added response.output_item.done response.content_part.added response.content_part.done"
    " response.output_text.delta response.output_text.done response.output_text.annotation.added response.refusal.delta"
    " response.refusal.done response.function_call_arguments.delta response.function_call_arguments.done"
    " response.custom_tool_call_input.delta response.custom_tool_call_input.done response.mcp_call_arguments.delta"
    " response.mcp_call_arguments.done response.code_interpreter_call_code.delta response.code_interpreter_call_code.done"
    " response.reasoning_text.delta response.reasoning_text.done response.reasoning_summary_part.added"
    " response.reasoning_summary_part.done response.reasoning_summary_text.delta response.reasoning_summary_text.done"
)
_ANSWER_WORDS = VOCABULARY | frozenset(_ANSWER_WORDS_WORDS.split())
_DELTA: Path = ("delta",)
_PAD: Path = ("obfuscation",)
_ECHOES = {"instructions": Channel.SYSTEM, "input": Channel.USER, "tools": Channel.TOOL_DESCRIPTION}


class ResponseNotes:
    """Takes the payloads of one stream apart. Deltas of one text that follow each other wait as a row: `flush` gives it.

    OpenAI pads its deltas with random letters, so that their sizes tell nothing. Those are scanned one by one.
    """

    __slots__ = ("_around", "_like", "_name", "_notes", "_padded", "_padding", "_row", "_slot")

    def __init__(self) -> None:
        self._notes = PayloadNotes(_ANSWER_WORDS, _channel_of)
        self._around: tuple[bytes, bytes, bytes, bool] | None = None  # see `_around`
        self._padding = b""  # what stands between the delta and the padding; empty where there is none
        self._padded: list[Event] = []
        self._name = b""
        self._slot: Slot | None = None  # of the payload the next ones are compared with
        self._like: int | None = None
        self._row: list[tuple[bytes, int]] = []  # data, characters

    def repeated(self, data: bytes, name: bytes) -> tuple[Slot, str] | None:
        """The text of a payload that differs from the one before in its number and its delta alone; it waits in the row."""
        if self._around is None or self._slot is None:
            return None
        before, between, behind, is_number_first = self._around
        if name != self._name or not (data.startswith(before) and data.endswith(behind)):
            return None
        differing = data[len(before) : len(data) - len(behind)]
        number, found, literal = differing.partition(between) if is_number_first else differing.rpartition(between)[::-1]
        if not found or not number.isdigit():
            return None
        pad = b""
        if self._padding:
            literal, found, pad = literal.rpartition(self._padding)
            if not found or not pad.isalnum():
                return None
        try:
            text: str = orjson.loads(b'"%s"' % literal)
        except orjson.JSONDecodeError:  # more than one string lies between
            return None
        if pad:
            leaf = Leaf(path=_PAD, channel=Channel.OTHER, text=pad.decode())
            self._padded += self._notes.padded(data, name, self._sized(len(text)), self._like, leaf)
        else:
            self._row.append((data, len(text)))
        return self._slot, text

    def note(self, data: bytes, name: bytes, document: dict[str, Any], slots: Sequence[Slot], *, is_last: bool) -> list[Event]:
        """Events that stand for the payload, and for the row before it."""
        scanned = _scanned(data, document)
        row, noted = self.flush(), self._notes.note(data, name, scanned, slots, is_last=is_last)
        self._around = None
        if len(slots) == 1 and slots[0].path == _DELTA and scanned is document and isinstance(noted[0], Payload):
            self._slot, self._around = slots[0], _around(noted[0].data, document)
            self._name = name
            self._learn_padding(document)
            self._like = noted[0].number if noted[0].like is None else noted[0].like
        return [*row, *noted]

    def flush(self) -> list[Event]:
        if self._padded:
            padded, self._padded = self._padded, []
            return padded
        if not self._row:
            return []
        (data, chars), *rest = self._row
        self._row = []
        others = tuple(other for other, _ in rest)
        return [self._notes.same(data, self._name, self._sized(chars), self._like, others, tuple(chars for _, chars in rest))]

    def _sized(self, chars: int) -> Slot:
        assert self._slot is not None
        return Slot(kind=self._slot.kind, choice=0, part=self._slot.part, path=_DELTA, chars=chars)

    def _learn_padding(self, document: Mapping[str, Any]) -> None:
        """Padding stands last."""
        self._padding = b""
        if self._around is None or not self._around[3] or not isinstance(document.get("obfuscation"), str):
            return
        before, between, behind, _ = self._around
        end = orjson.dumps(document["obfuscation"])[1:] + b"}"
        if behind.endswith(b',"obfuscation":"' + end):
            self._padding, self._around = behind[: -len(end)], (before, between, b'"}', True)


def _around(data: bytes, document: Mapping[str, Any]) -> tuple[bytes, bytes, bytes, bool] | None:
    """What stands before, between and behind a payload's number and delta, and whether the number is first; if plain to see."""
    number, delta = orjson.dumps(document.get("sequence_number")), orjson.dumps(document["delta"])
    places = []
    for key, value in ((b'"sequence_number":', number), (b'"delta":', delta)):
        if not value or data.count(key) != 1 or not data.startswith(value, at := data.index(key) + len(key)):
            return None
        places.append((at, at + len(value)))
    (number_at, number_end), (start, end) = places[0], (places[1][0] + 1, places[1][1] - 1)  # without the quotes
    if not number.isdigit():
        return None
    if number_at < start:
        return data[:number_at], data[number_end:start], data[end:], True
    return data[:start], data[end:number_at], data[number_end:], False


def _scanned(data: bytes, document: dict[str, Any]) -> dict[str, Any]:
    """What of the document is scanned; almost always all, as log-probabilities are asked for."""
    named = data.count(b'"logprobs"')
    if named == data.count(b'"logprobs":[]') + data.count(b'"logprobs":null'):
        return document
    try:
        stripped: dict[str, Any] = without_logprobs(document)
    except RecursionError as exc:
        raise UpstreamBroken("the upstream sent an answer that nests too deep to be read") from exc
    return stripped


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
        return bool(text == "".join(token["token"] for token in logprobs)) and only_tokens(logprobs)
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
