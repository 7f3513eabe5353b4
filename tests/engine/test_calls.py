import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import TokenLogprob
from freehold.engine.calls import FORMATS, Call, CallReader, Read, call_format
from freehold.engine.stops import Piece

SUM = {"name": "sum", "arguments": {"n": [1, 2], "s": 'a "quoted" } brace\\'}}
NAMES = ["sum", "weather"]


def play(name: str, *texts: str) -> list[Read]:
    reader = CallReader(FORMATS[name], NAMES)
    return [*(read for text in texts for read in reader.receive(Piece(text=text))), *reader.close()]


def shape(found: list[Read]) -> list[Any]:
    """Texts joined, calls as (name, arguments)."""
    out: list[Any] = []
    for read in found:
        if isinstance(read, Call):
            out.append((read.name, json.loads(read.arguments)))
        elif out and isinstance(out[-1], str):
            out[-1] += read.text
        else:
            out.append(read.text)
    return out


def same(name: str, text: str) -> list[tuple[str, str, list[Any]]]:
    """No call, and so the text that it is."""
    return [(name, text, [text])]


CALL = ("sum", SUM["arguments"])
LLAMA = json.dumps({"name": "sum", "parameters": SUM["arguments"]})
ANSWERS: list[tuple[str, str, list[Any]]] = [
    ("hermes", f"<tool_call>\n{json.dumps(SUM)}\n</tool_call>", [CALL]),
    ("hermes", f"Let me see.\n<tool_call>{json.dumps(SUM)}</tool_call>", ["Let me see.\n", CALL]),
    ("hermes", f"\n\n<tool_call>{json.dumps(SUM)}</tool_call>\n<tool_call>{json.dumps(SUM)}</tool_call>\n", [CALL, CALL]),
    ("hermes", f"<tool_call>{json.dumps(SUM)}</tool_call>\nDone.", [CALL, "\nDone."]),
    ("hermes", f"<tool_call>[{json.dumps(SUM)}, {json.dumps(SUM)}]</tool_call>", [CALL, CALL]),
    ("hermes", f"<tool_call>{json.dumps(SUM)}", [CALL]),  # the end was forgotten
    ("hermes", '<tool_call>{"name": "sum", "arguments": "{\\"a\\": 1}"}</tool_call>', [("sum", {"a": 1})]),
    ("hermes", '<tool_call>{"name": "unknown"}</tool_call>', [("unknown", {})]),
    ("hermes", '<tool_call>{"name": "sum", "arguments": {"n"', ['<tool_call>{"name": "sum", "arguments": {"n"']),
    ("hermes", '<tool_call>{"name": 5}</tool_call>', ['<tool_call>{"name": 5}</tool_call>']),
    *same("hermes", '<tool_call>{"name": "sum", "arguments": NaN}</tool_call>'),
    *same("hermes", '<tool_call>{"name": "sum", "arguments": [1]}</tool_call>'),
    ("hermes", f"<tool_call>no <tool_call>{json.dumps(SUM)}</tool_call>", ["<tool_call>no ", CALL]),
    ("hermes", "a < b and <tool", ["a < b and <tool"]),
    ("hermes", json.dumps(SUM), [CALL]),
    ("hermes", f"```json\n{json.dumps(SUM, indent=2)}\n```", [CALL]),
    ("hermes", f"```\n{json.dumps(SUM)}\n```\n", [CALL]),
    *same("hermes", '```json\n{"name": "sum", "age": 5}\n```'),
    *same("hermes", '```json\n{"name": "Ann", "arguments": {}}\n```'),
    *same("hermes", f"Like this: {json.dumps(SUM)}"),
    *same("hermes", "```js\nf()\n```"),
    *same("hermes", "```json"),
    ("hermes", f"<tools>\n{json.dumps(SUM)}\n</tools>", [CALL]),
    *same("hermes", "<tools>\nnone"),
    *same("hermes", " {"),
    ("hermes", "  \n ", ["  \n "]),
    ("mistral", f"[TOOL_CALLS][{json.dumps(SUM)}, {json.dumps(SUM)}]", [CALL, CALL]),
    ("mistral", f"[TOOL_CALLS] [{json.dumps(SUM)}, 7]", [f"[TOOL_CALLS] [{json.dumps(SUM)}, 7]"]),
    ("tekken", f"[TOOL_CALLS]sum[ARGS]{json.dumps(SUM['arguments'])}", [CALL]),
    ("tekken", f"[TOOL_CALLS]sum[ARGS]{{}}[TOOL_CALLS]sum[ARGS]{json.dumps(SUM['arguments'])}", [("sum", {}), CALL]),
    ("tekken", "[TOOL_CALLS]sum", ["[TOOL_CALLS]sum"]),
    ("marked", f"Yes. <|tool_call|>[{json.dumps(SUM)}]<|/tool_call|>", ["Yes. ", CALL]),
    ("llama", LLAMA, [CALL]),
    ("llama", f"\n<|python_tag|>{LLAMA}", [CALL]),
    ("llama", f"{LLAMA}; {LLAMA}", [CALL, CALL]),
    ("llama", '{"name": "unknown", "parameters": {}}', ['{"name": "unknown", "parameters": {}}']),
    ("llama", '{"answer": 5}', ['{"answer": 5}']),
    ("llama", f"It is {LLAMA}", [f"It is {LLAMA}"]),
    ("llama", "{not json", ["{not json"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), ANSWERS)
def test_calls_are_read_and_what_is_none_stays_text(name: str, text: str, expected: list[Any]) -> None:
    assert shape(play(name, text)) == expected


@given(st.sampled_from(ANSWERS), st.lists(st.integers(0, 120), max_size=12))
@settings(max_examples=300)
def test_where_the_stream_is_cut_does_not_matter(answer: tuple[str, str, list[Any]], cuts: list[int]) -> None:
    name, text, expected = answer
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(at)]
    assert shape(play(name, *pieces)) == expected


@given(st.sampled_from(sorted(FORMATS)), st.text(alphabet='<tool_call>/[]{}"\\ TOOL_CALLS,name:', max_size=60))
@settings(max_examples=300)
def test_text_without_a_call_comes_out_as_it_went_in(name: str, text: str) -> None:
    found = play(name, *text)
    assert not any(isinstance(read, Call) for read in found)
    assert "".join(read.text for read in found if isinstance(read, Piece)) == text


def test_text_before_a_call_is_not_held_back() -> None:
    reader = CallReader(FORMATS["hermes"], NAMES)
    assert shape(reader.receive(Piece(text="I look"))) == ["I look"]
    assert shape(reader.receive(Piece(text=" <"))) == []
    assert shape(reader.receive(Piece(text="- here"))) == [" <- here"]


def test_log_probabilities_stay_with_the_text_of_their_tokens() -> None:
    def piece(text: str) -> Piece:
        return Piece(text=text, logprobs=(TokenLogprob(token=text, token_bytes=text.encode(), logprob=-1.0),))

    reader = CallReader(FORMATS["hermes"], NAMES)
    found = [read for text in ("Hi", " <", "3 ", "x<tool_call>", json.dumps(SUM)) for read in reader.receive(piece(text))]
    found += reader.close()
    texts = [read for read in found if isinstance(read, Piece)]
    assert "".join(read.text for read in texts) == "Hi <3 x"
    assert b"".join(token.token_bytes for read in texts for token in read.logprobs) == b"Hi <3 x"


def test_ids_are_new_unless_the_model_gives_one_and_as_short_as_mistral_wants_them() -> None:
    called = f"<tool_call>{json.dumps(SUM)}</tool_call>"
    ids = [read.call_id for _ in range(2) for read in play("hermes", called) if isinstance(read, Call)]
    assert len(set(ids)) == 2
    assert all(one.startswith("call_") for one in ids)
    (short,) = play("mistral", f"[TOOL_CALLS][{json.dumps(SUM)}]")
    (given_one,) = play("mistral", '[TOOL_CALLS][{"name": "sum", "arguments": {}, "id": "abcdefghi"}]')
    assert isinstance(short, Call)
    assert isinstance(given_one, Call)
    assert len(short.call_id) == 9
    assert given_one.call_id == "abcdefghi"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ '[TOOL_CALLS] [' }}", "mistral"),
        ("{{ '[TOOL_CALLS]' + call.name + '[ARGS]' }}", "tekken"),
        ("... within <tool_call></tool_call> XML tags", "hermes"),
        ("<tool_call>\n<function=...>\n<parameter=...>", None),
        ("{{ '<|tool_call|>' + calls + '<|/tool_call|>' }}", "marked"),
        ("respond with <|tool_call|> followed by a JSON list of tools used", "granite"),
        ('Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.', "llama"),
        ("{{ message.content }}", None),
    ],
)
def test_the_form_is_the_one_that_the_template_teaches(template: str, name: str | None) -> None:
    found = call_format(template)
    assert (found.name if found else None) == name
