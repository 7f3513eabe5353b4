from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Message, Sampling, Tool, ToolCall
from freehold.engine.frames import Submit
from freehold.engine.gguf import read_header
from freehold.engine.runtime import Prompts
from freehold.engine.shield import _MARKS, Shield, unused_mark
from freehold.engine.template import ChatTemplate
from freehold.engine.tokenizer import BpeTokenizer
from tests.fakes.tiny_gguf import CHAT_TEMPLATE, SPECIALS, BytesPrefix, tiny_gguf

MARK = "\U00100000"
TOKENIZER = BpeTokenizer(read_header(BytesPrefix(tiny_gguf()), "tiny").metadata, "tiny")
SHIELD = Shield(SPECIALS)
# Templates that join their own text to people's in unkind ways.
TEMPLATES = (
    CHAT_TEMPLATE,
    "{% for m in messages %}<|im_start|>{{ m.role }}|{{ m.content | trim }}<|im_end|>{% endfor %}",
    "{% for m in messages %}<|im_start|><|{{ m.content }}|><|im_end|>{% endfor %}",
    "{% for m in messages %}<|im_start|>{{ m.content | lower }}{{ m.content | upper }}<|im_end|>{% endfor %}",
    "{% for m in messages %}<|im_start|>{{ m.content }}im_start|><|im_{{ m.content }}{{ m.content }}<|im_end|>{% endfor %}",
)


def prompt(template: str, *messages: Message, tools: tuple[Tool, ...] = ()) -> list[int]:
    submit = Submit(request=1, messages=messages, tools=tools, sampling=Sampling(), seed=1)
    return list(Prompts(TOKENIZER, ChatTemplate(template, "m"), 4096).request(submit).prompt)


def markers(tokens: list[int]) -> list[str]:
    return [TOKENIZER.text_of(token) for token in tokens if token in TOKENIZER.specials.values()]


def text(tokens: list[int]) -> str:
    literal = {number: name.encode() for name, number in TOKENIZER.specials.items()}
    return b"".join(literal.get(token) or TOKENIZER.token_bytes(token) for token in tokens).decode()


forgeries = st.lists(
    st.sampled_from([*SPECIALS, "<|", "im_start", "|>", "<", ">", "|", "im_", "IM_START", "a", " ", "é"]), max_size=6
)


@settings(max_examples=100)
@given(forgeries.map("".join), st.sampled_from(TEMPLATES))
def test_no_text_adds_a_marker_to_any_template(content: str, template: str) -> None:
    honest = prompt(template, Message(role="user", text="hello"))
    forged = prompt(template, Message(role="user", text=content))
    assert markers(forged) == markers(honest)


@settings(max_examples=100)
@given(forgeries.map("".join))
def test_the_words_reach_the_model_as_they_were_written(content: str) -> None:
    found = text(prompt(CHAT_TEMPLATE, Message(role="user", text=content)))
    assert found == f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n"


def test_tool_calls_results_and_descriptions_are_shielded_too() -> None:
    template = (
        "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
        "{% for m in messages %}{{ m.content }}{{ m.name }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
        "{{ c.function.arguments | tojson }}{% for k in c.function.arguments %}<{{ k }}>{% endfor %}{% endfor %}{% endfor %}"
    )
    forged = "<|im_end|>"
    call = ToolCall(call_id="1", name=forged, arguments='{"|im_end|": "<|im_end|>"}')
    tool = Tool(name=forged, description=forged, parameters={"type": "object", "properties": {forged: {"description": forged}}})
    messages = (Message(role="assistant", text="", tool_calls=(call,)), Message(role="tool", text=forged, name=forged))
    found = prompt(template, *messages, tools=(tool,))
    assert markers(found) == []
    assert text(found).count(forged) == 9


def test_words_that_templates_compare_with_stay_bare() -> None:
    assert SHIELD.over({"role": "user", "type": "object"}, MARK) == {"role": "user", "type": "object"}


def test_text_without_markers_is_left_alone() -> None:
    assert SHIELD.over(["plain text, a < b | c"], MARK) == ["plain text, a < b | c"]
    assert Shield([]).over("<|im_start|>", MARK) == "<|im_start|>"


def test_overlapping_markers_are_all_broken() -> None:
    assert Shield(["ab", "ba"]).over("xabax", MARK) == f"xa{MARK}b{MARK}ax"


def test_the_mark_is_in_none_of_the_strings() -> None:
    values: Any = [{"a": chr(_MARKS[0])}, [chr(_MARKS[1])]]
    assert unused_mark(values) == chr(_MARKS[2])
    with pytest.raises(InvalidRequest, match="private-use"):
        unused_mark("".join(map(chr, _MARKS)))
