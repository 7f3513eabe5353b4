"""How a provider of each dialect says a text in each of its channels, streamed and whole; and how a client asks.

`stream` takes the text's pieces and gives framed events, in the order a provider would send them, with the summaries that repeat
the text; `whole` is the same answer in one body. `{"..."}` around a text makes a tool's arguments of it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
MODEL = "scripted"


def arguments(text: str) -> str:
    return json.dumps({"command": text, "n": 1})


def framed(document: Document, name: str = "") -> bytes:
    data = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`channels` maps a channel's name to whether its text is a tool's arguments."""

    name: str
    path: Callable[[str, bool], str]  # of the model, and whether a stream is asked for
    channels: Mapping[str, bool]
    stream: Callable[[str, Sequence[str]], list[bytes]]
    whole: Callable[[str, str], Document]
    ask: Callable[[str, str, bool], Document]  # model, text, whether to stream
    requests: Mapping[str, Callable[[str], Document]]  # a place in a request -> fields for `ask`'s document with a text there
    headers: Mapping[str, str]


# --- OpenAI chat completions ---


def chunk(delta: Document, finish: str | None = None, index: int = 0, **extra: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **extra}
    return framed({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]})


def _chat_call(index: int, text: str, *, first: bool) -> Document:
    named = {"id": f"call_{index}", "type": "function"} if first else {}
    return {"index": index, **named, "function": {**({"name": "run"} if first else {}), "arguments": text}}


_CHAT_FIELDS = {"text": "content", "reasoning": "reasoning_content", "refusal": "refusal", "unknown_field": "commentary"}


def _chat_stream(channel: str, pieces: Sequence[str]) -> list[bytes]:
    said: list[bytes]
    last = "stop"
    if channel in ("tool_call", "parallel_calls"):
        last = "tool_calls"
        said = [chunk({"role": "assistant", "content": None})]
        for number, piece in enumerate(pieces):
            calls = [_chat_call(0, piece, first=not number)]
            if channel == "parallel_calls":
                calls.append(_chat_call(1, '{"a":[' if not number else "1,", first=not number))
            said += [chunk({"tool_calls": [call]}) for call in calls]
        if channel == "parallel_calls":
            said.append(chunk({"tool_calls": [_chat_call(1, "2]}", first=False)]}))
    elif channel == "second_choice":
        said = [event for piece in pieces for event in (chunk({"content": "la "}), chunk({"content": piece}, index=1))]
        said.append(chunk({}, "stop", index=1))
    elif channel == "annotation":
        note = {"type": "url_citation", "url_citation": {"title": "".join(pieces), "url": "https://example.org"}}
        said = [chunk({"content": "See there."}), chunk({"annotations": [note]})]
    elif channel == "logprobs":
        said = [
            chunk(
                {"content": piece}, logprobs={"content": [{"token": piece, "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
            )
            for piece in pieces
        ]
    elif channel == "error":
        return [chunk({"content": "Half of"}), framed({"error": {"message": "".join(pieces), "type": "server_error"}})]
    else:
        said = [chunk({_CHAT_FIELDS[channel]: piece}) for piece in pieces]
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    tail = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [], "usage": usage}
    return [*said, chunk({}, last), framed(tail), b"data: [DONE]\n\n"]


def _chat_whole(channel: str, text: str) -> Document:
    if channel == "error":
        return {"error": {"message": text, "type": "invalid_request_error", "code": None, "param": None}}
    message: Document = {"role": "assistant", "content": "See there."}
    choices: list[Document] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    if channel in ("tool_call", "parallel_calls"):
        calls = [_chat_call(0, text, first=True), _chat_call(1, "{}", first=True)]
        message.update(content=None, tool_calls=calls if channel == "parallel_calls" else calls[:1])
        choices[0]["finish_reason"] = "tool_calls"
    elif channel == "second_choice":
        choices.append({"index": 1, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"})
    elif channel == "annotation":
        message["annotations"] = [{"type": "url_citation", "url_citation": {"title": text, "url": "https://example.org"}}]
    elif channel == "logprobs":
        message["content"] = text
        choices[0]["logprobs"] = {"content": [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    else:
        message[_CHAT_FIELDS[channel]] = text
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": choices, "usage": usage}


def _chat_ask(model: str, text: str, stream: bool) -> Document:
    usage = {"stream_options": {"include_usage": True}} if stream else {}  # else the node takes out what it asked for itself
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **usage}


def _chat_turns(*turns: Document) -> Document:
    return {"+messages": list(turns)}


def _chat_past_call(text: str, result: str = "ok") -> Document:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"k": text})}}
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}
    return _chat_turns(turn, {"role": "tool", "tool_call_id": "c1", "content": result})


def _chat_tool(**function: Any) -> Document:
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, **function}}]}


CHAT = Dialect(
    name="openai.chat",
    path=lambda model, stream: "/v1/chat/completions",
    channels={
        "text": False,
        "reasoning": False,
        "tool_call": True,
        "parallel_calls": True,
        "refusal": False,
        "second_choice": False,
        "annotation": False,
        "unknown_field": False,
        "logprobs": False,
        "error": False,
    },
    stream=_chat_stream,
    whole=_chat_whole,
    ask=_chat_ask,
    requests={
        "user": lambda text: _chat_turns({"role": "user", "content": text}),
        "system": lambda text: _chat_turns({"role": "system", "content": text}),
        "parts": lambda text: _chat_turns({"role": "user", "content": [{"type": "text", "text": text}]}),
        "assistant": lambda text: _chat_turns({"role": "assistant", "content": text}, {"role": "user", "content": "go on"}),
        "past_call": _chat_past_call,
        "tool_result": lambda text: _chat_past_call("x", text),
        "tool_description": lambda text: _chat_tool(description=text),
        "tool_schema": lambda text: _chat_tool(
            parameters={"type": "object", "properties": {"a": {"type": "string", "description": text}}}
        ),
    },
    headers={},
)

# --- OpenAI Responses ---


def numbered(documents: Sequence[Document]) -> list[bytes]:
    return [framed({"type": d["type"], "sequence_number": n, **d}, d["type"]) for n, d in enumerate(documents)]


def response(output: Sequence[Document], status: str = "completed") -> Document:
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": MODEL,
        "status": status,
        "output": output,
        "usage": usage,
    }


def _message_item(part: Document) -> Document:
    return {"id": "it_0", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _call_item(number: int, text: str) -> Document:
    item = {"id": f"it_{number}", "type": "function_call", "status": "completed"}
    return {**item, "call_id": f"call_{number}", "name": "run", "arguments": text}


def _responses_items(channel: str, text: str) -> list[Document]:
    if channel in ("tool_call", "parallel_calls"):
        return [_call_item(0, text), *([_call_item(1, "{}")] if channel == "parallel_calls" else [])]
    if channel == "reasoning_summary":
        return [{"id": "it_0", "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}, text_item("Done.", 1)]
    if channel == "reasoning":
        item = {"id": "it_0", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}
        return [item, text_item("Done.", 1)]
    if channel == "refusal":
        return [_message_item({"type": "refusal", "refusal": text})]
    if channel == "annotation":
        note = {"type": "url_citation", "title": text, "url": "https://example.org", "start_index": 0, "end_index": 1}
        return [_message_item({"type": "output_text", "text": "See there.", "annotations": [note]})]
    if channel == "unknown_item":
        return [{"id": "it_0", "type": "divination", "omen": text}, text_item("Done.", 1)]
    return [text_item(text, 0)]


def text_item(text: str, number: int) -> Document:
    return {**_message_item({"type": "output_text", "text": text, "annotations": []}), "id": f"it_{number}"}


_RESPONSES_DELTAS = {
    "text": ("response.output_text", "text", {"content_index": 0}),
    "refusal": ("response.refusal", "refusal", {"content_index": 0}),
    "reasoning": ("response.reasoning_text", "text", {"content_index": 0}),
    "reasoning_summary": ("response.reasoning_summary_text", "text", {"summary_index": 0}),
    "tool_call": ("response.function_call_arguments", "arguments", {}),
    "parallel_calls": ("response.function_call_arguments", "arguments", {}),
}


def _responses_stream(channel: str, pieces: Sequence[str]) -> list[bytes]:
    text = "".join(pieces)
    out: list[Document] = [{"type": "response.created", "response": response([], "in_progress")}]
    if channel == "error":
        out.append({"type": "error", "code": "server_error", "message": text, "param": None})
        return numbered(out)
    if channel == "failed":
        failed = {**response([], "failed"), "error": {"code": "server_error", "message": text}}
        return numbered([*out, {"type": "response.failed", "response": failed}])
    items = _responses_items(channel, text)
    for number, item in enumerate(items):
        out.append({"type": "response.output_item.added", "output_index": number, "item": _opened(item)})
    if channel in _RESPONSES_DELTAS:
        out += _responses_deltas(channel, pieces, text)
    elif items[0]["type"] == "message":
        out += _said_whole(0, items[0])
    for number, item in enumerate(items):
        if number and item["type"] == "message":
            out += _said_whole(number, item)
        out.append({"type": "response.output_item.done", "output_index": number, "item": item})
    return numbered([*out, {"type": "response.completed", "response": response(items)}])


def _opened(item: Document) -> Document:
    empty: Document = {name: [] for name in ("content", "summary") if name in item}
    return {**item, **empty, **({"arguments": ""} if "arguments" in item else {})}


def _responses_deltas(channel: str, pieces: Sequence[str], text: str) -> list[Document]:
    kind, field, indexes = _RESPONSES_DELTAS[channel]
    at = {"item_id": "it_0", "output_index": 0, **indexes}
    out: list[Document] = []
    for piece in pieces:
        out.append({"type": f"{kind}.delta", **at, "delta": piece})
        if channel == "parallel_calls" and len(out) == 1:
            out.append({"type": f"{kind}.delta", "item_id": "it_1", "output_index": 1, "delta": "{}"})
    return [*out, {"type": f"{kind}.done", **at, field: text}]


def _said_whole(number: int, item: Document) -> list[Document]:
    at = {"item_id": item["id"], "output_index": number, "content_index": 0}
    part = item["content"][0]
    text = part["text"]
    notes = [
        {"type": "response.output_text.annotation.added", **at, "annotation_index": n, "annotation": note}
        for n, note in enumerate(part.get("annotations", ()))
    ]
    return [
        {"type": "response.content_part.added", **at, "part": {"type": "output_text", "text": "", "annotations": []}},
        {"type": "response.output_text.delta", **at, "delta": text},
        *notes,
        {"type": "response.output_text.done", **at, "text": text},
        {"type": "response.content_part.done", **at, "part": part},
    ]


def _responses_whole(channel: str, text: str) -> Document:
    if channel == "error":
        return _chat_whole("error", text)
    if channel == "failed":
        return {**response([], "failed"), "error": {"code": "server_error", "message": text}}
    return response(_responses_items(channel, text))


def _responses_ask(model: str, text: str, stream: bool) -> Document:
    return {"model": model, "stream": stream, "input": [{"role": "user", "content": text}]}


def _responses_call(text: str, result: str = "ok") -> Document:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": json.dumps({"k": text})}
    return {"+input": [call, {"type": "function_call_output", "call_id": "c1", "output": result}]}


RESPONSES = Dialect(
    name="openai.responses",
    path=lambda model, stream: "/v1/responses",
    channels={
        "text": False,
        "reasoning": False,
        "reasoning_summary": False,
        "tool_call": True,
        "parallel_calls": True,
        "refusal": False,
        "annotation": False,
        "unknown_item": False,
        "error": False,
        "failed": False,
    },
    stream=_responses_stream,
    whole=_responses_whole,
    ask=_responses_ask,
    requests={
        "user": lambda text: {"+input": [{"role": "user", "content": text}]},
        "system": lambda text: {"instructions": text},
        "parts": lambda text: {"+input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]},
        "past_call": _responses_call,
        "tool_result": lambda text: _responses_call("x", text),
        "tool_description": lambda text: {
            "tools": [{"type": "function", "name": "f", "description": text, "parameters": {"type": "object"}}]
        },
    },
    headers={},
)

# --- Anthropic Messages ---


def named(document: Document) -> bytes:
    return framed(document, document["type"])


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "stop_sequence": None}
BLOCKS: dict[str, tuple[Document, str, str]] = {
    "text": ({"type": "text", "text": ""}, "text_delta", "text"),
    "reasoning": ({"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking"),
    "tool_call": ({"type": "tool_use", "id": "toolu_0", "name": "run", "input": {}}, "input_json_delta", "partial_json"),
    "unknown_delta": ({"type": "omen", "omen": ""}, "omen_delta", "omen"),
}
BLOCKS["parallel_calls"] = BLOCKS["tool_call"]


def block_delta(index: int, kind: str, field: str, text: Any) -> bytes:
    return named({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}})


def _anthropic_stream(channel: str, pieces: Sequence[str]) -> list[bytes]:
    text = "".join(pieces)
    start: Document = {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    out = [named({"type": "message_start", "message": start})]
    if channel == "error":
        return [*out, named({"type": "error", "error": {"type": "overloaded_error", "message": text}})]
    if channel == "citation":
        citation = {"type": "char_location", "cited_text": text, "document_index": 0, "document_title": text}
        out.append(named({"type": "content_block_start", "index": 0, "content_block": BLOCKS["text"][0]}))
        out += [block_delta(0, "text_delta", "text", "See there."), block_delta(0, "citations_delta", "citation", citation)]
    else:
        block, kind, field = BLOCKS[channel]
        out.append(named({"type": "content_block_start", "index": 0, "content_block": block}))
        if channel == "parallel_calls":
            out.append(named({"type": "content_block_start", "index": 1, "content_block": {**block, "id": "toolu_1"}}))
        for number, piece in enumerate(pieces):
            out.append(block_delta(0, kind, field, piece))
            if channel == "parallel_calls":
                out.append(block_delta(1, kind, field, '{"a":[' if not number else "1,"))
        if channel == "parallel_calls":
            out.append(block_delta(1, kind, field, "2]}"))
            out.append(named({"type": "content_block_stop", "index": 1}))
        if channel == "reasoning":
            out.append(block_delta(0, "signature_delta", "signature", "c2lnbmF0dXJl"))
    out.append(named({"type": "content_block_stop", "index": 0}))
    reason = "tool_use" if channel in ("tool_call", "parallel_calls") else "end_turn"
    out.append(
        named({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 1}})
    )
    return [*out, named({"type": "message_stop"})]


def _anthropic_whole(channel: str, text: str) -> Document:
    if channel == "error":
        return {"type": "error", "error": {"type": "invalid_request_error", "message": text}}
    content: list[Document]
    if channel in ("tool_call", "parallel_calls"):
        content = [{**BLOCKS["tool_call"][0], "input": json.loads(text)}]
        if channel == "parallel_calls":
            content.append({**BLOCKS["tool_call"][0], "id": "toolu_1"})
    elif channel == "citation":
        citation = {"type": "char_location", "cited_text": text, "document_index": 0, "document_title": text}
        content = [{"type": "text", "text": "See there.", "citations": [citation]}]
    else:
        block, _, field = BLOCKS[channel]
        content = [{**block, field: text}]
    reason = "tool_use" if channel in ("tool_call", "parallel_calls") else "end_turn"
    return {**MESSAGE, "content": content, "stop_reason": reason, "usage": {"input_tokens": 1, "output_tokens": 1}}


def _anthropic_ask(model: str, text: str, stream: bool) -> Document:
    return {"model": model, "stream": stream, "max_tokens": 64, "messages": [{"role": "user", "content": text}]}


def _anthropic_call(text: str, result: Any = "ok") -> Document:
    call = {"type": "tool_use", "id": "toolu_9", "name": "f", "input": {"k": text}}
    back = {"type": "tool_result", "tool_use_id": "toolu_9", "content": result}
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    return {"+messages": [{"role": "assistant", "content": [call]}, {"role": "user", "content": [back]}], "tools": tools}


def _anthropic_file(text: str) -> Document:
    source = {"type": "text", "media_type": "text/plain", "data": text}
    return {"+messages": [{"role": "user", "content": [{"type": "document", "source": source, "title": "notes"}]}]}


ANTHROPIC = Dialect(
    name="anthropic.messages",
    path=lambda model, stream: "/v1/messages",
    channels={
        "text": False,
        "reasoning": False,
        "tool_call": True,
        "parallel_calls": True,
        "citation": False,
        "unknown_delta": False,
        "error": False,
    },
    stream=_anthropic_stream,
    whole=_anthropic_whole,
    ask=_anthropic_ask,
    requests={
        "user": lambda text: {"+messages": [{"role": "user", "content": text}]},
        "system": lambda text: {"system": [{"type": "text", "text": text}]},
        "parts": lambda text: {"+messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        "past_call": _anthropic_call,
        "tool_result": lambda text: _anthropic_call("x", [{"type": "text", "text": text}]),
        "tool_description": lambda text: {"tools": [{"name": "f", "description": text, "input_schema": {"type": "object"}}]},
        "file": _anthropic_file,
    },
    headers={"anthropic-version": "2023-06-01"},
)

# --- Gemini ---


def gemini(parts: Sequence[Document], finish: str | None = None, **candidate: Any) -> Document:
    ended = {"finishReason": finish} if finish else {}
    first = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **ended, **candidate}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    return {"candidates": [first], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "r1"}


def _gemini_part(channel: str, text: str) -> Document:
    if channel in ("tool_call", "parallel_calls"):
        return {"functionCall": {"name": "run", "args": json.loads(text)}}
    if channel == "reasoning":
        return {"text": text, "thought": True}
    if channel == "code":
        return {"executableCode": {"language": "PYTHON", "code": text}}
    if channel == "unknown_part":
        return {"omen": {"words": text}}
    return {"text": text}


def _gemini_documents(channel: str, pieces: Sequence[str]) -> list[Document]:
    text = "".join(pieces)
    if channel == "error":
        return [gemini([{"text": "Half of"}]), {"error": {"code": 503, "message": text, "status": "UNAVAILABLE"}}]
    if channel == "citation":
        sources = {"citationSources": [{"uri": "https://example.org", "title": text}]}
        return [gemini([{"text": "See there."}], "STOP", citationMetadata=sources)]
    if channel == "finish_message":
        return [gemini([{"text": "See there."}], "STOP", finishMessage=text)]
    if channel == "parallel_calls":
        other = {"functionCall": {"name": "run", "args": {"a": 1}}}
        return [gemini([_gemini_part(channel, text), other]), gemini([], "STOP")]
    if channel in ("tool_call", "code"):
        return [gemini([_gemini_part(channel, text)]), gemini([{"text": "Done."}], "STOP")]
    return [*(gemini([_gemini_part(channel, piece)]) for piece in pieces), gemini([{"text": ""}], "STOP")]


def _gemini_whole(channel: str, text: str) -> Document:
    if channel == "error":
        return {"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}
    documents = _gemini_documents(channel, [text])
    parts = [part for d in documents for part in d["candidates"][0]["content"]["parts"] if part != {"text": ""}]
    return {**documents[-1], "candidates": [{**documents[-1]["candidates"][0], "content": {"role": "model", "parts": parts}}]}


def _gemini_ask(model: str, text: str, stream: bool) -> Document:
    thoughts = {"thinkingConfig": {"includeThoughts": True}}  # else a client gets none
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": thoughts}


def _gemini_call(text: str, result: str = "ok") -> Document:
    call = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"k": text}}}]}
    back = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": result}}}]}
    return {"+contents": [call, back]}


GEMINI = Dialect(
    name="google.gemini",
    path=lambda model, stream: f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent"),
    channels={
        "text": False,
        "reasoning": False,
        "tool_call": True,
        "parallel_calls": True,
        "code": False,
        "citation": False,
        "finish_message": False,
        "unknown_part": False,
        "error": False,
    },
    stream=lambda channel, pieces: [framed(document) for document in _gemini_documents(channel, pieces)],
    whole=_gemini_whole,
    ask=_gemini_ask,
    requests={
        "user": lambda text: {"+contents": [{"role": "user", "parts": [{"text": text}]}]},
        "system": lambda text: {"systemInstruction": {"parts": [{"text": text}]}},
        "past_call": _gemini_call,
        "tool_result": lambda text: _gemini_call("x", text),
        "tool_description": lambda text: {"tools": [{"functionDeclarations": [{"name": "f", "description": text}]}]},
    },
    headers={},
)

DIALECTS = {dialect.name: dialect for dialect in (CHAT, RESPONSES, ANTHROPIC, GEMINI)}
UPSTREAMS = {name: "m-" + name.replace(".", "-") for name in DIALECTS}  # a provider of each dialect, by the model it serves


def with_fields(document: Document, fields: Document) -> Document:
    """`document` with `fields`; one whose name begins with + is appended to the list that is there."""
    out = dict(document)
    for name, value in fields.items():
        if name.startswith("+"):
            out[name[1:]] = [*out[name[1:]], *value]
        else:
            out[name] = value
    return out
