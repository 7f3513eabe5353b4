import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import DeviceError, InternalError
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache


def cache(pages: int = 8, sequences: int = 3) -> KvCache:
    return KvCache(layers=2, kv_heads=1, head_dim=32, pages=pages, max_sequences=sequences, max_pages_per_sequence=4)


def test_pages_back_positions_and_come_back() -> None:
    kv = cache()
    sequence = kv.open()
    kv.reserve(sequence, PAGE_POSITIONS + 1)
    assert (kv.free_pages, kv.positions_held(sequence)) == (6, 2 * PAGE_POSITIONS)
    kv.reserve(sequence, PAGE_POSITIONS)  # held already
    assert kv.free_pages == 6
    kv.free(sequence)
    assert (kv.free_pages, kv.free_sequences) == (8, 3)


def test_a_page_is_one_run_of_memory() -> None:
    kv = cache(pages=5)
    assert kv.store[4].flags.c_contiguous
    assert kv.store[4].nbytes == KvCache.page_bytes(kv.layers, kv.kv_heads, kv.head_dim)


def test_too_much_takes_nothing() -> None:
    kv = cache(pages=3)
    sequence = kv.open()
    with pytest.raises(DeviceError, match="need 4 more pages, 3 of 3 are free"):
        kv.reserve(sequence, 4 * PAGE_POSITIONS)
    assert kv.free_pages == 3
    with pytest.raises(DeviceError, match="do not fit a sequence of at most 256"):
        kv.reserve(sequence, 4 * PAGE_POSITIONS + 1)


def test_slots_run_out_with_a_clear_error() -> None:
    kv = cache(sequences=1)
    kv.open()
    with pytest.raises(DeviceError, match="all 1 sequences are in use"):
        kv.open()


def test_an_unopened_or_freed_sequence_is_our_own_mistake() -> None:
    kv = cache()
    sequence = kv.open()
    kv.free(sequence)
    with pytest.raises(InternalError, match="is not open"):
        kv.free(sequence)
    for slot in (sequence, 77, -1):
        with pytest.raises(InternalError, match="is not open"):
            kv.reserve(slot, 1)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5 * PAGE_POSITIONS)), max_size=30))
def test_no_page_is_ever_held_twice_or_lost(acts: list[tuple[int, int]]) -> None:
    kv, open_ = cache(), []
    for act, positions in acts:
        try:
            if act == 0:
                open_.append(kv.open())
            elif open_ and act == 1:
                kv.reserve(open_[positions % len(open_)], positions)
            elif open_:
                kv.free(open_.pop(positions % len(open_)))
        except DeviceError:
            continue
        held = [int(p) for s in open_ for p in kv.block_tables[s, : kv.positions_held(s) // PAGE_POSITIONS]]
        assert len(held) == len(set(held))
        assert len(held) + kv.free_pages == kv.pages


def test_size_of_a_page_is_said_before_it_is_taken() -> None:
    kv = cache()
    assert kv.store.nbytes == kv.pages * KvCache.page_bytes(kv.layers, kv.kv_heads, kv.head_dim)
