import torch

from freehold.engine.gguf import TensorInfo
from freehold.engine.gpu.build import fixed_bytes, line, why_not
from freehold.engine.gpu.card import Card
from freehold.engine.gpu.placement import CardPlacement
from freehold.engine.kv_cache import KvCache
from freehold.engine.tensor_types import TensorType
from tests.engine.models.tiny import Tiny, tiny

NO_CARD = Card(torch.device("cpu"))


def infos(model: Tiny) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(name=name, type=tensor.type, shape=tensor.shape, offset=0, size_bytes=tensor.data.nbytes)
        for name, tensor in model.tensors.items()
    }


def test_what_the_card_does_not_compute_is_named() -> None:
    fits, odd, mixture = tiny("qwen2", TensorType.Q4_K), tiny("llama", TensorType.Q3_K), tiny("qwen3moe", TensorType.Q8_0)
    assert why_not(fits.shape, infos(fits)) is None
    assert why_not(odd.shape, infos(odd)) == "tensors of type Q3_K"
    assert why_not(mixture.shape, infos(mixture)) == "a mixture of experts"


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
    few, many = (fixed_bytes(shape, KvCache(shape.layers, shape.kv_heads, shape.head_dim, pages, 4, pages)) for pages in (4, 8))
    assert many - few == 4 * KvCache.page_bytes(shape.layers, shape.kv_heads, shape.head_dim)
