from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import DeviceError, InvalidRequest, UnsupportedArtefact
from freehold.core.exchange import Message, Sampling, Tool, ToolCall
from freehold.core.models import VerifiedModel
from freehold.engine.config import EngineConfig
from freehold.engine.frames import Submit
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Failed, Finished, Grown
from tests.engine.embedded_model import embedded_model
from tests.engine.models_on_disk import model_of, verified_model
from tests.fakes.tiny_gguf import tiny_gguf

TOOL_TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ m.tool_call_id or '' }}<|im_end|>\n{% endfor %}"
)


def nothing(what: str, done: int, total: int) -> None:
    pass


def runtime(model: VerifiedModel, **changes: Any) -> Runtime:
    return Runtime(model, EngineConfig(**({"threads": 1, "max_sequences": 4} | changes)), nothing)


def submit(number: int, *messages: Message, tools: tuple[Tool, ...] = (), **sampling: Any) -> Submit:
    chosen = {"max_tokens": 24, "temperature": 1.0} | sampling
    return Submit(request=number, messages=messages, tools=tools, sampling=Sampling(**chosen), seed=number)


def user(text: str) -> Message:
    return Message(role="user", text=text)


def answers(made: Runtime, *submits: Submit) -> dict[int, str]:
    texts = {asked.request: "" for asked in submits}
    for asked in submits:
        made.scheduler.submit(made.prompts.request(asked))
    ended = 0
    while ended < len(submits):
        for output in made.scheduler.step():
            assert not isinstance(output, Failed)
            if isinstance(output, Grown):
                texts[output.request] += output.piece.text
            elif isinstance(output, Finished):
                ended += 1
    return texts


def test_answers_of_a_real_model_do_not_depend_on_batch_mates_threads_or_chunks(tmp_path: Path) -> None:
    model = verified_model(tmp_path, tiny_gguf())
    asked = [submit(i, user("hello world " * (1 + 3 * i))) for i in range(4)]
    found = []
    for threads, chunk in ((1, 128), (2, 7)):
        made = runtime(model, threads=threads, prefill_chunk_tokens=chunk)
        found.append(answers(made, *asked))
        found.append({one.request: answers(made, one)[one.request] for one in asked})
        made.model.close()
    assert all(texts == found[0] for texts in found)
    assert len(set(found[0].values())) == 4


def test_a_prompt_is_what_the_template_says(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"tokenizer.chat_template": TOOL_TEMPLATE}
    made = runtime(verified_model(tmp_path, tiny_gguf(**changes)))
    call = ToolCall(call_id="c1", name="f", arguments='{"a": 1}')
    odd = ToolCall(call_id="c2", name="g", arguments="not json")
    messages = (
        user("hi"),
        Message(role="assistant", text="", tool_calls=(call, odd)),
        Message(role="tool", text="2", tool_call_id="c1"),
    )
    tool = Tool(name="f", description="d", parameters={"type": "object"})
    request = made.prompts.request(submit(1, *messages, tools=(tool,)))
    text = "".join(_text(made, token) for token in request.prompt)
    assert text == (
        '[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}]'
        '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n{"name": "f", "arguments": {"a": 1}}'
        '{"name": "g", "arguments": "not json"}<|im_end|>\n<|im_start|>tool\n2c1<|im_end|>\n'
    )
    assert made.ready.supports_tools
    made.model.close()


def test_ready_says_what_will_answer(tmp_path: Path) -> None:
    made = runtime(verified_model(tmp_path, tiny_gguf()), kernels="portable")
    assert made.ready.context_tokens == 256
    assert made.ready.build.endswith("portable kernels")
    assert not made.ready.supports_tools
    with pytest.raises(InvalidRequest, match="no place for tools"):
        made.prompts.request(submit(1, user("x"), tools=(Tool(name="f", description="", parameters={}),)))
    made.model.close()


def test_context_and_kv_memory_bound_each_other(tmp_path: Path) -> None:
    model = verified_model(tmp_path, tiny_gguf())
    made = runtime(model, context_tokens=100)
    assert made.ready.context_tokens == 100
    made.model.close()


@pytest.mark.parametrize(
    "changes", [{"general.architecture": "mamba"}, {"tokenizer.ggml.pre": "mystery"}, {"tokenizer.chat_template": None}]
)
def test_a_model_we_do_not_run_says_so_before_its_weights_are_read(tmp_path: Path, changes: dict[str, Any]) -> None:
    data = tiny_gguf(**changes)
    padded = data + bytes(8 << 20)
    (tmp_path / "model.gguf").write_bytes(padded)
    read: list[int] = []
    model = model_of(tmp_path, lambda name, block, content: read.append(block), size_bytes=len(padded))
    with pytest.raises(UnsupportedArtefact):
        runtime(model)
    assert read == [0]


def test_too_little_memory_is_said_with_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.engine import runtime as module  # noqa: PLC0415 - its own name is taken here
    from freehold.engine.memory import Room  # noqa: PLC0415

    monkeypatch.setattr(module, "room", lambda: Room(available_bytes=1, limit_bytes=1, bound_by="the machine"))
    with pytest.raises(DeviceError, match="not enough memory"):
        runtime(verified_model(tmp_path, tiny_gguf()))


@pytest.mark.model
def test_the_embedded_model_knows_the_capital_of_france() -> None:
    path = embedded_model()
    model = model_of(path.parent, lambda name, block, content: None, size_bytes=path.stat().st_size, names=(path.name,))
    made = runtime(model, kv_memory_mb=256, threads=2)
    asked = [submit(i, user("What is the capital of France? Answer briefly."), temperature=0.0) for i in range(3)]
    texts = answers(made, *asked)
    assert "Paris" in texts[0]
    assert texts[1] == texts[2] == texts[0] == answers(made, asked[0])[0]
    made.model.close()


def _text(made: Runtime, token: int) -> str:
    tokenizer = made.scheduler._tokenizer
    return tokenizer.text_of(token) if token in tokenizer.specials.values() else tokenizer.token_bytes(token).decode()
