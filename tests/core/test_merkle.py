import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import merkle
from freehold.core.errors import VerificationError

# The vectors of Certificate Transparency's own tests: eight entries and the roots of the trees that they make.
ENTRIES = [
    bytes.fromhex(e) for e in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
LEAVES = [merkle.leaf_hash(b"%d" % i) for i in range(140)]
SIZES = st.integers(1, len(LEAVES))


def perfect(level: int, index: int) -> bytes:
    return merkle.root_of(LEAVES[index << level : (index + 1) << level])


def root(size: int) -> bytes:
    return merkle.root(size, perfect)


def bent(proof: list[bytes], at: int) -> list[bytes]:
    """One bit of one hash is another."""
    at %= len(proof)
    return [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]


def test_roots_are_those_of_the_vectors() -> None:
    leaves = [merkle.leaf_hash(entry) for entry in ENTRIES]
    assert {size: merkle.root_of(leaves[:size]).hex() for size in ROOTS} == ROOTS
    assert merkle.root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(SIZES)
def test_roots_from_perfect_subtrees_are_those_of_all_leaves(size: int) -> None:
    assert root(size) == merkle.root_of(LEAVES[:size])


def test_a_root_that_grows_is_that_of_the_whole_at_each_leaf() -> None:
    growing = merkle.GrowingRoot()
    assert growing.root() == merkle.EMPTY_ROOT
    for size, leaf in enumerate(LEAVES, 1):
        growing.add(leaf)
        assert (growing.size, growing.root()) == (size, root(size))


@given(SIZES, st.data())
def test_a_tree_that_grew_is_consistent_and_a_forked_one_is_not(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    proof = merkle.consistency_proof(old, new, perfect)
    merkle.check_consistency(old, root(old), new, root(new), proof)
    forks = [(bytes(32), root(new), proof), (root(old), root(new), [*proof, bytes(32)])]
    forks += [(root(old), bytes(32), proof)] if old else []
    forks += [(root(old), root(new), bent(proof, 3)), (root(old), root(new), proof[:-1])] if proof else []
    for old_root, new_root, hashes in forks:
        with pytest.raises(VerificationError):
            merkle.check_consistency(old, old_root, new, new_root, hashes)


@given(SIZES, st.data())
def test_a_run_of_leaves_is_proved_whole_and_in_order(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first + 1, size))
    proof, leaves = merkle.range_proof(first, last, size, perfect), LEAVES[first:last]
    assert merkle.root_from_range(leaves, first, size, proof) == root(size)
    assert len(proof) <= 2 * size.bit_length()
    wrong = [(leaves[:-1], proof), (leaves[1:], proof), (leaves, [*proof, bytes(32)]), (leaves, proof[:-1])]
    wrong += [(leaves[::-1], proof)] if len(leaves) > 1 else []
    for run, hashes in wrong:
        if (run, hashes) != (leaves, proof):
            assert fails(run, first, size, hashes)


def fails(leaves: list[bytes], first: int, size: int, proof: list[bytes]) -> bool:
    try:
        return merkle.root_from_range(leaves, first, size, proof) != root(size)
    except VerificationError:
        return True


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=9), st.integers(-1, 1 << 63), st.integers(-1, 1 << 63))
def test_nonsense_raises_our_error_alone(hashes: list[bytes], at: int, size: int) -> None:
    for check in (
        lambda: merkle.check_consistency(at, bytes(32), size, bytes(32), hashes),
        lambda: merkle.root_from_range(hashes, at, size, hashes),
    ):
        try:
            check()
        except VerificationError:
            continue
