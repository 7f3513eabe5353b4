import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.errors import DeviceError, FreeholdError, MalformedArtefact, VerificationError
from freehold.core.models import BLOCK_BYTES
from freehold.provenance.manifest import leaf_digest
from freehold.provenance.pieces import BLOCKS, FileDigests, Recipe, hash_files

CONTENT = hashlib.shake_128(b"seed").digest(2 * BLOCK_BYTES + 77)


def digests(path: Path, recipe: Recipe, threads: int | None = None) -> tuple[bytes, ...]:
    (one,) = hash_files([(path.name, path)], recipe, threads=threads)
    return one.digests


@pytest.mark.parametrize("size_bytes", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, len(CONTENT)])
def test_digests_are_those_of_the_definition(tmp_path: Path, size_bytes: int) -> None:
    path, content = tmp_path / "f", CONTENT[:size_bytes]
    path.write_bytes(content)
    blocks = [content[i : i + BLOCK_BYTES] for i in range(0, size_bytes, BLOCK_BYTES)]
    assert digests(path, BLOCKS) == tuple(map(leaf_digest, blocks))
    assert digests(path, Recipe(algorithm="sha256")) == (hashlib.sha256(content).digest(),)
    assert digests(path, Recipe(algorithm="blake2b")) == (hashlib.blake2b(content).digest(),)
    assert digests(path, Recipe(algorithm="blake3")) == (blake3(content).digest(),)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size_bytes=st.integers(0, 3000), piece_bytes=st.integers(1, 999), threads=st.integers(1, 4))
def test_pieces_of_any_size_by_any_number_of_threads(tmp_path: Path, size_bytes: int, piece_bytes: int, threads: int) -> None:
    path, content = tmp_path / "f", CONTENT[:size_bytes]
    path.write_bytes(content)
    recipe = Recipe(algorithm="sha256", piece_bytes=piece_bytes)
    cut = [content[i : i + piece_bytes] for i in range(0, size_bytes, piece_bytes)]
    assert digests(path, recipe, threads=threads) == tuple(hashlib.sha256(one).digest() for one in cut)
    assert recipe.count(size_bytes) == len(cut)


def test_many_files_come_out_under_their_names(tmp_path: Path) -> None:
    named = [(f"n{i}", tmp_path / f"f{i}") for i in range(50)]
    for i, (_, path) in enumerate(named):
        path.write_bytes(CONTENT[: i * 1000])
    seen_bytes = 0

    def advanced(more_bytes: int) -> None:
        nonlocal seen_bytes
        seen_bytes += more_bytes

    found = {one.name: one for one in hash_files(named, BLOCKS, advanced=advanced)}
    assert set(found) == {name for name, _ in named}
    assert all(found[f"n{i}"].size_bytes == i * 1000 for i in range(50))
    assert seen_bytes == sum(one.size_bytes for one in found.values())


def _truncate(path: Path) -> None:
    os.truncate(path, BLOCK_BYTES)


def _write(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"!")


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_truncate, "became shorter while it was read"),
        (_write, "was changed while it was read"),
        (_replace, "was replaced while it was read"),
        (Path.unlink, "was taken away while it was read"),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    os.utime(path, ns=(1, 1))  # a clock's tick may be longer than this test: a write now must show in the times
    read, changed = os.preadv, False

    def reading(handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        nonlocal changed
        if not changed:
            changed = True
            change(path)
        return read(handle, buffers, offset)

    monkeypatch.setattr(os, "preadv", reading)
    with pytest.raises(VerificationError, match=f"f {says}"):
        digests(path, BLOCKS, threads=1)


def test_what_is_no_plain_file_is_refused_and_nothing_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(MalformedArtefact, match=name):
            digests(tmp_path / name, BLOCKS)
    with pytest.raises(DeviceError, match="absent"):
        digests(tmp_path / "absent", BLOCKS)
    (linked,) = hash_files([("link", tmp_path / "link")], BLOCKS, follow_links=True)
    assert linked.digests == (leaf_digest(b"x"),)


def test_an_error_leaves_no_file_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(CONTENT)
    named: list[tuple[str, Path]] = [(name, tmp_path / name) for name in ("a", "b", "absent")]
    with pytest.raises(FreeholdError):
        list(hash_files(named, BLOCKS))
    stopped = hash_files(named[:2], BLOCKS)
    assert isinstance(next(stopped), FileDigests)
    stopped.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before
