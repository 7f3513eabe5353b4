from itertools import pairwise

import numpy as np
import numpy.typing as npt
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.engine.kernels.seal import BLOCK_BYTES, KEY_BYTES, KEYS
from freehold.engine.seals import Sealer

RNG = np.random.default_rng(3)
KEY = RNG.bytes(KEY_BYTES)
DATA = RNG.bytes(5 * BLOCK_BYTES + 100)
SEALER = Sealer(KEY)


def reference(key: bytes, data: bytes) -> bytes:
    """The seal in plain NumPy."""
    padded = data.ljust(-(-len(data) // BLOCK_BYTES) * BLOCK_BYTES, b"\0")
    blocks = np.frombuffer(padded, "<u4").reshape(-1, BLOCK_BYTES // 4)
    words: npt.NDArray[np.uint32] = np.frombuffer(key, "<u4")
    sums = np.empty((len(blocks), KEYS), np.uint64)
    for shift in range(KEYS):
        mixed = (blocks + words[2 * shift : 2 * shift + BLOCK_BYTES // 4]).astype(np.uint64)  # mod 2^32
        sums[:, shift] = (mixed[:, 0::2] * mixed[:, 1::2]).sum(1, dtype=np.uint64)  # mod 2^64
    return blake3(sums.astype("<u8").tobytes()).digest()


@given(size=st.integers(0, len(DATA)))
def test_a_seal_is_what_the_definition_says(size: int) -> None:
    assert SEALER.seal(memoryview(DATA)[:size]) == reference(KEY, DATA[:size])


@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=8))
def test_where_the_bytes_are_cut_does_not_matter(cuts: list[int]) -> None:
    sealing = SEALER.begin()
    places = [0, *sorted(cuts), len(DATA)]
    for low, high in pairwise(places):
        sealing.update(memoryview(DATA)[low:high])
    assert sealing.digest() == SEALER.seal(memoryview(DATA))


@given(at=st.integers(0, 8 * len(DATA) - 1))
def test_a_flipped_bit_is_another_seal(at: int) -> None:
    changed = bytearray(DATA)
    changed[at // 8] ^= 1 << at % 8
    assert SEALER.seal(memoryview(changed)) != SEALER.seal(memoryview(DATA))


def test_words_that_change_places_are_another_seal() -> None:
    words = np.frombuffer(DATA[:BLOCK_BYTES], np.uint32)
    pairs = words.reshape(-1, 2)
    expected = SEALER.seal(words.data.cast("B"))
    for moved in (pairs[:, ::-1], np.roll(pairs, 1, axis=0), pairs[::-1]):
        assert SEALER.seal(np.ascontiguousarray(moved).reshape(-1).view(np.uint8).data) != expected


def test_every_process_has_a_key_of_its_own() -> None:
    view = memoryview(DATA)
    assert Sealer().seal(view) != Sealer().seal(view)
