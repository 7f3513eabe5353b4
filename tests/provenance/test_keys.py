import hashlib
import multiprocessing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from freehold.core.errors import ConfigError, DeviceError, InvalidRequest, MalformedArtefact, UnsupportedArtefact
from freehold.provenance.keys import NodeKey, SigningKey, node_key, read_private, read_public

KEYS: dict[str, SigningKey] = {
    "ed25519": NodeKey.generate(),
    "ecdsa-p256": SigningKey.of(generate_private_key(SECP256R1())),
    "ecdsa-p384": SigningKey.of(generate_private_key(SECP384R1())),
    "ecdsa-p521": SigningKey.of(generate_private_key(SECP521R1())),
}


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


def test_the_nodes_key_is_ed25519_and_nothing_else(tmp_path: Path) -> None:
    node_key(tmp_path / "keys")
    (tmp_path / "keys" / "node.pem").write_bytes(SigningKey.of(generate_private_key(SECP256R1())).pem())
    with pytest.raises(MalformedArtefact, match="Ed25519"):
        node_key(tmp_path / "keys")


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_key_of_each_kind_survives_its_file_and_signs(tmp_path: Path, kind: str) -> None:
    key = KEYS[kind]
    (tmp_path / "k.pem").write_bytes(key.pem())
    (tmp_path / "k.pub").write_bytes(key.public.pem())
    private, public = read_private(tmp_path / "k.pem"), read_public(tmp_path / "k.pub")
    assert (private.key_id, public.key_id, public.kind) == (key.key_id, key.key_id, kind)
    signature = private.sign(b"message")
    assert public.holds(signature, b"message")
    assert not public.holds(signature, b"massage")
    assert not public.holds(b"", b"message")
    assert not any(other.public.holds(signature, b"message") for name, other in KEYS.items() if name != kind)


@pytest.mark.parametrize("other", [generate_rsa(65537, 2048), generate_private_key(SECP256K1())])
def test_a_key_that_signs_nothing_here_is_refused(tmp_path: Path, other: RSAPrivateKey | EllipticCurvePrivateKey) -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "k.pub").write_bytes(other.public_key().public_bytes(serialization.Encoding.PEM, form))
    with pytest.raises(UnsupportedArtefact, match="ed25519, ecdsa-p256"):
        read_public(tmp_path / "k.pub")
    with pytest.raises(UnsupportedArtefact, match="ed25519, ecdsa-p256"):
        SigningKey.of(other)


def test_a_private_key_with_a_password_opens_with_it_alone(tmp_path: Path) -> None:
    secret = serialization.BestAvailableEncryption(b"open")
    pem = generate_private_key(SECP256R1()).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    (tmp_path / "k.pem").write_bytes(pem)
    (tmp_path / "bare.pem").write_bytes(KEYS["ecdsa-p256"].pem())
    assert read_private(tmp_path / "k.pem", "open").public.kind == "ecdsa-p256"
    for name, password, says in [
        ("k.pem", None, "needs its password"),
        ("k.pem", "wrong", "does not open"),
        ("bare.pem", "open", "has no password"),
    ]:
        with pytest.raises(InvalidRequest, match=says):
            read_private(tmp_path / name, password)


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
