"""Tiny models on the card, read from a file as any model is."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from freehold.core.models import VerifiedModel
from freehold.engine.gguf_writer import TensorPlan, header_bytes
from freehold.engine.gpu import build
from freehold.engine.gpu.card import Card
from freehold.engine.gpu.llama import GpuLlama
from freehold.engine.gpu.matrices import matrices_of
from freehold.engine.gpu.placement import CardPlacement, LinkRates, place
from freehold.engine.kv_cache import KvCache
from freehold.engine.weights import Weights
from tests.engine.gpu.card import DEVICE, HALF
from tests.engine.models.tiny import Tiny
from tests.engine.models_on_disk import verified_model

RATES = LinkRates(card=1e12, link=2e10, disk=2e9, cpu=1e10)


def on_disk(model: Tiny, directory: Path) -> VerifiedModel:
    plans = [TensorPlan(name=tensor.name, type=tensor.type, shape=tensor.shape) for tensor in model.tensors.values()]
    parts = [header_bytes(model.metadata, plans)]
    for tensor in model.tensors.values():
        raw = tensor.data.tobytes()
        parts.append(raw + bytes(-len(raw) % 32))
    return verified_model(directory, b"".join(parts))


def placed(model: Tiny, weights: Weights, card_share: float, ram_share: float = 1.0, shared: bool = False) -> CardPlacement:
    """With so much of the weights on the card, and so much of the others in the host's memory."""
    matrices = matrices_of(model.shape, weights.header.tensors)
    total = sum(matrix.size_bytes for matrix in matrices)
    on_card = int(card_share * total) + 1
    return place(matrices, on_card, int(ram_share * (total - on_card)), RATES, shared=shared)


def on_card(model: Tiny, directory: Path, card_share: float = 1.0, ram_share: float = 1.0, shared: bool = False) -> GpuLlama:
    weights = Weights(on_disk(model, directory))
    shape = model.shape
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, 12, 4, 12)
    placement = placed(model, weights, card_share, ram_share, shared)
    return build.load(Card(DEVICE, HALF), weights, shape, cache, placement, 1, "auto", 1 << 30, lambda done, total: None)


def close_to(logits: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """As near as keys, queries and a prompt's weights in 16 bits allow, and rounding that differs."""
    assert np.linalg.norm(logits - expected) < 0.04 * np.linalg.norm(expected)
