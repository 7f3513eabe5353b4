from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from freehold.engine.gpu.placement import HEAD_LAYER, CardPlacement, LinkRates, Matrix, place, token_s
from freehold.engine.tiles import Use

NAMES = ("attn_q", "attn_k", "ffn_gate", "ffn_down")
# An RTX 3090 in a desktop PC: PCIe 4.0, a fast disk, two channels of memory.
PC = LinkRates(card=8e11, link=25e9, disk=7e9, cpu=38e9)


def matrices(layers: int, size_bytes: int, head_bytes: int) -> list[Matrix]:
    def matrix(name: str, layer: int, size: int) -> Matrix:
        return Matrix(use=Use(name=name, tensor=name, first_row=0, rows=64, multiple=16), layer=layer, size_bytes=size)

    found = [matrix(f"blk.{layer}.{name}.weight", layer, size_bytes) for layer in range(layers) for name in NAMES]
    return [*found, matrix("output.weight", HEAD_LAYER, head_bytes)]


def placed(card_gb: float, ram_gb: float, rates: LinkRates = PC, shared: bool | None = None) -> CardPlacement:
    """A model of 42 GB: 80 layers and a head."""
    return place(matrices(80, 517_000_000 // 4, 700_000_000), int(card_gb * 1e9), int(ram_gb * 1e9), rates, shared=shared)


@given(
    layers=st.integers(1, 9),
    size=st.integers(1, 1000),
    head=st.integers(1, 5000),
    card=st.integers(0, 40_000),
    ram=st.integers(0, 40_000),
    shared=st.sampled_from([True, False, None]),
)
def test_every_matrix_is_somewhere_and_nothing_overflows(
    layers: int, size: int, head: int, card: int, ram: int, shared: bool | None
) -> None:
    all_ = matrices(layers, size, head)
    made = place(all_, card, ram, PC, shared=shared)
    cpu = {matrix.use.name for matrix in all_ if 0 <= matrix.layer < made.cpu_layers}
    assert sorted([*made.resident, *made.sent, *cpu]) == sorted(matrix.use.name for matrix in all_)
    assert made.resident_bytes <= card
    assert made.ram_bytes <= min(ram, made.sent_bytes + made.cpu_bytes)
    assert made.resident_bytes + made.sent_bytes + made.cpu_bytes == sum(matrix.size_bytes for matrix in all_)


def test_what_fits_stays_wholly() -> None:
    assert placed(48, 0).is_whole


def test_layers_that_are_sent_come_evenly() -> None:
    made = placed(21.5, 0, shared=False)
    sent = [int(name.split(".")[1]) for name in made.sent if name.endswith("attn_q.weight")]
    assert 38 < len(sent) < 42
    assert max(b - a for a, b in pairwise(sent)) <= 3
    assert "output.weight" in made.resident


def test_the_cpu_computes_where_its_memory_is_faster_than_the_link() -> None:
    made = placed(21.5, 30)
    assert made.cpu_layers > 0
    assert 0.5 < made.token_s < 0.65


def test_with_a_slow_cpu_all_is_sent() -> None:
    slow = LinkRates(card=8e11, link=25e9, disk=7e9, cpu=5e9)
    assert placed(21.5, 30, slow).cpu_layers == 0


def test_the_disk_bounds_both_ways() -> None:
    assert token_s(0, 10e9, 0, PC, shared=True) == token_s(0, 10e9, 0, PC, shared=False) == 10 / 7


def test_more_memory_is_never_slower() -> None:
    times = [placed(card, 20).token_s for card in range(0, 45, 3)]
    assert times == sorted(times, reverse=True)
