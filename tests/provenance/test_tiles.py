from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import merkle
from freehold.core.errors import ArtefactError, DeviceError, MalformedArtefact, VerificationError
from freehold.core.merkle import leaf_hash
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance import tiles
from freehold.provenance.keys import NodeKey, trusted
from freehold.provenance.tiles import ENTRIES, Tile, TileReader

KEY = NodeKey.generate()
SIZE = 600


def test_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(1, 0, 17).path == "tile/1/000.p/17"
    assert Tile(ENTRIES, 273, 112).path == "tile/entries/273.p/112"


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    all_ = list(tiles.tiles_of(70_000))
    hashes = [tile for tile in all_ if tile.level >= 0]
    assert [(tile.level, tile.width) for tile in hashes if tile.width < 256] == [(0, 112), (1, 17), (2, 1)]
    assert [sum(tile.level == level and tile.width == 256 for tile in hashes) for level in (0, 1, 2)] == [273, 1, 0]
    assert sum(tile.level == ENTRIES for tile in all_) == 274


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_what_is_new_since_a_size_and_what_was_there_are_all(one: int, other: int) -> None:
    since, size = sorted((one, other))
    there = set(tiles.tiles_of(since))
    new = set(tiles.tiles_of(size, since))
    assert not new & there
    assert {(tile.level, tile.n) for tile in new | there} == {(tile.level, tile.n) for tile in tiles.tiles_of(size)}


@given(st.integers(-1, 63), st.integers(0, 10**15), st.integers(1, 256))
def test_paths_come_back(level: int, n: int, width: int) -> None:
    tile = Tile(level, n, width)
    assert tiles.parse_path(tile.path) == tile


@given(st.text() | st.from_regex(r"tile/[0-9a-z]{1,8}/[x0-9/]{1,12}(\.p/[0-9]{1,4})?", fullmatch=True))
def test_a_path_is_a_tiles_own_or_malformed(path: str) -> None:
    try:
        assert tiles.parse_path(path).path == path
    except MalformedArtefact:
        return


@given(st.lists(st.binary(max_size=300), max_size=20), st.binary(max_size=3))
def test_bundles_come_back_and_torn_ones_are_malformed(entries: list[bytes], tail: bytes) -> None:
    packed = tiles.pack(entries)
    assert tiles.unpack(packed) == entries
    try:
        assert tiles.pack(tiles.unpack(packed + tail)) == packed + tail
        assert tiles.split(packed)
    except MalformedArtefact:
        return


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a log of `SIZE` entries."""
    entries = [b"entry %d" % i for i in range(SIZE)]
    leaves = list(map(leaf_hash, entries))
    head = checkpoints.sign("a.example/log", SIZE, merkle.root_of(leaves), KEY, KEY.public)
    write(tmp_path / "checkpoint", bytes(head.note))
    for tile in tiles.tiles_of(SIZE):
        start, end = tile.n * 256, tile.n * 256 + tile.width
        if tile.level == ENTRIES:
            contents = tiles.pack(entries[start:end])
        else:
            span = 256**tile.level
            contents = b"".join(merkle.root_of(leaves[i * span : (i + 1) * span]) for i in range(start, end))
        write(tmp_path / tile.path, contents)
    return tmp_path


def write(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents)


def reader(folder: Path) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        try:
            return (folder / path).read_bytes()
        except OSError as exc:
            raise DeviceError(f"cannot read {path}") from exc

    return read


def test_a_folder_holds_and_gives_proofs(folder: Path) -> None:
    seen: dict[int, bytes] = {}
    head = tiles.verify_tiles(reader(folder), trusted(KEY.public), lambda n, entry: seen.update({n: entry}))
    assert (head.size, len(seen), seen[1], seen[SIZE]) == (SIZE, SIZE, b"entry 0", b"entry 599")
    perfect = TileReader(reader(folder), SIZE).perfect
    for index in (0, 255, 256, 599):
        proof = merkle.range_proof(index, index + 1, SIZE, perfect)
        assert merkle.root_from_range([leaf_hash(b"entry %d" % index)], index, SIZE, proof) == head.root


def swap(folder: Path, one: str, other: str) -> None:
    first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
    (folder / one).write_bytes(second)
    (folder / other).write_bytes(first)


def swap_both(folder: Path) -> None:
    swap(folder, "tile/0/000", "tile/0/001")
    swap(folder, "tile/entries/000", "tile/entries/001")


TAMPERED: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "swapped tiles": (lambda f: swap(f, "tile/0/000", "tile/0/001"), VerificationError, "tile/0/000 is not made of"),
    "swapped bundles": (lambda f: swap(f, "tile/entries/000", "tile/entries/001"), VerificationError, "tile/0/000"),
    "both swapped": (swap_both, VerificationError, r"tile/1/000\.p/2 is not made of"),
    "a flipped bit": (
        lambda f: (f / "tile/1/000.p/2").write_bytes(bytes([1]) + (f / "tile/1/000.p/2").read_bytes()[1:]),
        VerificationError,
        r"tile/1/000\.p/2",
    ),
    "a missing tile": (lambda f: (f / "tile/0/001").unlink(), DeviceError, "tile/0/001"),
    "a cut tile": (
        lambda f: (f / "tile/0/001").write_bytes((f / "tile/0/001").read_bytes()[:-32]),
        MalformedArtefact,
        "255 hashes",
    ),
    "a forged head": (
        lambda f: (f / "checkpoint").write_text((f / "checkpoint").read_text().replace("\n600\n", "\n599\n")),
        VerificationError,
        "does not hold",
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_folder_that_was_tampered_with_is_named(folder: Path, how: str) -> None:
    tamper, error, words = TAMPERED[how]
    tamper(folder)
    with pytest.raises((ArtefactError, DeviceError), match=words) as caught:
        tiles.verify_tiles(reader(folder), trusted(KEY.public))
    assert isinstance(caught.value, error)
