"""A remote provider on loopback for coding agents: in four dialects it has them use tools, and says what a test wrote down.

A script is a list of turns. Which of them answers is told by the request alone: as many tool results as it brings, so many turns
are over. So an agent may ask twice, or ask for a title beside its work, and every request is answered as it should be.
"""

import json
import re
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Document = dict[str, Any]
SEEN = "THE-TOKEN-IT-SAW"  # in a turn: what the request has in place of a secret
_TOKEN = re.compile(r"<<[A-Z_]+_[0-9a-f]{8}>>")
_CUT_CHARS = 7  # of the pieces in which texts and arguments are streamed


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a tool: `arguments`, or of a tool that takes plain text, `text`."""

    tool: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def id(self) -> str:
        """Of its own in a conversation, as long as no call is made twice."""
        return f"call_{zlib.crc32(repr(self).encode()):08x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    text: str
    thought: str = ""
    call: Call | None = None

    def filled(self, seen: str) -> "Turn":
        """The same with what the request had in place of a secret."""
        if self.call is None:
            return Turn(text=self.text.replace(SEEN, seen), thought=self.thought)
        arguments = {name: value.replace(SEEN, seen) for name, value in self.call.arguments.items()}
        call = Call(tool=self.call.tool, arguments=arguments, text=self.call.text.replace(SEEN, seen))
        return Turn(text=self.text.replace(SEEN, seen), thought=self.thought, call=call)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    path: str
    body: bytes
    results: int  # tool results in it
    has_tools: bool


@dataclass(slots=True)
class Provider:
    url: str = ""
    turns: Sequence[Turn] = ()
    received: list[Asked] = field(default_factory=list)

    def play(self, *turns: Turn) -> None:
        self.turns = turns
        self.received = []

    @property
    def worked(self) -> list[int]:
        """Of each request with tools, in order, how many results it brought: 0, 1, 2 where nothing was asked again."""
        return [asked.results for asked in self.received if asked.has_tools]

    def answer(self, path: str, body: bytes) -> tuple[str, bytes]:
        """The content type and the answer."""
        document: Document = json.loads(body)
        dialect = next(of for suffix, of in _DIALECTS.items() if suffix in path)
        asked = Asked(path=path, body=body, results=dialect.results(document), has_tools=bool(document.get("tools")))
        self.received.append(asked)
        if path.endswith(("count_tokens", ":countTokens")):
            return "application/json", b'{"input_tokens": 12, "totalTokens": 12}'
        turn = self.turns[min(asked.results, len(self.turns) - 1)] if asked.has_tools else Turn(text="A title")
        seen = _TOKEN.search(json.dumps(document, ensure_ascii=False))
        turn = turn.filled(seen[0] if seen else "nothing")
        if path.endswith("/messages") and not document.get("stream"):  # what Claude Code tries where a stream broke
            return "application/json", json.dumps({**_MESSAGE, "content": [{"type": "text", "text": turn.text}]}).encode()
        return "text/event-stream", b"".join(dialect.stream(turn))


@dataclass(frozen=True, slots=True)
class _Dialect:
    results: Callable[[Document], int]
    stream: Callable[[Turn], Iterable[bytes]]


def _pieces(text: str) -> list[str]:
    return [text[start : start + _CUT_CHARS] for start in range(0, len(text), _CUT_CHARS)]


def _data(document: Mapping[str, Any], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(document, separators=(',', ':'))}\n\n".encode()


_MESSAGE: Document = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "scripted",
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 1},
}


def _anthropic_results(document: Document) -> int:
    contents = [message["content"] for message in document["messages"] if isinstance(message["content"], list)]
    return sum(block.get("type") == "tool_result" for content in contents for block in content)


def _anthropic(turn: Turn) -> Iterator[bytes]:
    yield _data({"type": "message_start", "message": {**_MESSAGE, "content": [], "stop_reason": None}}, "message_start")
    blocks: list[tuple[Document, str, str, str]] = []
    if turn.thought:
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking", turn.thought))
    blocks.append(({"type": "text", "text": ""}, "text_delta", "text", turn.text))
    if turn.call:
        start = {"type": "tool_use", "id": turn.call.id, "name": turn.call.tool, "input": {}}
        blocks.append((start, "input_json_delta", "partial_json", json.dumps(dict(turn.call.arguments))))
    for index, (start, kind, name, text) in enumerate(blocks):
        place = {"index": index}
        yield _data({"type": "content_block_start", **place, "content_block": start}, "content_block_start")
        deltas: list[Document] = [{"type": kind, name: piece} for piece in _pieces(text)]
        if kind == "thinking_delta":
            deltas.append({"type": "signature_delta", "signature": "EqQBCgIYAhIkc2NyaXB0ZWQ="})
        for delta in deltas:
            yield _data({"type": "content_block_delta", **place, "delta": delta}, "content_block_delta")
        yield _data({"type": "content_block_stop", **place}, "content_block_stop")
    stop = {"stop_reason": "tool_use" if turn.call else "end_turn", "stop_sequence": None}
    yield _data({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 20}}, "message_delta")
    yield _data({"type": "message_stop"}, "message_stop")


def _chat_results(document: Document) -> int:
    return sum(message["role"] == "tool" for message in document["messages"])


def _chat(turn: Turn) -> Iterator[bytes]:
    deltas: list[Document] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(turn.thought)]
    deltas += [{"content": piece} for piece in _pieces(turn.text)]
    if turn.call:
        arguments = dict(turn.call.arguments) or {"input": turn.call.text}
        start = {"id": turn.call.id, "type": "function", "function": {"name": turn.call.tool, "arguments": ""}}
        deltas.append({"tool_calls": [{"index": 0, **start}]})
        pieces = _pieces(json.dumps(arguments))
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    for delta in deltas:
        yield _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    reason = "tool_calls" if turn.call else "stop"
    yield _data({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    yield _data({**head, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _responses_results(document: Document) -> int:
    return sum(str(item.get("type")).endswith("_call_output") for item in document["input"])


def _responses(turn: Turn) -> Iterator[bytes]:
    events = list(_responses_events(turn))
    for number, event in enumerate(events):
        yield _data({"sequence_number": number, **event}, event["type"])


def _responses_events(turn: Turn) -> Iterator[Document]:
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "scripted"}
    yield {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}}
    yield {"type": "response.in_progress", "response": {**response, "status": "in_progress", "output": []}}
    kinds = [_thought_events(turn.thought)] if turn.thought else []
    kinds.append(_message_events(turn.text))
    if turn.call:
        kinds.append(_call_events(turn.call))
    output = []
    for index, events in enumerate(kinds):
        for event in events:
            yield {**event, "output_index": index}
            if event["type"] == "response.output_item.done":
                output.append(event["item"])
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30, **details}
    yield {"type": "response.completed", "response": {**response, "status": "completed", "output": output, "usage": usage}}


def _thought_events(text: str) -> Iterator[Document]:
    item: Document = {"type": "reasoning", "id": "rs_1", "summary": []}
    place, part = {"item_id": "rs_1", "summary_index": 0}, {"type": "summary_text", "text": text}
    yield {"type": "response.output_item.added", "item": item}
    yield {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
    for piece in _pieces(text):
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **place, "text": text}
    yield {"type": "response.reasoning_summary_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "item": {**item, "summary": [part]}}


def _message_events(text: str) -> Iterator[Document]:
    item: Document = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    place, part = {"item_id": "msg_1", "content_index": 0}, {"type": "output_text", "text": text, "annotations": []}
    yield {"type": "response.output_item.added", "item": item}
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in _pieces(text):
        yield {"type": "response.output_text.delta", **place, "delta": piece}
    yield {"type": "response.output_text.done", **place, "text": text}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "item": {**item, "status": "completed", "content": [part]}}


def _call_events(call: Call) -> Iterator[Document]:
    kind, name, text = ("function_call", "arguments", json.dumps(dict(call.arguments)))
    if not call.arguments:
        kind, name, text = ("custom_tool_call", "input", call.text)
    item = {"type": kind, "id": "fc_1", "call_id": call.id, "name": call.tool, name: "", "status": "in_progress"}
    events = f"response.{kind}_{name}"
    yield {"type": "response.output_item.added", "item": item}
    for piece in _pieces(text):
        yield {"type": f"{events}.delta", "item_id": "fc_1", "delta": piece}
    yield {"type": f"{events}.done", "item_id": "fc_1", name: text}
    yield {"type": "response.output_item.done", "item": {**item, name: text, "status": "completed"}}


def _gemini_results(document: Document) -> int:
    return sum("functionResponse" in part for content in document["contents"] for part in content["parts"])


def _gemini(turn: Turn) -> Iterator[bytes]:
    parts: list[Document] = [{"text": piece, "thought": True} for piece in _pieces(turn.thought)]
    parts += [{"text": piece} for piece in _pieces(turn.text)]
    if turn.call:
        parts.append({"functionCall": {"name": turn.call.tool, "args": dict(turn.call.arguments)}})
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 30}
    for number, part in enumerate(parts, start=1):
        candidate: Document = {"content": {"role": "model", "parts": [part]}, "index": 0}
        if number == len(parts):
            candidate["finishReason"] = "STOP"
        yield _data({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted", "responseId": "1"})


_DIALECTS = {  # by what stands in the path
    "/messages": _Dialect(_anthropic_results, _anthropic),
    "/chat/completions": _Dialect(_chat_results, _chat),
    "/responses": _Dialect(_responses_results, _responses),
    "enerateContent": _Dialect(_gemini_results, _gemini),
}


@contextmanager
def serving() -> Iterator[Provider]:
    """The provider on a free loopback port, a thread a request."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            content_type, answer = provider.answer(self.path, body)
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Not at all: what arrived is in `received`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
