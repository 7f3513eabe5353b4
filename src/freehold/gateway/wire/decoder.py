"""What the decoders of all dialects have in common: how a provider's payloads become events, and how they are read."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamRejected
from freehold.core.events import Event, PartKind, ReasoningDelta, Slot, TextDelta, TokenLogprob, ToolCallDelta, ToolCallStart
from freehold.core.exchange import Path
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.codec import TextKey

NAME_LIMIT_CHARS = 256  # of a model, a tool or a call; OpenAI allows 64 for tools
_MESSAGE_LIMIT_CHARS = 2000
_CODE_LIMIT_CHARS = 64
_TOLD_DEPTH = 4  # errors within errors
_SENTENCE_ENDS = (".", "!", "?", ":", ";", ")", "`", "*", "\n", "…", "。", "！", "？", "：")
_COUNT_LIMIT = 1 << 53  # the whole numbers that every JSON parser keeps

_Struct = TypeVar("_Struct")


class Run:
    """What the payloads of one read say: events in their order, deltas of one text that follow each other joined, as every stage
    and the client then get fewer of them.

    For a client of the same dialect the payloads themselves stand before all of them (`noted`), and `slots` tell where the texts
    of the payload under way stand in it; None tells that nobody asks.
    """

    __slots__ = ("_events", "_key", "_logprobs", "_texts", "noted", "slots")

    def __init__(self) -> None:
        self.noted: list[Event] = []
        self.slots: list[Slot] | None = None
        self._events: list[Event] = []
        self._key: TextKey | None = None
        self._texts: list[str]
        self._logprobs: tuple[TokenLogprob, ...]

    def say(self, key: TextKey, text: str, path: Path = (), logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        """A piece of a text, which stands at `path` of the payload under way."""
        if path and self.slots is not None:
            kind, choice, part = key
            self.slots.append(Slot(kind=kind, choice=choice, part=part, path=path, chars=len(text)))
        if key == self._key:
            self._texts.append(text)
            if logprobs:
                self._logprobs += logprobs
        else:
            self._settle()
            self._key, self._texts, self._logprobs = key, [text], logprobs

    def add(self, event: Event) -> None:
        self._settle()
        self._events.append(event)

    def begin_call(self, start: ToolCallStart, path: Path) -> None:
        """`path` leads to the object that is the call."""
        self.add(start)
        self.place_call(start.choice, start.part, path)

    def place_call(self, choice: int, part: int, path: Path) -> None:
        if self.slots is not None:
            self.slots.append(Slot(kind=PartKind.TOOL_CALL, choice=choice, part=part, path=path, chars=0, begins=True))

    def join(self, events: Iterable[Event]) -> None:
        """Add events, their deltas to those before them."""
        for event in events:
            match event:
                case TextDelta():
                    self.say((PartKind.TEXT, event.choice, event.part), event.text, (), event.logprobs)
                case ReasoningDelta():
                    self.say((PartKind.REASONING, event.choice, event.part), event.text)
                case ToolCallDelta():
                    self.say((PartKind.TOOL_CALL, event.choice, event.part), event.arguments)
                case _:
                    self.add(event)

    def events(self) -> list[Event]:
        self._settle()
        return self.noted + self._events

    def _settle(self) -> None:
        if self._key is None:
            return
        (kind, choice, part), text = self._key, "".join(self._texts)
        if kind is PartKind.TEXT:
            self._events.append(TextDelta(text=text, choice=choice, part=part, logprobs=self._logprobs))
        elif kind is PartKind.REASONING:
            self._events.append(ReasoningDelta(text=text, choice=choice, part=part))
        else:
            self._events.append(ToolCallDelta(arguments=text, choice=choice, part=part))
        self._key = None


class Decoder:
    """A `StreamDecoder` for a dialect that says how to read and how to end. A payload that can't be read ends the answer: what
    came before it is given, and `close` raises.
    """

    __slots__ = ("_failure", "_provider", "done")

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._failure: UpstreamError | None = None
        self.done = False

    def decode(self, payloads: Iterable[SseEvent]) -> list[Event]:
        run = Run()
        try:
            self._read_all(payloads, run)
        except UpstreamError as exc:
            self._failure, self.done = exc, True
        return run.events()

    def close(self) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        return self._ends()

    def whole(self, body: bytes) -> list[Event]:
        """Events of a whole body that looks like a stream's payload."""
        return [*self.decode([(body, b"")]), *self.close()]

    def _read_all(self, payloads: Iterable[SseEvent], run: Run) -> None:
        raise NotImplementedError

    def _ends(self) -> list[Event]:
        """Usage and MessageEnds."""
        raise NotImplementedError

    def _ended_early(self) -> UpstreamBroken:
        return UpstreamBroken(f"upstream {self._provider} ended its stream before the answer's end")


def ends_a_sentence(text: str) -> bool:
    """Whether a text is complete when a call begins after its last piece, and need not wait for more."""
    return text.rstrip(" ").endswith(_SENTENCE_ENDS)


def parsed(data: bytes | str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise UpstreamBroken("the upstream sent something that is not JSON") from exc


def parsed_object(data: bytes, otherwise: str) -> dict[str, Any]:
    """`otherwise` is what to say of what is no object."""
    document = parsed(data)
    if not isinstance(document, dict):
        raise UpstreamBroken(otherwise)
    return document


def struct_parser(kind: type[_Struct]) -> Callable[[bytes], _Struct]:
    """Parses and checks in one pass what a msgspec Struct names, and skips whatever else a provider sends."""
    decode = msgspec.json.Decoder(kind).decode

    def parse(data: bytes) -> _Struct:
        try:
            return decode(data)
        except msgspec.ValidationError as exc:
            raise UpstreamBroken(f"the upstream sent a malformed answer: {exc}") from exc
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:  # bad UTF-8, a number of thousands of digits
            raise UpstreamBroken("the upstream sent something that is not JSON") from exc

    return parse


def count(value: Any) -> int | None:
    """A count that makes no sense is unknown: it is no reason to lose the answer."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _COUNT_LIMIT else None


def rejected(error: Any, status: int) -> UpstreamRejected:
    """An error in the place of an answer. Its words are the provider's: the gateway lets the guard see them."""
    message = error.get("message") if isinstance(error, dict) else error
    said = message[:_MESSAGE_LIMIT_CHARS] if isinstance(message, str) and message else "the upstream broke off with an error"
    return UpstreamRejected(said, status=status)


def http_status(error: Any) -> int:
    """Of an error whose `code` may be one."""
    status = error.get("code") if isinstance(error, dict) else None
    return status if isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599 else 502


def read_error(body: bytes, word: str) -> tuple[str | None, str | None]:
    """What the body of a provider's error says, and what its error has under `word`, if that is short enough to be a code."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None, None
    if isinstance(document, list) and len(document) == 1:  # Google's, of a stream that is refused before it begins
        document = document[0]
    error = document.get("error") if isinstance(document, dict) else None
    return _told(document), (code_of(error, word) if isinstance(error, dict) else None)


def code_of(error: Mapping[str, Any], word: str) -> str | None:
    code = error.get(word)
    return code if isinstance(code, str) and 0 < len(code) <= _CODE_LIMIT_CHARS else None


def _told(document: Any, depth: int = _TOLD_DEPTH) -> str | None:
    """What the body of an error says, in a dialect's shape or in that of a framework, a proxy or an older server."""
    if not isinstance(document, dict):
        return None
    for key in ("error", "message", "detail"):
        said = document.get(key)
        if isinstance(said, dict) and depth > 1:
            said = _told(said, depth - 1)
        elif isinstance(said, list):  # FastAPI's: what is wrong where
            said = "; ".join(_told_problem(item) for item in said if isinstance(item, dict))
        if isinstance(said, str) and said:
            return said
    return None


def _told_problem(item: Mapping[str, Any]) -> str:
    where = item.get("loc")
    place = ".".join(map(str, where)) if isinstance(where, list) else ""
    return f"{place}: {item.get('msg', '')}" if place else str(item.get("msg", ""))
