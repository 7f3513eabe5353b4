"""A refused call leaves a provider's own payloads, in each dialect, streamed and whole; its words stand in its place."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
import pytest

from freehold.core.events import Event
from freehold.core.findings import Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.verbatim import VerbatimEncoder
from freehold.guard import GuardConfig, StreamGuard
from tests.fakes.judge import BAD_TOOL, REFUSAL, ToolJudge
from tests.gateway.asking import asked

GUARD = StreamGuard(GuardConfig(engine="re2"))
BAD_ARGUMENTS = '{"path":"/everything"}'
GOOD_ARGUMENTS = '{"path":"notes.txt"}'
GOOD_TOOL = "read_file"
ASKED: dict[str, dict[str, Any]] = {
    "openai.chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True},
    "openai.responses": {"model": "m", "input": "hi", "stream": True},
    "anthropic.messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": True},
}
Call = tuple[str, str]  # tool, arguments
BAD, GOOD = (BAD_TOOL, BAD_ARGUMENTS), (GOOD_TOOL, GOOD_ARGUMENTS)


def play(dialect: str, payloads: Sequence[SseEvent], judge: ToolJudge | None = None, *, together: int = 1) -> list[SseEvent]:
    """What a client of the same dialect gets of a stream."""
    codec = CODECS[dialect]
    decoder = codec.stream_decoder(provider="p", verbatim=asked(ASKED[dialect], dialect))
    reads = [payloads[at : at + together] for at in range(0, len(payloads), together)]
    return _play(dialect, [*(decoder.decode(read) for read in reads), decoder.close()], judge or ToolJudge())


def play_whole(dialect: str, body: dict[str, Any], judge: ToolJudge | None = None) -> dict[str, Any]:
    exchange = asked({**ASKED[dialect], "stream": False}, dialect)
    events = CODECS[dialect].decode_answer(orjson.dumps(body), provider="p", verbatim=exchange)
    [(data, _)] = _play(dialect, [events], judge or ToolJudge())
    document: dict[str, Any] = json.loads(data)
    return document


def _play(dialect: str, reads: Iterable[list[Event]], judge: ToolJudge) -> list[SseEvent]:
    codec = CODECS[dialect]
    stages = [GUARD.open(Context()).stage(Direction.RESPONSE), judge]
    encoder = VerbatimEncoder(codec.scrub, codec.refuser)
    sent = [out for read in reads for event in through(read, stages) for out in encoder.encode(event)]
    return sent + encoder.finish([], None)


def read(events: Sequence[SseEvent]) -> list[dict[str, Any]]:
    return [json.loads(data) for data, _ in events]


def chunk(delta: dict[str, Any], reason: str | None = None, **rest: Any) -> SseEvent:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return orjson.dumps({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **rest}), b""


def chat_stream(*calls: Call) -> list[SseEvent]:
    chunks = [chunk({"role": "assistant", "content": "Let me see."})]
    for index, (tool, arguments) in enumerate(calls):
        function = {"name": tool, "arguments": ""}
        chunks.append(chunk({"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}))
        pieces = [arguments[at : at + 7] for at in range(0, len(arguments), 7)]
        chunks += [chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces]
    return [*chunks, chunk({}, "tool_calls")]


def chat_calls(sent: Sequence[SseEvent]) -> tuple[str, dict[int, list[str]], str | None]:
    """Text, index -> name and arguments, finish reason: as a client puts them together."""
    text, calls, reason = "", dict[int, list[str]](), None
    for document in read(sent):
        [choice] = document["choices"]
        text += choice["delta"].get("content") or ""
        for call in choice["delta"].get("tool_calls") or ():
            known = calls.setdefault(call["index"], ["", ""])
            known[0] += call["function"].get("name") or ""
            known[1] += call["function"]["arguments"]
        reason = choice["finish_reason"] or reason
    return text, calls, reason


@pytest.mark.parametrize("together", [1, 3, 100])
@pytest.mark.parametrize(
    ("calls", "left", "reason"),
    [
        ((BAD,), {}, "stop"),
        ((BAD, GOOD), {0: [*GOOD]}, "tool_calls"),
        ((GOOD, BAD), {0: [*GOOD]}, "tool_calls"),
        ((GOOD, BAD, GOOD), {0: [*GOOD], 1: [*GOOD]}, "tool_calls"),
        ((BAD, BAD), {}, "stop"),
    ],
)
def test_chat_chunks_lose_the_refused_call(
    calls: tuple[Call, ...], left: dict[int, list[str]], reason: str, together: int
) -> None:
    sent = play("openai.chat", chat_stream(*calls), together=together)
    assert b"everything" not in b"".join(data for data, _ in sent).replace(REFUSAL.encode(), b"")
    assert chat_calls(sent) == ("Let me see." + REFUSAL * calls.count(BAD), left, reason)


def test_nothing_of_a_call_is_sent_before_it_was_judged() -> None:
    codec = CODECS["openai.chat"]
    decoder = codec.stream_decoder(provider="p", verbatim=asked(ASKED["openai.chat"]))
    encoder, judge = VerbatimEncoder(codec.scrub, codec.refuser), ToolJudge()
    payloads = chat_stream(GOOD)
    sent = [out for event in through(decoder.decode(payloads[:-1]), [judge]) for out in encoder.encode(event)]
    assert sent == payloads[:1]


def test_calls_that_pass_go_on_byte_for_byte() -> None:
    payloads = chat_stream(GOOD, GOOD)
    assert play("openai.chat", payloads) == payloads


def test_the_older_function_call_is_judged_too() -> None:
    payloads = [
        chunk({"role": "assistant", "function_call": {"name": BAD_TOOL, "arguments": ""}}),
        chunk({"function_call": {"arguments": BAD_ARGUMENTS}}),
        chunk({}, "function_call"),
    ]
    judge = ToolJudge()
    sent = play("openai.chat", payloads, judge)
    assert BAD_ARGUMENTS in judge.arguments.values()
    assert chat_calls(sent) == (REFUSAL, {}, "stop")
    assert b"function_call" not in b"".join(data for data, _ in sent)


def test_a_custom_tools_text_is_judged_too() -> None:
    custom = {"index": 0, "id": "call_0", "type": "custom", "custom": {"name": BAD_TOOL, "input": "rm -rf /"}}
    judge = ToolJudge()
    sent = play("openai.chat", [chunk({"tool_calls": [custom]}), chunk({}, "tool_calls")], judge)
    assert list(judge.arguments.values()) == ["rm -rf /"]
    assert chat_calls(sent) == (REFUSAL, {}, "stop")


def test_a_whole_chat_completion_loses_the_refused_call() -> None:
    calls = [
        {"id": f"call_{at}", "type": "function", "function": {"name": tool, "arguments": arguments}}
        for at, (tool, arguments) in enumerate((BAD, GOOD))
    ]
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": calls}
    body = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    [choice] = play_whole("openai.chat", body)["choices"]
    assert choice["message"] == {"role": "assistant", "content": REFUSAL, "tool_calls": calls[1:]}
    assert choice["finish_reason"] == "tool_calls"
    message["tool_calls"] = calls[:1]
    [choice] = play_whole("openai.chat", body)["choices"]
    assert choice == {"index": 0, "message": {"role": "assistant", "content": REFUSAL}, "finish_reason": "stop"}


def message_event(kind: str, **fields: Any) -> SseEvent:
    return orjson.dumps({"type": kind, **fields}), kind.encode()


def messages_stream(*calls: Call, given: bool = False) -> list[SseEvent]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
    }
    events = [
        message_event("message_start", message={**message, "usage": {"input_tokens": 1, "output_tokens": 1}}),
        message_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        message_event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Let me see."}),
        message_event("content_block_stop", index=0),
    ]
    for index, (tool, arguments) in enumerate(calls, 1):
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": tool, "input": json.loads(arguments) if given else {}}
        events.append(message_event("content_block_start", index=index, content_block=block))
        for at in range(0, 0 if given else len(arguments), 7):
            delta = {"type": "input_json_delta", "partial_json": arguments[at : at + 7]}
            events.append(message_event("content_block_delta", index=index, delta=delta))
        events.append(message_event("content_block_stop", index=index))
    return [
        *events,
        message_event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 9}),
        message_event("message_stop"),
    ]


def blocks_of(sent: Sequence[SseEvent]) -> tuple[list[Any], str | None]:
    """(text or (tool, arguments) by block, stop reason), as a client puts them together."""
    blocks: dict[int, Any] = {}
    reason = None
    for document in read(sent):
        match document["type"]:
            case "content_block_start":
                block = document["content_block"]
                given = json.dumps(block["input"], separators=(",", ":")) if block.get("input") else ""
                blocks[document["index"]] = block["text"] if block["type"] == "text" else (block["name"], given)
            case "content_block_delta":
                delta, before = document["delta"], blocks[document["index"]]
                is_text = delta["type"] == "text_delta"
                blocks[document["index"]] = before + delta["text"] if is_text else (before[0], before[1] + delta["partial_json"])
            case "message_delta":
                reason = document["delta"]["stop_reason"]
    return [blocks[index] for index in sorted(blocks)], reason


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("together", [1, 4, 100])
@pytest.mark.parametrize(
    ("calls", "left", "reason"),
    [((BAD,), [REFUSAL], "end_turn"), ((BAD, GOOD), [REFUSAL, GOOD], "tool_use"), ((GOOD, BAD), [GOOD, REFUSAL], "tool_use")],
)
def test_messages_give_a_text_block_instead(
    calls: tuple[Call, ...], left: list[Any], reason: str, together: int, given: bool
) -> None:
    judge = ToolJudge()
    sent = play("anthropic.messages", messages_stream(*calls, given=given), judge, together=together)
    assert blocks_of(sent) == (["Let me see.", *left], reason)
    assert sorted(judge.arguments.values()) == sorted(arguments for _, arguments in calls)
    assert [name for _, name in sent] == [json.loads(data)["type"].encode() for data, _ in sent]


def test_what_the_provider_runs_itself_is_not_held() -> None:
    payloads = messages_stream((BAD_TOOL, BAD_ARGUMENTS))
    remote = [(data.replace(b'"tool_use"', b'"server_tool_use"'), name) for data, name in payloads]
    assert play("anthropic.messages", remote) == remote


def test_a_whole_message_gives_a_text_block_instead() -> None:
    uses = [
        {"type": "tool_use", "id": f"toolu_{at}", "name": tool, "input": json.loads(arguments)}
        for at, (tool, arguments) in enumerate((BAD, GOOD))
    ]
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": uses, "stop_reason": "tool_use"}
    judge = ToolJudge()
    answer = play_whole("anthropic.messages", body, judge)
    assert answer["content"] == [{"type": "text", "text": REFUSAL}, uses[1]]
    assert answer["stop_reason"] == "tool_use"
    assert sorted(judge.arguments.values()) == sorted((BAD_ARGUMENTS, GOOD_ARGUMENTS))
    alone = play_whole("anthropic.messages", {**body, "content": uses[:1]})
    assert (alone["content"], alone["stop_reason"]) == ([{"type": "text", "text": REFUSAL}], "end_turn")


def response_stream(*items: dict[str, Any], told: Callable[[dict[str, Any]], str] = lambda item: "deltas") -> list[SseEvent]:
    documents: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "r", "model": "m", "output": []}}]
    for at, item in enumerate(items):
        empty = {**item, **({"arguments": ""} if "arguments" in item else {}), "status": "in_progress"}
        where = {"item_id": item["id"], "output_index": at}
        if told(item) != "end":
            documents.append({"type": "response.output_item.added", "output_index": at, "item": empty})
        if told(item) == "deltas" and "arguments" in item:
            text = item["arguments"]
            kind = "response.function_call_arguments"
            documents += [{"type": f"{kind}.delta", **where, "delta": text[n : n + 7]} for n in range(0, len(text), 7)]
            documents.append({"type": f"{kind}.done", **where, "arguments": text})
        if told(item) != "end":
            documents.append({"type": "response.output_item.done", "output_index": at, "item": item})
    documents.append({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": list(items)}})
    return [
        (orjson.dumps({**document, "sequence_number": number}), document["type"].encode())
        for number, document in enumerate(documents)
    ]


def function_call(number: int, call: Call) -> dict[str, Any]:
    tool, arguments = call
    return {
        "id": f"fc_{number}",
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": tool,
        "arguments": arguments,
        "status": "completed",
    }


@pytest.mark.parametrize("told", ["deltas", "done", "end"])
@pytest.mark.parametrize("together", [1, 5, 100])
@pytest.mark.parametrize("calls", [(BAD,), (BAD, GOOD), (GOOD, BAD), (GOOD, BAD, GOOD)])
def test_responses_give_a_message_instead(calls: tuple[Call, ...], together: int, told: str) -> None:
    judge = ToolJudge()
    items = [function_call(number, call) for number, call in enumerate(calls)]
    sent = play("openai.responses", response_stream(*items, told=lambda _: told), judge, together=together)
    documents = read(sent)
    assert sorted(judge.arguments.values()) == sorted(arguments for _, arguments in calls)
    assert [document["sequence_number"] for document in documents] == list(range(len(documents)))
    assert [name.decode() for _, name in sent] == [document["type"] for document in documents]
    output = documents[-1]["response"]["output"]
    for item, (call, given) in zip(output, zip(calls, items, strict=True), strict=True):
        if call == BAD:
            assert (item["type"], item["content"][0]["text"]) == ("message", REFUSAL)
        else:
            assert item == given
    said = [document["delta"] for document in documents if document["type"] == "response.output_text.delta"]
    assert said == ([] if told == "end" else [REFUSAL] * calls.count(BAD))
    assert b"everything" not in b"".join(data for data, _ in sent).replace(REFUSAL.encode(), b"")


SHELL_CALL = {"id": "lsh_1", "type": "local_shell_call", "call_id": "call_1", "status": "completed"}
SHELL_ACTION = {"type": "exec", "command": ["rm", "-rf", "/"], "env": {}}


@pytest.mark.parametrize("told", ["deltas", "end"])
def test_a_call_of_a_kind_of_its_own_waits_for_its_end(told: str) -> None:
    item = {**SHELL_CALL, "name": BAD_TOOL, "action": SHELL_ACTION}
    payloads, judge = response_stream(item, told=lambda _: told), ToolJudge()
    sent = play("openai.responses", payloads, judge)
    assert [json.loads(arguments) for arguments in judge.arguments.values()] == [{"action": SHELL_ACTION}]
    assert read(sent)[-1]["response"]["output"][0]["content"][0]["text"] == REFUSAL
    assert b'"rm"' not in b"".join(data for data, _ in sent)
    passing = response_stream({**item, "name": GOOD_TOOL}, told=lambda _: told)
    assert play("openai.responses", passing) == passing


def test_a_call_of_a_kind_that_nobody_knows_yet_is_judged() -> None:
    item = {"id": "x_1", "type": "robot_arm_call", "name": BAD_TOOL, "motion": {"to": "the red button"}}
    sent = play("openai.responses", response_stream(item))
    assert b"red button" not in b"".join(data for data, _ in sent)


def test_a_whole_response_gives_a_message_instead() -> None:
    items = [function_call(0, BAD), function_call(1, GOOD), {**SHELL_CALL, "name": BAD_TOOL, "action": SHELL_ACTION}]
    body = {"id": "r", "model": "m", "status": "completed", "output": items}
    answer = play_whole("openai.responses", body)
    assert [item["type"] for item in answer["output"]] == ["message", "function_call", "message"]
    assert answer["output"][1] == items[1]


def gemini(*parts: dict[str, Any]) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}


def test_gemini_gives_a_text_part_instead() -> None:
    codec = CODECS["google.gemini"]
    calls = [{"functionCall": {"name": tool, "args": json.loads(arguments)}} for tool, arguments in (BAD, GOOD)]
    body = gemini({"text": "Let me see."}, *calls)
    exchange = asked({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, "google.gemini", path="m:generateContent")
    judge = ToolJudge()
    events = codec.decode_answer(orjson.dumps(body), provider="p", verbatim=exchange)
    [(data, _)] = _play("google.gemini", [events], judge)
    assert json.loads(data) == gemini({"text": "Let me see."}, {"text": REFUSAL}, calls[1])
    assert sorted(judge.arguments.values()) == sorted((BAD_ARGUMENTS, GOOD_ARGUMENTS))
