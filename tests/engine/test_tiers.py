from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from freehold.engine.tensor_types import TensorType
from freehold.engine.tiers import ROWS_CACHE_BYTES, SLOTS, Placement, place, spread
from freehold.engine.tiles import Use
from tests.engine.test_tiles import Info, use

MB = 1 << 20
VECTORS = {"norm": Info(TensorType.F32, (1024,))}


def model(*, tied: bool, layers: int = 12, rows: int = 4096) -> tuple[list[list[Use]], dict[str, Info]]:
    """Layers of one matrix of 4.25 MiB, and a head of as much."""
    names = [f"blk.{i}" for i in range(layers)] + ["token_embd.weight" if tied else "output.weight"]
    vocabulary = 4 * rows
    tensors = VECTORS | {name: Info(TensorType.Q8_0, (1024, rows)) for name in names}
    tensors["token_embd.weight"] = Info(TensorType.Q8_0, (1024, vocabulary))
    return [[use(name, vocabulary if name == "token_embd.weight" else rows)] for name in names], tensors


def placed(memory_bytes: int, *, tied: bool = True) -> Placement:
    order, tensors = model(tied=tied)
    return place(order, tensors, memory_bytes)


def test_a_model_that_fits_is_whole() -> None:
    whole = placed(1 << 40)
    assert whole.is_whole
    assert (whole.streamed_bytes, whole.slot_bytes) == (0, 0)
    assert placed(whole.resident_bytes).is_whole
    assert not placed(whole.resident_bytes - 1).is_whole
    assert whole.memory_bytes == whole.resident_bytes


def test_a_table_that_is_no_head_gives_way_first() -> None:
    whole = placed(1 << 40, tied=False)
    without = placed(whole.resident_bytes - whole.embedding_bytes + ROWS_CACHE_BYTES, tied=False)
    assert not without.embedding_resident
    assert without.streamed_bytes == 0
    assert not without.is_whole


@given(share=st.floats(0.55, 1.2), tied=st.booleans())
def test_a_placement_keeps_to_its_memory_and_streams_the_rest(share: float, tied: bool) -> None:
    whole = placed(1 << 40, tied=tied)
    memory = int(share * whole.resident_bytes) + ROWS_CACHE_BYTES
    found = placed(memory, tied=tied)
    assert found.memory_bytes <= memory
    assert found.pass_bytes == whole.pass_bytes
    largest = max(tile.size_bytes for tile in found.tiles)
    if found.streamed_bytes:
        assert memory - found.memory_bytes <= 2 * largest  # and leaves little of it idle


def test_more_memory_streams_less_to_the_tile() -> None:
    found = [placed(memory) for memory in range(20 * MB, 100 * MB, MB)]
    assert found[-1].streamed_bytes < found[0].streamed_bytes
    for less, more in pairwise(found):
        assert more.streamed_bytes <= less.streamed_bytes + less.slot_bytes


def test_what_is_too_large_for_any_memory_streams_everything() -> None:
    none = placed(0)
    assert none.streamed_bytes == none.pass_bytes
    assert none.memory_bytes == none.vectors_bytes + SLOTS * none.slot_bytes + ROWS_CACHE_BYTES


@given(sizes=st.lists(st.integers(1 * MB, 8 * MB), min_size=1, max_size=60), share=st.floats(0, 1.1))
def test_streamed_tiles_come_evenly(sizes: list[int], share: float) -> None:
    wanted = int(share * sum(sizes))
    chosen = spread(sizes, wanted)
    taken = passed = 0
    for size, streamed in zip(sizes, chosen, strict=True):
        passed += size
        taken += size * streamed
        even = min(1, share) * passed
        assert -8 * MB <= taken - even <= 8 * MB
    assert taken >= min(wanted, sum(sizes))


def test_small_tiles_stay_while_there_are_large_ones() -> None:
    assert spread([100, 4 * MB, 100, 4 * MB], 5 * MB) == [False, True, False, True]
    assert spread([100, 4 * MB, 100, 4 * MB], 8 * MB + 150) == [True, True, True, True]
