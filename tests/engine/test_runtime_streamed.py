"""A whole engine whose weights are read from disk, with a file that changes under it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from freehold.core.errors import VerificationError
from freehold.core.models import VerifiedModel
from freehold.engine import runtime as runtime_module
from freehold.engine.budget import Plan, plan
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Failed
from freehold.engine.tiers import place
from tests.engine.models_on_disk import verified_model
from tests.engine.test_runtime import answers, runtime, submit, user
from tests.fakes.tiny_gguf import tiny_gguf

ASKED = [submit(i, user("hello world " * (1 + i))) for i in range(3)]


def everything_streamed(shape: Any, tensors: Any, *others: Any) -> Plan:
    """A tiny model always fits: this one is read from disk all the same."""
    return replace(plan(shape, tensors, *others), placement=place(shape.order(), tensors, 0, tile_bytes=8192))


@pytest.fixture
def model(tmp_path: Path) -> VerifiedModel:
    return verified_model(tmp_path, tiny_gguf())


@pytest.fixture
def streamed(model: VerifiedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    monkeypatch.setattr(runtime_module, "plan", everything_streamed)
    made = runtime(model, threads=2)
    yield made
    made.model.close()


def test_answers_are_those_of_a_model_in_memory(model: VerifiedModel, streamed: Runtime) -> None:
    assert all(streamed.plan.placement.is_streamed)
    found = answers(streamed, *ASKED)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(runtime_module, "plan", plan)
    whole = runtime(model)
    monkeypatch.undo()
    assert whole.plan.placement.is_whole
    assert found == answers(whole, *ASKED)
    whole.model.close()


def test_a_flipped_bit_fails_the_requests_and_not_the_engine(model: VerifiedModel, streamed: Runtime) -> None:
    expected = answers(streamed, *ASKED)
    path, tile = model.directory / "model.gguf", streamed.plan.placement.streamed[4]
    content = bytearray(path.read_bytes())
    content[tile.offset] ^= 1
    path.write_bytes(content)
    for asked in ASKED:
        streamed.scheduler.submit(streamed.prompts.request(structs.replace(asked, request=100 + asked.request)))
    failed: list[Failed] = []
    while len(failed) < len(ASKED):
        failed += [output for output in streamed.scheduler.step() if isinstance(output, Failed)]
    assert all(isinstance(output.error, VerificationError) for output in failed)
    assert f"bytes {tile.offset} to {tile.end}" in failed[0].error.message
    assert streamed.scheduler.stats().running == 0
    content[tile.offset] ^= 1
    path.write_bytes(content)
    assert answers(streamed, *ASKED) == expected
