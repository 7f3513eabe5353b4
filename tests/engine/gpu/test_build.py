from pathlib import Path

import pytest
import torch

from freehold.engine.budget import plan
from freehold.engine.config import EngineConfig
from freehold.engine.fit import Kernel, Link, Machine, Tier, lines
from freehold.engine.gpu import build
from freehold.engine.gpu.build import line
from freehold.engine.gpu.card import Card
from freehold.engine.gpu.matrices import TILE_BYTES, matrices_of
from freehold.engine.gpu.placement import CardPlacement, fixed_bytes
from freehold.engine.gpu.sender import CARD_SLOTS
from freehold.engine.kv_cache import KvCache
from freehold.engine.memory import room
from freehold.engine.models.shape import shape_of
from freehold.engine.weights import Weights
from tests.engine.models.tiny import tiny
from tests.engine.models_on_disk import model_of
from tests.fakes.tiny_gguf import tiny_gguf

NO_CARD = Card(torch.device("cpu"))


def test_the_line_says_where_everything_is() -> None:
    def placement(sent: int, cpu_layers: int, cpu: int, ram: int) -> CardPlacement:
        return CardPlacement(
            resident=frozenset(),
            sent=("blk.0.attn_q.weight",) if sent else (),
            cpu_layers=cpu_layers,
            resident_bytes=21_000_000_000,
            sent_bytes=sent,
            cpu_bytes=cpu,
            ram_bytes=ram,
            token_s=0.824,
        )

    assert line(NO_CARD, placement(0, 0, 0, 0), 21_000_000_000) == "no card: all 21000 MB of the weights are in its memory"
    sent = line(NO_CARD, placement(20_000_000_000, 0, 0, 15_000_000_000), 41_000_000_000)
    assert "20000 MB are sent each pass, 5000 MB of them from disk: at best 0.82 s a token" in sent
    assert "the CPU computes layers 0 to 9" in line(NO_CARD, placement(0, 10, 20_000_000_000, 0), 41_000_000_000)


def test_more_pages_need_more_of_the_cards_memory() -> None:
    shape = tiny().shape
    few, many = (fixed_bytes(shape, pages) for pages in (4, 8))
    assert many - few == 4 * KvCache.page_bytes(shape.layers, shape.kv_heads, shape.head_dim)


class SaidCard(Card):
    """A card that says what it has: no machine of a test has one."""

    gives_bytes = 0

    def usable_bytes(self, vram_mb: int) -> int:
        return self.gives_bytes


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_is_said_at_load_follows_from_the_rates_of_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(build, "card_rates", lambda _: (1e9, 2e6))
    host = Machine(threads=1, ram_bytes_per_s=1e7, kernels={"": Kernel(bytes_per_s=1e7, column_s_per_byte=0.0)})
    monkeypatch.setattr(build, "host_machine", lambda *_: host)
    (tmp_path / "m.gguf").write_bytes(tiny_gguf())
    weights = Weights(model_of(tmp_path, lambda *_: None, size_bytes=(tmp_path / "m.gguf").stat().st_size, names=("m.gguf",)))
    shape = shape_of(weights.header.metadata, weights.header.tensors)
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, 4, 4, 4)
    total = sum(matrix.size_bytes for matrix in matrices_of(shape, weights.header.tensors))
    card, config = SaidCard(torch.device("cpu")), EngineConfig()
    card.gives_bytes = fixed_bytes(shape, cache.pages) + int(total * share) + (CARD_SLOTS * TILE_BYTES if share < 1 else 0) + 1
    planned = plan(shape, weights.header.tensors, config, 1, room())
    placement, _, _, said = build.planned(card, weights, shape, cache, config, planned, 1, tmp_path / "m.gguf")
    weights.close()
    assert said.bytes.of(Tier.VRAM) == placement.resident_bytes
    assert said.bytes.size_bytes == total
    assert said.bytes.of(Tier.DISK) == 0
    if placement.is_whole:
        assert (said.bottleneck, said.with_more_vram_s) == (Link.VRAM, None)
    else:
        assert said.bottleneck is Link.MEMORY
        assert said.with_more_vram_s is not None
        assert said.with_more_vram_s < said.token_s
        assert any(words.startswith("1 GB more VRAM") for words in lines(said))
    assert said.token_s >= placement.token_s  # which leaves keys and values out
