"""Shared pages, drafts of both kinds, keys and values of bytes, answers held to a form, all at once: the answers of plain."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freehold.core.exchange import Message, Sampling
from freehold.core.models import VerifiedModel
from freehold.engine.config import EngineConfig
from freehold.engine.constraint import Mask
from freehold.engine.frames import Submit
from freehold.engine.runtime import Runtime
from freehold.engine.sampler import Settings
from freehold.engine.sequence import Failed, Finished, Grown, Request
from tests.engine.models_on_disk import verified_model
from tests.fakes.tiny_gguf import tiny_gguf


class Digits:
    """Bytes 0 to 9 and spaces alone, and 25 of them."""

    def __init__(self, made: Runtime) -> None:
        tokenizer = made.tokenizer
        allowed = [
            tokenizer.token_bytes(token) in (b" ", *(b"%d" % i for i in range(10))) for token in range(tokenizer.vocabulary)
        ]
        bits = np.packbits(allowed, bitorder="little")
        self._mask = np.pad(bits, (0, -len(bits) % 4)).view(np.uint32)
        self._count = 0

    def mask(self) -> Mask | None:
        return self._mask

    def accept(self, token: int) -> None:
        self._count += 1

    def forced(self) -> list[int]:
        return []

    @property
    def is_over(self) -> bool:
        return self._count == 25


def asked(made: Runtime, number: int) -> Request:
    message = Message(role="user", text="count with me: 1 2 3 4 5 6 7 8 9, and again, 1 2 3 4 5 6 7 8 9" + "!" * (number % 2))
    submit = Submit(request=number, messages=(message,), tools=(), sampling=Sampling(), seed=number, key="one")
    prompt = made.prompts.tokens(submit.messages, submit.tools)
    settings = Settings(seed=number, temperature=0.0 if number % 2 else 0.9, max_tokens=40, top_logprobs=1)
    return Request(
        id=number, prompt=tuple(prompt), settings=settings, scope="one", constraint=Digits(made) if number < 3 else None
    )


def answers(model: VerifiedModel, draft: VerifiedModel | None, **changes: Any) -> tuple[dict[int, Any], Runtime]:
    config = EngineConfig(**({"threads": 1, "context_tokens": 256, "kv_memory_mb": 4} | changes))
    made = Runtime(model, config, lambda *_: None, draft=draft)
    found: dict[int, Any] = {number: [] for number in range(5)}
    for number in found:
        made.scheduler.submit(asked(made, number))
    while made.scheduler.stats().running or made.scheduler.stats().waiting:
        for output in made.scheduler.step():
            assert not isinstance(output, Failed)
            if isinstance(output, Grown):
                found[output.request].append(output.piece)
            elif isinstance(output, Finished):
                found[output.request].append((output.reason, output.output_tokens))
    stats = made.scheduler.stats()
    assert stats.free_pages == stats.pages
    made.close()
    return found, made


@pytest.mark.parametrize("kv_type", ["f16", "q8"])
def test_nothing_of_it_changes_an_answer(kv_type: str, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    model = verified_model(tmp_path, tiny_gguf())
    small = verified_model(tmp_path / "small", tiny_gguf(seed=0, **{"llama.block_count": 1}))
    plain, _ = answers(model, None, kv_type=kv_type, speculation_tokens=0, prefix_reuse="off", prefill_chunk_tokens=128)
    full, made = answers(model, small, kv_type=kv_type)
    assert full == plain
    assert ("keys and values in q8" in made.ready.build) == (kv_type == "q8")
    stats = made.scheduler.stats()
    assert stats.cached_tokens > 0
    assert stats.accepted_tokens > 0
    for number in range(3):
        text = "".join(piece.text for piece in plain[number][:-1])
        assert len(text) == 25
        assert set(text) <= set("0123456789 ")
