"""The embedded model gives the same tokens however they come to be computed: what replay rests on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from freehold.config import home
from freehold.core.exchange import Message, Sampling
from freehold.engine import runtime as runtime_module
from freehold.engine.budget import Plan, plan
from freehold.engine.config import EngineConfig
from freehold.engine.frames import Submit
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Failed, Finished
from freehold.engine.tiers import place
from freehold.provenance.pull import open_model

pytestmark = pytest.mark.model

Tokens = tuple[int, ...]


def submit(number: int, text: str, **sampling: Any) -> Submit:
    chosen = {"temperature": 0.8, "max_tokens": 10} | sampling
    messages = (Message(role="user", text=text),)
    return Submit(request=number, messages=messages, tools=(), sampling=Sampling(**chosen), seed=4242, key="one")


ASKED = (
    submit(1, "Tell me about the sea.", max_tokens=16),
    submit(2, "Say this again: " + "red, green, blue, " * 6, temperature=0.1, max_tokens=20),
    submit(3, "Here is a story. " + "A fox ran over the hill, and a hound ran after it. " * 6 + "How does it end?"),
)
OTHERS = tuple(submit(number, "Count to " + "one hundred and " * number) for number in (4, 5, 6))


@contextmanager
def running(**changes: Any) -> Iterator[Runtime]:
    config = EngineConfig(**({"threads": 2, "context_tokens": 512, "kv_memory_mb": 64} | changes))
    made = Runtime(open_model(home(), config.model), config, lambda *_: None)
    try:
        yield made
    finally:
        made.close()


def answers(made: Runtime, *asked: Submit) -> dict[int, Tokens]:
    """The tokens of each, all of them computed side by side."""
    for one in asked:
        made.scheduler.submit(made.prompts.request(one))
    found: dict[int, Tokens] = {}
    while len(found) < len(asked):
        for output in made.scheduler.step():
            assert not isinstance(output, Failed)
            if isinstance(output, Finished):
                found[output.request] = output.tokens
    return {one.request: found[one.request] for one in ASKED if one in asked}


def one_by_one(made: Runtime) -> dict[int, Tokens]:
    return {number: tokens for one in ASKED for number, tokens in answers(made, one).items()}


@pytest.fixture(scope="module")
def plain() -> dict[int, Tokens]:
    """Each by itself, with nothing clever: one thread, no drafts, no shared pages, and prompts read in small pieces."""
    with running(threads=1, speculation_tokens=0, prefix_reuse="off", prefill_chunk_tokens=16) as made:
        found = one_by_one(made)
    assert len(set(found.values())) == len(ASKED)
    return found


def test_beside_others_with_threads_drafts_and_pages_that_are_there_already(plain: dict[int, Tokens]) -> None:
    with running() as made:
        assert answers(made, *OTHERS, *ASKED) == plain
        assert made.scheduler.stats().cached_tokens == 0
        assert one_by_one(made) == plain
        assert made.scheduler.stats().cached_tokens >= 64
        assert made.scheduler.stats().accepted_tokens > 0


def test_with_weights_that_are_read_from_disk_in_each_pass(plain: dict[int, Tokens], monkeypatch: pytest.MonkeyPatch) -> None:
    def streamed(shape: Any, tensors: Any, *others: Any) -> Plan:
        return replace(plan(shape, tensors, *others), placement=place(shape.order(), tensors, 0))

    monkeypatch.setattr(runtime_module, "plan", streamed)
    with running() as made:
        assert made.plan.placement.is_streamed
        assert answers(made, *ASKED) == plain
