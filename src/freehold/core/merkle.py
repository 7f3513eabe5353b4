"""The Merkle tree of RFC 6962 (section 2.1), over SHA-256: roots, proofs, and how they are checked. No storage.

A leaf is H(0x00 || entry), a node H(0x01 || left || right); the left side of a tree of n leaves is the largest power of two below
n. A tree that grows never changes a *perfect* subtree (2**level leaves that begin at a multiple of 2**level), so whoever can give
those can give every root and proof: `Perfect(level, index)`.

Besides the proofs of RFC 6962 there is one over a run of leaves (`range_proof`): the hashes of all that lies left and right of
it, from left to right. It shows in one step that the run is whole, in order, and in the tree.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from freehold.core.errors import VerificationError

Perfect = Callable[[int, int], bytes]  # (level, index) -> hash of the leaves from index * 2**level on, 2**level of them

HASH_BYTES = 32
SIZE_LIMIT = 1 << 62
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def root(size: int, perfect: Perfect) -> bytes:
    return _hash_of(0, size, perfect) if size else EMPTY_ROOT


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Of a tree that is given whole: its leaves' hashes."""
    hashes = list(leaves)
    while len(hashes) > 1:
        nodes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=False)]
        hashes = nodes + hashes[2 * len(nodes) :]  # an odd one out goes up as it is
    return hashes[0] if hashes else EMPTY_ROOT


class GrowingRoot:
    """The root of a tree that grows leaf by leaf: keeps the hashes of its perfect subtrees, one a level at most."""

    def __init__(self) -> None:
        self.size = 0
        self._hashes: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        carried, size = leaf, self.size
        while size & 1:
            carried, size = node_hash(self._hashes.pop(), carried), size >> 1
        self._hashes.append(carried)
        self.size += 1

    def root(self) -> bytes:
        if not self._hashes:
            return EMPTY_ROOT
        found = self._hashes[-1]
        for left in self._hashes[-2::-1]:
            found = node_hash(left, found)
        return found


def consistency_proof(old: int, new: int, perfect: Perfect) -> list[bytes]:
    """PROOF(old, D[new]); empty for an old size of 0, or one that is the new."""
    if not 0 < old < new:
        return []
    low, high, proof = 0, new, []
    while old != high:
        middle = low + _left(high - low)
        if old <= middle:
            proof.append(_hash_of(middle, high, perfect))
            high = middle
        else:
            proof.append(_hash_of(low, middle, perfect))
            low = middle
    if low:
        proof.append(_hash_of(low, high, perfect))
    return proof[::-1]


def range_proof(first: int, last: int, size: int, perfect: Perfect) -> list[bytes]:
    """What lies outside of leaves `first` to `last` (excluded), left to right."""
    return [_hash_of(low, high, perfect) for low, high in _outside(0, size, first, last)]


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises VerificationError unless the tree of `new` leaves begins with that of `old` (RFC 9162 §2.1.4.2)."""
    if not 0 <= old <= new:
        raise VerificationError(f"a tree of {new} leaves can't continue one of {old}")
    if old == new or old == 0:
        if proof or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise VerificationError(f"two trees of {new} leaves have different roots" if old == new else "the proof is too long")
        return
    hashes = iter([old_root, *proof] if old & (old - 1) == 0 else proof)
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_found = new_found = next(hashes, b"")
    for hash_ in hashes:
        if last == 0:
            raise VerificationError("the consistency proof is too long")
        if at & 1 or at == last:
            old_found, new_found = node_hash(hash_, old_found), node_hash(hash_, new_found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_found = node_hash(new_found, hash_)
        at, last = at >> 1, last >> 1
    if last or old_found != old_root or new_found != new_root:
        raise VerificationError(f"the tree of {new} leaves does not continue that of {old}: forked, or another proof")


def root_from_range(leaves: Sequence[bytes], first: int, size: int, proof: Iterable[bytes]) -> bytes:
    """The root of the tree of `size` in which `leaves` are the hashes from `first` on. Raises VerificationError."""
    last = first + len(leaves)
    if not (0 <= first < last <= size <= SIZE_LIMIT):
        raise VerificationError(f"rows {first} to {last} are not in a tree of {size}")
    outside = iter(proof)

    def hash_of(low: int, high: int) -> bytes:
        if high <= first or low >= last:
            if (given := next(outside, None)) is None:
                raise VerificationError("the proof is too short")
            return given
        if first <= low and high <= last:
            return root_of(leaves[low - first : high - first])
        middle = low + _left(high - low)
        left = hash_of(low, middle)
        return node_hash(left, hash_of(middle, high))

    found = hash_of(0, size)
    if next(outside, None) is not None:
        raise VerificationError("the proof is too long")
    return found


def _left(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def _hash_of(low: int, high: int, perfect: Perfect) -> bytes:
    """MTH(D[low:high]) of a subtree of the tree: `low` is a multiple of the power of two that covers it."""
    size = high - low
    if size & (size - 1) == 0:
        return perfect(size.bit_length() - 1, low // size)
    middle = low + _left(size)
    return node_hash(_hash_of(low, middle, perfect), _hash_of(middle, high, perfect))


def _outside(low: int, high: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The subtrees of [low, high) that hold nothing of [first, last), as few as there are."""
    if high <= first or low >= last:
        yield low, high
    elif high - low > 1 and not (first <= low and high <= last):
        middle = low + _left(high - low)
        yield from _outside(low, middle, first, last)
        yield from _outside(middle, high, first, last)
