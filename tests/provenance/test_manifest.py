import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, DeviceError, MalformedArtefact, UnsupportedArtefact, VerificationError
from freehold.core.models import BLOCK_BYTES, Manifest
from freehold.provenance.manifest import decode, encode, hash_file, make_manifest, tree_root


def make(directory: Path, files: dict[str, bytes]) -> Manifest:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    return make_manifest(directory, list(files), name="toy", origin="a test", licence="CC0-1.0")


def rfc6962(leaves: Sequence[bytes]) -> bytes:
    """The tree as RFC 6962 §2.1 defines it, by recursion."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return blake3(b"\x01" + rfc6962(leaves[:split]) + rfc6962(leaves[split:])).digest()


@given(st.integers(1, 70))
def test_the_tree_is_that_of_rfc_6962(count: int) -> None:
    leaves = [blake3(bytes([i])).digest() for i in range(count)]
    assert tree_root(leaves) == rfc6962(leaves)


@pytest.mark.parametrize("size_bytes", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 9 * BLOCK_BYTES + 77])
def test_a_files_digests_are_those_of_the_definition(tmp_path: Path, size_bytes: int) -> None:
    content = hashlib.shake_128(b"seed").digest(size_bytes)
    (tmp_path / "f").write_bytes(content)
    file = hash_file(tmp_path / "f", "f")
    blocks = [content[i : i + BLOCK_BYTES] for i in range(0, size_bytes, BLOCK_BYTES)]
    assert file.leaves == tuple(blake3(b"\x00" + b).digest() for b in blocks)
    assert file.root == (rfc6962(file.leaves) if blocks else blake3(b"").digest())
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert file.size_bytes == size_bytes


def test_the_model_id_is_that_of_the_definition(tmp_path: Path) -> None:
    manifest = make(tmp_path, {"b.bin": b"bee", "a/ä.bin": b"ay"})
    leaves = []
    for name, content in (("a/ä.bin", b"ay"), ("b.bin", b"bee")):
        raw, root = name.encode(), blake3(b"\x00" + content).digest()
        leaves.append(blake3(b"\x00" + len(raw).to_bytes(4, "big") + raw + len(content).to_bytes(8, "big") + root).digest())
    assert manifest.model_id == rfc6962(leaves).hex()


def test_swapping_two_files_names_changes_the_model_id(tmp_path: Path) -> None:
    first = make(tmp_path, {"a": b"1", "b": b"2"})
    assert make(tmp_path, {"a": b"2", "b": b"1"}).model_id != first.model_id


def test_a_manifest_survives_writing_and_reading(tmp_path: Path) -> None:
    manifest = make(tmp_path, {"model.gguf": b"x" * (BLOCK_BYTES + 5), "empty": b"", "sub/c.json": b"{}"})
    assert decode(encode(manifest)) == manifest
    assert encode(decode(encode(manifest))) == encode(manifest)


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (2 * BLOCK_BYTES + 1))
    (tmp_path / "b").write_bytes(b"y")
    seen: list[int] = []
    make_manifest(tmp_path, ["a", "b"], name="n", origin="o", advanced=seen.append)
    assert sum(seen) == 2 * BLOCK_BYTES + 2


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "a//b", "a/../b", "a\\b", "C:x", "a\nb", "./a", "a/", "a\udc80"]
)
def test_a_name_that_could_leave_the_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MalformedArtefact, match="plain relative path"):
        make_manifest(tmp_path, [name], name="n", origin="o")


def test_links_directories_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dir").mkdir()
    for name in ("link", "dir", "absent"):
        with pytest.raises(MalformedArtefact, match=name):
            make_manifest(tmp_path, [name], name="n", origin="o")


def test_a_file_that_vanishes_is_a_device_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="gone"):
        hash_file(tmp_path / "gone", "gone")


def changed(manifest: Manifest, **fields: object) -> bytes:
    document = json.loads(encode(manifest))
    for place, value in fields.items():
        if place.startswith("file_"):
            document["files"][0][place.removeprefix("file_")] = value
        else:
            document[place] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"version": 2}, UnsupportedArtefact, "version 2"),
        ({"hash": "md5"}, UnsupportedArtefact, "md5"),
        ({"block_bytes": 1}, UnsupportedArtefact, "blocks of 1 "),
        ({"model_id": "00"}, VerificationError, "model id 00"),
        ({"files": []}, MalformedArtefact, "lists 0 files"),
        ({"extra": 1}, MalformedArtefact, "extra"),
        ({"file_name": "other"}, VerificationError, "model id"),
        ({"file_name": "../up"}, MalformedArtefact, "plain relative path"),
        ({"file_size_bytes": 2}, VerificationError, "model id"),
        ({"file_size_bytes": -1}, MalformedArtefact, "-1 bytes"),
        ({"file_size_bytes": BLOCK_BYTES + 1}, MalformedArtefact, "1 block digests, not 2"),
        ({"file_size_bytes": 1.5}, MalformedArtefact, "size_bytes"),
        ({"file_leaves": "AAAA"}, MalformedArtefact, "32 bytes"),
        ({"file_leaves": "!"}, MalformedArtefact, "base64"),
        ({"file_root": "00" * 32}, VerificationError, "do not add up to its root"),
        ({"file_sha256": "zz"}, MalformedArtefact, "hex"),
    ],
)
def test_a_manifest_that_does_not_agree_with_itself_is_refused(
    tmp_path: Path, fields: dict[str, object], error: type[ArtefactError], says: str
) -> None:
    manifest = make(tmp_path, {"m": b"x"})
    with pytest.raises(error, match=says):
        decode(changed(manifest, **fields))


def test_two_names_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedArtefact, match="twice"):
        make(tmp_path, {"A": b"1", "a": b"2"})


@settings(max_examples=60)
@given(
    st.binary(max_size=100) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_garbage_raises_only_our_error(raw: bytes) -> None:
    with pytest.raises(ArtefactError):
        decode(raw)
