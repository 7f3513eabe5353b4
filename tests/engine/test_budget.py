from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from freehold.core.errors import DeviceError
from freehold.engine.budget import Plan, pages_and_context, plan
from freehold.engine.config import EngineConfig
from freehold.engine.memory import Room
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiles import Use
from tests.engine.test_tiles import Info

MB = 1 << 20


@dataclass(frozen=True)
class Shape:
    """Qwen2.5 1.5B, as far as memory goes."""

    layers: int = 28
    embedding: int = 1536
    heads: int = 12
    kv_heads: int = 2
    head_dim: int = 128
    ffn: int = 8960
    vocabulary: int = 151936
    context: int = 32768
    experts_used: int = 0

    def expert_uses(self) -> Iterable[Iterable[Sequence[Use]]]:
        return ()

    def order(self) -> Iterable[Sequence[Use]]:
        for layer in range(self.layers):
            for name, rows in (("up", 3 * self.ffn), ("attn", 4096)):
                name = f"{name}.{layer}"
                yield (Use(name=name, tensor=name, first_row=0, rows=rows, multiple=32),)
        yield (Use(name="token_embd.weight", tensor="token_embd.weight", first_row=0, rows=self.vocabulary, multiple=32),)

    def tensors(self) -> dict[str, Info]:
        uses = [use for group in self.order() for use in group]
        return {use.name: Info(TensorType.Q4_K, (self.embedding, use.rows)) for use in uses} | {
            "norm": Info(TensorType.F32, (1536,))
        }


def planned(available_mb: int, limit_mb: int | None = None, **settings: Any) -> Plan:
    limit = (limit_mb or available_mb) * MB
    found = Room(available_bytes=available_mb * MB, limit_bytes=limit, bound_by="the control group")
    return plan(Shape(), Shape().tensors(), EngineConfig(**settings), 2, found)


def test_a_model_that_fits_is_whole_and_has_its_kv_memory() -> None:
    made = planned(4000)
    assert made.placement.is_whole
    assert made.kv_bytes <= 1024 * MB
    assert made.context_tokens == 8192


@pytest.mark.parametrize("available_mb", [400, 500, 700, 1000])
def test_what_does_not_fit_is_streamed_inside_the_memory(available_mb: int) -> None:
    made = planned(available_mb, max_sequences=4)
    assert made.placement.streamed_bytes > 0
    assert made.needed_bytes <= made.usable_bytes
    assert made.needed_bytes > made.usable_bytes - 20 * MB
    assert made.kv_bytes <= made.usable_bytes // 8  # keys and values do not push weights out


def test_a_context_that_is_asked_for_is_kept() -> None:
    made = planned(700, context_tokens=4096)
    assert made.context_tokens == 4096
    assert made.pages == 64  # for one sequence of this length: all of sixteen would take the weights' memory


def test_ram_that_is_said_counts_without_headroom() -> None:
    assert planned(4000, ram_mb=800).usable_bytes == 800 * MB
    assert not planned(4000, ram_mb=800).placement.is_whole
    assert planned(1000, ram_mb=64_000).usable_bytes == 1000 * MB


def test_what_the_process_has_already_counts_against_what_it_may_take() -> None:
    found = Room(available_bytes=4000 * MB, limit_bytes=8000 * MB, bound_by="the machine")
    made = plan(Shape(), Shape().tensors(), EngineConfig(ram_mb=900), 2, found, taken_bytes=150 * MB)
    assert made.usable_bytes == 750 * MB


def test_too_little_for_streaming_is_said_with_the_numbers() -> None:
    with pytest.raises(DeviceError, match=r"even with every layer streamed: \d+ MB for weights .* but 90 MB can be used"):
        planned(100)


def test_kv_memory_that_holds_not_one_page_is_refused_with_the_numbers() -> None:
    with pytest.raises(DeviceError, match=r"engine\.kv_memory_mb 1 holds not one page of 1792 KB"):
        pages_and_context(Shape(), EngineConfig(kv_memory_mb=1), MB)
