import hashlib
import multiprocessing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from freehold.core.errors import ConfigError, DeviceError, MalformedArtefact
from freehold.provenance.keys import NodeKey, node_key, read_public


def test_a_key_is_made_on_first_use_and_kept(tmp_path: Path) -> None:
    first = node_key(tmp_path / "keys")
    assert node_key(tmp_path / "keys").key_id == first.key_id
    assert read_public(tmp_path / "keys" / "node.pub").key_id == first.key_id


def test_only_the_owner_can_read_the_key(tmp_path: Path) -> None:
    node_key(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / "node.pem").stat().st_mode & 0o777 == 0o600
    assert {p.name for p in (tmp_path / "keys").iterdir()} == {"node.pem", "node.pub"}


@pytest.mark.parametrize(("name", "mode", "mend"), [("keys/node.pem", 0o640, "chmod 0600"), ("keys", 0o755, "chmod 0700")])
def test_a_key_others_can_reach_is_refused_with_the_mending_command(tmp_path: Path, name: str, mode: int, mend: str) -> None:
    node_key(tmp_path / "keys")
    (tmp_path / name).chmod(mode)
    with pytest.raises(ConfigError, match=f"{mend} '{tmp_path / name}'"):
        node_key(tmp_path / "keys")


def test_the_key_id_is_the_first_half_of_the_public_keys_digest(tmp_path: Path) -> None:
    key = node_key(tmp_path / "keys")
    pem = (tmp_path / "keys" / "node.pub").read_bytes()
    raw = load_pem_public_key(pem).public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert key.key_id == hashlib.sha256(raw).digest()[:16].hex()


def test_a_lost_public_key_is_written_again(tmp_path: Path) -> None:
    key = node_key(tmp_path / "keys")
    (tmp_path / "keys" / "node.pub").unlink()
    node_key(tmp_path / "keys")
    assert read_public(tmp_path / "keys" / "node.pub").key_id == key.key_id


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    node_key(tmp_path / "keys")
    (tmp_path / "keys" / "node.pem").write_bytes(content)
    with pytest.raises(MalformedArtefact, match=r"node\.pem"):
        node_key(tmp_path / "keys")


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    private = other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = other.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    node_key(tmp_path / "keys")
    (tmp_path / "keys" / "node.pem").write_bytes(private)
    (tmp_path / "other.pub").write_bytes(public)
    with pytest.raises(MalformedArtefact, match="Ed25519"):
        node_key(tmp_path / "keys")
    with pytest.raises(MalformedArtefact, match="Ed25519"):
        read_public(tmp_path / "other.pub")


def test_a_public_key_that_is_missing_or_garbage_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"absent\.pub"):
        read_public(tmp_path / "absent.pub")
    (tmp_path / "bad.pub").write_bytes(b"\x00" * 100)
    with pytest.raises(MalformedArtefact, match=r"bad\.pub"):
        read_public(tmp_path / "bad.pub")


def test_the_private_key_never_shows_in_a_repr() -> None:
    key = NodeKey.generate()
    assert "Private" not in repr(key)
    assert key.key_id in repr(key)


def _make(directory: Path, results: "multiprocessing.SimpleQueue[str]") -> None:
    results.put(node_key(directory).key_id)


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    results = context.SimpleQueue()
    processes = [context.Process(target=_make, args=(tmp_path / "keys", results)) for _ in range(4)]
    for process in processes:
        process.start()
    ids = {results.get() for _ in processes}
    for process in processes:
        process.join()
    assert len(ids) == 1
