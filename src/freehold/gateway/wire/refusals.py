"""Takes refused tool calls out of a provider's own payloads, and puts words in their place.

A refuser is made when the first call of an answer is refused, and sees every payload from then on, whole, before it is sent. What
was sent before holds no part of a refused call: a call's first payload waits until the call was judged (`verbatim.py`). Each
dialect has a refuser of its own; what all of them keep to: a refused call leaves nothing behind but its words, indexes and
numbers stay without gaps, and an answer whose every call was refused does not end for the sake of calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from freehold.core.errors import InternalError
from freehold.core.events import Slot
from freehold.core.exchange import Path
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.codec import CallKey
from freehold.gateway.wire.leaves import value_at


class NoCalls:
    """For dialects whose answers have none."""

    def refuse(self, call: CallKey, text: str) -> None:
        raise InternalError("a call was refused in an answer that can't have any")

    def rewrite(self, document: dict[str, Any], name: bytes, slots: Sequence[Slot], *, has_calls: bool) -> list[SseEvent]:
        raise InternalError("a call was refused in an answer that can't have any")


def begun(slots: Sequence[Slot], refused: Mapping[CallKey, str]) -> list[tuple[Path, str]]:
    """Where refused calls begin in a payload, and what to say instead."""
    return [(slot.path, refused[slot.choice, slot.part]) for slot in slots if slot.begins and (slot.choice, slot.part) in refused]


class ChatRefuser:
    """Chat completions: entries of `tool_calls`, or the older `function_call`. Words are content of the same turn."""

    def __init__(self, legacy_part: int) -> None:
        self._legacy_part = legacy_part
        self._refused: dict[CallKey, str] = {}
        self._said: set[CallKey] = set()

    def refuse(self, call: CallKey, text: str) -> None:
        self._refused[call] = text

    def rewrite(self, document: dict[str, Any], name: bytes, slots: Sequence[Slot], *, has_calls: bool) -> list[SseEvent]:
        touched = [self._rewrite_choice(choice) for choice in document.get("choices") or () if isinstance(choice, dict)]
        for choice in document.get("choices") or ():
            if not has_calls and choice.get("finish_reason") in ("tool_calls", "function_call"):
                choice["finish_reason"] = "stop"
        if any(touched) and all(map(_says_nothing, document["choices"])) and not document.get("usage"):
            return []
        return [(orjson.dumps(document), name)]

    def _rewrite_choice(self, choice: dict[str, Any]) -> bool:
        """Whether anything of it was refused."""
        turn, number = choice.get("delta") or choice.get("message"), choice.get("index") or 0
        if not isinstance(turn, dict):
            return False
        words: list[str] = []
        is_touched = False
        if turn.get("function_call") and (number, self._legacy_part) in self._refused:
            del turn["function_call"]
            words.append(self._words(number, self._legacy_part))
            is_touched = True
        if turn.get("tool_calls"):
            kept = []
            for position, call in enumerate(turn["tool_calls"]):
                part = position if call.get("index") is None else call["index"]
                if (number, part) in self._refused:
                    words.append(self._words(number, part))
                    is_touched = True
                else:
                    kept.append(self._renumbered(call, number))
            turn["tool_calls"] = kept
            if not kept:
                del turn["tool_calls"]
        if text := "".join(words):
            turn["content"] = (turn.get("content") or "") + text
        return is_touched

    def _words(self, choice: int, part: int) -> str:
        """The first time it is asked for them."""
        if (choice, part) in self._said:
            return ""
        self._said.add((choice, part))
        return self._refused[choice, part]

    def _renumbered(self, call: dict[str, Any], choice: int) -> dict[str, Any]:
        """Clients keep calls in a list: their indexes have no gaps."""
        if call.get("index") is None:
            return call
        before = sum(number == choice and part < call["index"] for number, part in self._refused)
        return {**call, "index": call["index"] - before}


def _says_nothing(choice: Any) -> bool:
    turn = choice.get("delta")
    return isinstance(turn, dict) and not any(turn.values()) and choice.get("finish_reason") is None


class MessagesRefuser:
    """Messages: a `tool_use` block becomes a text block of the same index."""

    def __init__(self) -> None:
        self._refused: dict[CallKey, str] = {}
        self._blocks: set[int] = set()  # indexes of those that stand for calls

    def refuse(self, call: CallKey, text: str) -> None:
        self._refused[call] = text.lstrip()  # a block of its own

    def rewrite(self, document: dict[str, Any], name: bytes, slots: Sequence[Slot], *, has_calls: bool) -> list[SseEvent]:
        places = begun(slots, self._refused)
        kind = document.get("type")
        if kind == "content_block_start" and places:
            return self._begin(document, name, places[0][1])
        if kind == "content_block_delta" and document.get("index") in self._blocks:
            return []
        for path, text in places:  # of a whole message
            _put(document, path, {"type": "text", "text": text})
        ending = document.get("delta") if kind == "message_delta" else document
        if not has_calls and isinstance(ending, dict) and ending.get("stop_reason") == "tool_use":
            ending["stop_reason"] = "end_turn"
        return [(orjson.dumps(document), name)]

    def _begin(self, document: dict[str, Any], name: bytes, text: str) -> list[SseEvent]:
        index = document["index"]
        self._blocks.add(index)
        document["content_block"] = {"type": "text", "text": ""}
        delta = {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
        return [(orjson.dumps(document), name), (orjson.dumps(delta), b"content_block_delta")]


class ResponsesRefuser:
    """Responses: a call's item becomes a message in its place, told with all the events of one."""

    def __init__(self) -> None:
        self._refused: dict[CallKey, str] = {}
        self._messages: dict[str, dict[str, Any]] = {}  # id of the call's item -> the message
        self._shift = 0  # of sequence numbers

    def refuse(self, call: CallKey, text: str) -> None:
        self._refused[call] = text.lstrip()  # a block of its own

    def rewrite(self, document: dict[str, Any], name: bytes, slots: Sequence[Slot], *, has_calls: bool) -> list[SseEvent]:
        number = document.get("sequence_number")
        sent = [document]
        places = begun(slots, self._refused)
        if places and isinstance(document.get("item"), dict):
            sent = self._begin(document, places[0][1])
        elif isinstance(document.get("item"), dict) and (message := self._messages.get(_id_of(document["item"]))):
            document["item"] = message
        elif document.get("item_id") in self._messages:
            sent = []
        for path, text in places if not isinstance(document.get("item"), dict) else ():  # told of at the end alone, or whole
            self._remember(value_at(document, path), text)
        response = document.get("response", document)
        if isinstance(response, dict) and isinstance(response.get("output"), list):
            response["output"] = [self._messages.get(_id_of(item), item) for item in response["output"]]
        return self._numbered(sent, number, name)

    def _begin(self, document: dict[str, Any], text: str) -> list[dict[str, Any]]:
        """The call's item was added, or is told of when it is done alone."""
        is_done = str(document.get("type")).endswith(".done")
        message = self._remember(document["item"], text)
        at = {"output_index": document.get("output_index", 0)}
        within = {"item_id": message["id"], **at, "content_index": 0}
        part = message["content"][0]
        events: list[dict[str, Any]] = [
            {"type": "response.output_item.added", **at, "item": {**message, "status": "in_progress", "content": []}},
            {"type": "response.content_part.added", **within, "part": {**part, "text": ""}},
            {"type": "response.output_text.delta", **within, "delta": text, "logprobs": []},
            {"type": "response.output_text.done", **within, "text": text, "logprobs": []},
            {"type": "response.content_part.done", **within, "part": part},
        ]
        return [*events, {"type": "response.output_item.done", **at, "item": message}] if is_done else events

    def _remember(self, item: Mapping[str, Any], text: str) -> dict[str, Any]:
        name = _id_of(item)
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {
            "id": f"msg_{name.rpartition('_')[2] or 'refused'}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
        self._messages[name] = message
        return message

    def _numbered(self, sent: list[dict[str, Any]], number: Any, name: bytes) -> list[SseEvent]:
        """Sequence numbers go on without gaps; an event's name is its type."""
        events: list[SseEvent] = []
        for at, document in enumerate(sent):
            if isinstance(number, int):
                document["sequence_number"] = number + self._shift + at
            kind = document.get("type")
            events.append((orjson.dumps(document), kind.encode() if name and isinstance(kind, str) else name))
        self._shift += len(sent) - 1
        return events


def _id_of(item: Any) -> str:
    if not isinstance(item, dict):
        return ""
    name = item.get("id") or item.get("call_id")
    return name if isinstance(name, str) else ""


class GeminiRefuser:
    """Gemini: a `functionCall` part becomes a text part. Its answers end with "STOP" whether they call or not."""

    def __init__(self) -> None:
        self._refused: dict[CallKey, str] = {}

    def refuse(self, call: CallKey, text: str) -> None:
        self._refused[call] = text

    def rewrite(self, document: dict[str, Any], name: bytes, slots: Sequence[Slot], *, has_calls: bool) -> list[SseEvent]:
        for path, text in begun(slots, self._refused):
            _put(document, path[:-1], {"text": text})
        return [(orjson.dumps(document), name)]


def _put(document: dict[str, Any], path: Path, value: Any) -> None:
    value_at(document, path[:-1])[path[-1]] = value
