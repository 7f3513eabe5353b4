from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freehold.core.errors import InternalError, VerificationError
from freehold.engine.gpu import llama
from freehold.engine.gpu.llama import GpuLlama, arrange
from freehold.engine.tensor_types import TensorType
from tests.engine.gpu.card import slow
from tests.engine.gpu.on_card import close_to, on_card
from tests.engine.models.tiny import Tiny, batch, forward, tiny

TOKENS = np.random.default_rng(5).integers(0, 61, 70).astype(np.int32)


_SMALL = {"block_count": 1, "feed_forward_length": 256, "attention.head_count": 2, "attention.head_count_kv": 1}


@pytest.fixture(autouse=True)
def short_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six tokens are a prompt: the interpreter takes a second for what a card does in a millisecond."""
    monkeypatch.setattr(llama, "LONG_RUN", 5)


def small(architecture: str, type_: TensorType, **changes: Any) -> Tiny:
    return tiny(architecture, type_, vocabulary=61, **(_SMALL | changes))


def opened(model: GpuLlama, positions: int) -> int:
    slot = model.cache.open()
    model.cache.reserve(slot, positions)
    return slot


@pytest.mark.parametrize(
    ("architecture", "type_"),
    [
        ("llama", TensorType.Q4_K),
        pytest.param("qwen2", TensorType.Q6_K, marks=slow),
        pytest.param("qwen3", TensorType.Q8_0, marks=slow),
        pytest.param("gemma2", TensorType.Q4_0, marks=slow),
        pytest.param("phi3", TensorType.F16, marks=slow),
    ],
)
def test_logits_equal_the_reference_forward_pass(architecture: str, type_: TensorType, tmp_path: Path) -> None:
    model = small(architecture, type_)
    card = on_card(model, tmp_path)
    slot = opened(card, 70)
    expected = forward(model, TOKENS[:9])
    close_to(card.step(batch((slot, 0, TOKENS[:6]))), expected[:6])  # through the matrix units
    close_to(card.step(batch((slot, 6, TOKENS[6:9]))), expected[6:])  # through products of bytes
    card.close()


@slow
def test_prompts_and_answers_mix_in_one_step(tmp_path: Path) -> None:
    model = small("llama", TensorType.Q4_K)
    card = on_card(model, tmp_path)
    first, second, third = (opened(card, 70) for _ in range(3))
    card.step(batch((second, 0, TOKENS[:2])))
    mixed = card.step(batch((second, 2, TOKENS[2:4]), (first, 0, TOKENS[:7]), (third, 0, TOKENS[:1])))
    close_to(mixed[:2], forward(model, TOKENS[:4])[2:])
    close_to(mixed[2:9], forward(model, TOKENS[:7]))
    close_to(mixed[9:], forward(model, TOKENS[:1]))
    card.close()


@slow
def test_an_answer_has_the_same_bits_in_any_company(tmp_path: Path) -> None:
    model = small("llama", TensorType.Q4_K)
    card = on_card(model, tmp_path)
    one, other, mate = (opened(card, 70) for _ in range(3))
    alone = np.concatenate([card.step(batch((one, i, TOKENS[i : i + 1]))) for i in range(3)])
    card.step(batch((other, 0, TOKENS[:2])))
    together = card.step(batch((mate, 0, TOKENS[40:42]), (other, 2, TOKENS[2:3])))[2:]
    assert np.array_equal(alone[2:], together)
    card.close()


@slow
def test_only_wanted_logits_are_given_in_batch_order(tmp_path: Path) -> None:
    model = small("llama", TensorType.Q8_0)
    card = on_card(model, tmp_path)
    first, second = opened(card, 70), opened(card, 70)
    asked = batch((first, 0, TOKENS[:3]), (second, 0, TOKENS[:6]))
    asked.wants_logits[:] = False
    asked.wants_logits[[2, 8]] = True
    out = card.step(asked)
    assert out.shape == (2, 61)
    close_to(out[0], forward(model, TOKENS[:3])[-1])
    close_to(out[1], forward(model, TOKENS[:6])[-1])
    card.close()


@pytest.mark.parametrize(("card_share", "ram_share"), [pytest.param(0.0, 0.0, marks=slow), (0.5, 0.5)])
def test_sent_weights_give_the_same_bits_as_those_that_stay(card_share: float, ram_share: float, tmp_path: Path) -> None:
    model = small("llama", TensorType.Q6_K, tied=False)
    outs = []
    for share, ram in ((1.0, 1.0), (card_share, ram_share)):
        card = on_card(model, tmp_path, share, ram)
        slot = opened(card, 70)
        outs.append(np.concatenate([card.step(batch((slot, i, TOKENS[i : i + 1]))) for i in range(2)]))
        card.close()
    assert np.array_equal(outs[0], outs[1])


def test_layers_that_the_cpu_computes_fit_in(tmp_path: Path) -> None:
    model = small("qwen2", TensorType.Q4_K, block_count=2, tied=False)
    card = on_card(model, tmp_path, 0.6, 0.0, shared=True)
    slot = opened(card, 70)
    expected = forward(model, TOKENS[:4])
    close_to(card.step(batch((slot, 0, TOKENS[:3]))), expected[:3])
    close_to(card.step(batch((slot, 3, TOKENS[3:4]))), expected[3:])
    card.close()


def test_a_changed_byte_of_a_sent_tile_is_caught_before_it_is_computed_with(tmp_path: Path) -> None:
    model = small("llama", TensorType.Q8_0, tied=False)
    card = on_card(model, tmp_path, 0.0, 0.0)
    slot = opened(card, 70)
    right = card.step(batch((slot, 0, TOKENS[:1])))
    path = tmp_path / "model.gguf"
    raw = bytearray(path.read_bytes())
    raw[-40] ^= 1
    with path.open("r+b") as file:
        file.write(raw)
    with pytest.raises(VerificationError, match="not what they were"):
        twice(card, slot)  # tiles ahead may have been sent before the change
    raw[-40] ^= 1
    with path.open("r+b") as file:
        file.write(raw)
    assert np.array_equal(card.step(batch((slot, 0, TOKENS[:1]))), right)
    card.close()


def twice(card: GpuLlama, slot: int) -> None:
    for _ in range(2):
        card.step(batch((slot, 0, TOKENS[:1])))


def test_bad_batches_are_refused(tmp_path: Path) -> None:
    card = on_card(small("llama", TensorType.Q8_0), tmp_path)
    slot = opened(card, 70)
    with pytest.raises(InternalError, match="outside the vocabulary"):
        card.step(batch((slot, 0, np.array([61], np.int32))))
    with pytest.raises(InternalError, match="no pages for position"):
        card.step(batch((slot, 128, TOKENS[:1])))
    card.close()


def test_long_runs_come_first_and_are_cut_into_tiles() -> None:
    positions = np.concatenate([[7], np.arange(40), [3, 4]]).astype(np.int32)
    sequences = np.concatenate([[2], np.zeros(40), [1, 1]]).astype(np.int32)
    order, prompt, firsts, counts = arrange(positions, sequences, 16)
    assert order.tolist() == [*range(1, 41), 0, 41, 42]
    assert prompt == 40
    assert (firsts.tolist(), counts.tolist()) == ([0, 16, 32], [16, 16, 8])
