"""Streams in which something comes between two halves of a value: other channels, ends of parts, numbers used twice.

Each takes the halves and gives a stream of its dialect. Not all of them are what a well-behaved provider sends; a client may
join the halves all the same.
"""

from collections.abc import Callable

from tests.integration.leak_dialects import (
    BLOCKS,
    MESSAGE,
    Document,
    arguments,
    block_delta,
    chunk,
    framed,
    gemini,
    named,
    numbered,
    response,
    text_item,
)

Interrupted = Callable[[str, str], list[bytes]]

_TWICE = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
_DONE = b"data: [DONE]\n\n"


def _chat(*between: bytes, last: str = "stop") -> Interrupted:
    return lambda a, b: [chunk({"content": a}), *between, chunk({"content": b}), chunk({}, last), _DONE]


def _chat_calls(a: str, b: str, *, again: bool) -> list[bytes]:
    whole = arguments(a + b)
    at = whole.index(a) + len(a) if a and a in whole else len(whole) // 2
    named = {"id": "call_1", "type": "function", "function": {"name": "run", "arguments": whole[:at]}}
    other = {"index": 1, "id": "call_2", "type": "function", "function": {"name": "run", "arguments": "{}"}}
    rest: Document = {"index": 0, "function": {"arguments": whole[at:]}}
    if again:
        rest = {**rest, "id": "call_3", "function": {**rest["function"], "name": "run"}}
    calls = ({"index": 0, **named}, other, rest)
    return [*(chunk({"tool_calls": [call]}) for call in calls), chunk({}, "tool_calls"), _DONE]


_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "run", "arguments": "{}"}}

CHAT: dict[str, Interrupted] = {
    "a_thought": _chat(chunk({"reasoning_content": "hm"})),
    "a_call": _chat(chunk({"tool_calls": [_CALL]}), last="tool_calls"),
    "another_choice": lambda a, b: [
        chunk({"content": a}),
        chunk({"content": "la la"}, index=1),
        chunk({"content": b}),
        chunk({}, "stop"),
        chunk({}, "stop", index=1),
        _DONE,
    ],
    "an_empty_delta": _chat(chunk({"content": ""}), chunk({"content": None})),
    "its_own_end": _chat(chunk({}, "stop")),
    "a_refusal": _chat(chunk({"refusal": "No. "})),
    "another_call": lambda a, b: _chat_calls(a, b, again=False),
    "a_call_begun_again": lambda a, b: _chat_calls(a, b, again=True),
    "one_payload": lambda a, b: [
        framed({**_TWICE, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in (a, b)]}),
        chunk({}, "stop"),
        _DONE,
    ],
}

_START = named(
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}},
    }
)
_END = [
    named({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 1}}),
    named({"type": "message_stop"}),
]


def _begun(index: int, channel: str = "text") -> bytes:
    return named({"type": "content_block_start", "index": index, "content_block": BLOCKS[channel][0]})


def _stopped(index: int) -> bytes:
    return named({"type": "content_block_stop", "index": index})


def _delta(index: int, text: str, channel: str = "text") -> bytes:
    _, kind, field = BLOCKS[channel]
    return block_delta(index, kind, field, text)


def _blocks(make: Callable[[str, str], list[bytes]]) -> Interrupted:
    return lambda a, b: [_START, *make(a, b), *_END]


ANTHROPIC: dict[str, Interrupted] = {
    "another_block": _blocks(
        lambda a, b: [
            *(_begun(0), _delta(0, a), _begun(1, "reasoning"), _delta(1, "hm", "reasoning"), _stopped(1)),
            *(_delta(0, b), _stopped(0)),
        ]
    ),
    "its_end_and_a_next_block": _blocks(
        lambda a, b: [_begun(0), _delta(0, a), _stopped(0), _begun(1), _delta(1, b), _stopped(1)]
    ),
    "a_thought_between_blocks": _blocks(
        lambda a, b: [
            *(_begun(0), _delta(0, a), _stopped(0), _begun(1, "reasoning"), _delta(1, "hm", "reasoning"), _stopped(1)),
            *(_begun(2), _delta(2, b), _stopped(2)),
        ]
    ),
    "its_own_end": _blocks(lambda a, b: [_begun(0), _delta(0, a), _stopped(0), _delta(0, b), _stopped(0)]),
    "its_number_again": _blocks(lambda a, b: [_begun(0), _delta(0, a), _stopped(0), _begun(0), _delta(0, b), _stopped(0)]),
    "begun_again": _blocks(lambda a, b: [_begun(0), _delta(0, a), _begun(0), _delta(0, b), _stopped(0)]),
    "never_begun": _blocks(lambda a, b: [_delta(0, a), _delta(0, b)]),
    "a_ping": _blocks(lambda a, b: [_begun(0), _delta(0, a), named({"type": "ping"}), _delta(0, b), _stopped(0)]),
    "text_in_its_start": _blocks(
        lambda a, b: [
            named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": a}}),
            *(_delta(0, b), _stopped(0)),
        ]
    ),
}


def _events(make: Callable[[str, str], list[Document]], output: Callable[[str, str], list[Document]]) -> Interrupted:
    def stream(a: str, b: str) -> list[bytes]:
        first = {"type": "response.created", "response": response([], "in_progress")}
        return numbered([first, *make(a, b), {"type": "response.completed", "response": response(output(a, b))}])

    return stream


def _item_added(number: int) -> Document:
    item = {**text_item("", number), "content": [], "status": "in_progress"}
    return {"type": "response.output_item.added", "output_index": number, "item": item}


def _item_done(number: int, text: str) -> Document:
    return {"type": "response.output_item.done", "output_index": number, "item": text_item(text, number)}


def _said(number: int, text: str, part: int = 0) -> Document:
    at = {"item_id": f"it_{number}", "output_index": number, "content_index": part}
    return {"type": "response.output_text.delta", **at, "delta": text}


def _said_done(number: int, text: str, part: int = 0) -> Document:
    at = {"item_id": f"it_{number}", "output_index": number, "content_index": part}
    return {"type": "response.output_text.done", **at, "text": text}


def _two_parts(a: str, b: str) -> list[Document]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in (a, b)]
    return [{**text_item("", 0), "content": parts}]


RESPONSES: dict[str, Interrupted] = {
    "another_item": _events(
        lambda a, b: [
            *(_item_added(0), _said(0, a), _item_added(1), _said(1, "la"), _said(0, b)),
            *(_said_done(0, a + b), _item_done(0, a + b), _item_done(1, "la")),
        ],
        lambda a, b: [text_item(a + b, 0), text_item("la", 1)],
    ),
    "its_end_and_a_next_part": _events(
        lambda a, b: [_item_added(0), _said(0, a), _said_done(0, a), _said(0, b, 1), _said_done(0, b, 1)], _two_parts
    ),
    "its_end_and_a_next_item": _events(
        lambda a, b: [
            *(_item_added(0), _said(0, a), _said_done(0, a), _item_done(0, a)),
            *(_item_added(1), _said(1, b), _said_done(1, b), _item_done(1, b)),
        ],
        lambda a, b: [text_item(a, 0), text_item(b, 1)],
    ),
    "its_own_end": _events(
        lambda a, b: [_item_added(0), _said(0, a), _said_done(0, a), _said(0, b)], lambda a, b: [text_item(a + b, 0)]
    ),
    "its_number_again": _events(
        lambda a, b: [_item_added(0), _said(0, a), _item_done(0, a), _item_added(0), _said(0, b), _item_done(0, b)],
        lambda a, b: [text_item(a, 0), text_item(b, 0)],
    ),
    "an_unknown_event": _events(
        lambda a, b: [_item_added(0), _said(0, a), {"type": "response.omen", "omen": "dark"}, _said(0, b), _item_done(0, a + b)],
        lambda a, b: [text_item(a + b, 0)],
    ),
    "halves_told_whole": _events(
        lambda a, b: [_item_added(0), _item_done(0, a), _item_added(1), _item_done(1, b)],
        lambda a, b: [text_item(a, 0), text_item(b, 1)],
    ),
}


def _payloads(*make: Callable[[str, str], Document]) -> Interrupted:
    return lambda a, b: [framed(one(a, b)) for one in make]


_THOUGHT = {"text": "hm", "thought": True}
_GEMINI_CALL = {"functionCall": {"name": "run", "args": {"a": 1}}}

GEMINI: dict[str, Interrupted] = {
    "a_thought": _payloads(
        lambda a, b: gemini([{"text": a}]), lambda a, b: gemini([_THOUGHT]), lambda a, b: gemini([{"text": b}], "STOP")
    ),
    "a_call": _payloads(
        lambda a, b: gemini([{"text": a}]), lambda a, b: gemini([_GEMINI_CALL]), lambda a, b: gemini([{"text": b}], "STOP")
    ),
    "one_payload": _payloads(lambda a, b: gemini([{"text": a}, {"text": b}], "STOP")),
    "a_call_in_one_payload": _payloads(lambda a, b: gemini([{"text": a}, _GEMINI_CALL, {"text": b}], "STOP")),
    "its_own_end": _payloads(lambda a, b: gemini([{"text": a}], "STOP"), lambda a, b: gemini([{"text": b}], "STOP")),
    "text_beside_a_call": _payloads(
        lambda a, b: gemini([{"text": a, **_GEMINI_CALL}]), lambda a, b: gemini([{"text": b}], "STOP")
    ),
    "thought_in_two": _payloads(
        lambda a, b: gemini([{"text": a, "thought": True}]),
        lambda a, b: gemini([{"text": b, "thought": True}]),
        lambda a, b: gemini([{"text": "Done."}], "STOP"),
    ),
    "thought_around_text": _payloads(
        lambda a, b: gemini([{"text": a, "thought": True}]),
        lambda a, b: gemini([{"text": "So: "}]),
        lambda a, b: gemini([{"text": b, "thought": True}]),
        lambda a, b: gemini([{"text": "Done."}], "STOP"),
    ),
}

INTERRUPTIONS = {"openai.chat": CHAT, "openai.responses": RESPONSES, "anthropic.messages": ANTHROPIC, "google.gemini": GEMINI}

# The provider says that a text is over and begins another one: each is searched alone, as a text of its own.
ENDED = {
    "openai.chat": set[str](),
    "openai.responses": {"its_end_and_a_next_part", "its_end_and_a_next_item", "its_number_again", "halves_told_whole"},
    "anthropic.messages": {"its_end_and_a_next_block", "a_thought_between_blocks", "its_number_again"},
    "google.gemini": {"thought_around_text"},
}
# More of a text after its end, or of one that never began: what no provider may send.
BROKEN = {
    "openai.chat": {"its_own_end"},
    "openai.responses": {"its_own_end"},
    "anthropic.messages": {"its_own_end", "begun_again", "never_begun"},
    "google.gemini": set[str](),
}
