import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.core.errors import DeviceError, VerificationError
from freehold.provenance.keys import NodeKey
from freehold.provenance.oms import encode
from freehold.provenance.oms_bundle import Identity, parse_bundle, seal_bundle
from freehold.provenance.pieces import Recipe
from freehold.provenance.progress import Silent
from freehold.provenance.signing import Terms, prove, sign_oms
from freehold.provenance.tree import rules
from freehold.provenance.trust import Accepted, TrustStore
from tests.fakes.sigstore_instance import Instance

pytest.importorskip("sigstore", reason="the extra `sigstore` is not installed")

WHO, ISSUER = "release@acme.example", "https://issuer.example"
INSTANCE = Instance()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "acme-7b"
    folder.mkdir()
    (folder / "m.gguf").write_bytes(b"weights")
    return folder


@pytest.fixture
def signed(model: Path) -> dict[str, Any]:
    _, contents = sign_oms(model, NodeKey.generate(), Silent(), name="acme-7b", rule=rules(), recipe=Recipe(algorithm="sha256"))
    bundle = INSTANCE.sign(encode(contents), WHO, ISSUER)
    (model / "model.sig").write_text(json.dumps(bundle))
    (model.parent / "root.json").write_bytes(INSTANCE.trusted_root())
    return bundle


def verify(model: Path, *options: str, who: str = WHO, issuer: str = ISSUER) -> Result:
    root = str(model.parent / "root.json")
    words = ["verify", str(model), "--identity", who, "--issuer", issuer, "--trusted-root", root, *options]
    return CliRunner().invoke(main, words)


@pytest.mark.usefixtures("signed")
def test_a_keyless_signature_holds_for_its_identity_alone(model: Path) -> None:
    result = verify(model, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["signed_by"] == f"{WHO} ({ISSUER})"
    for who, issuer in ((f"x{WHO}", ISSUER), (WHO, "https://other.example")):
        refused = verify(model, who=who, issuer=issuer)
        assert (refused.exit_code, "does not hold for" in refused.stderr) == (1, True)
    (model / "m.gguf").write_bytes(b"Weights")
    assert "m.gguf: was changed" in verify(model).stderr


def test_without_an_identity_no_keyless_signature_passes(model: Path, signed: dict[str, Any]) -> None:
    raw = json.dumps(signed).encode()
    assert parse_bundle(raw).is_keyless
    for trust in (TrustStore(node=NodeKey.generate().public), Accepted(keys={}, authorities={})):
        with pytest.raises(VerificationError, match="--identity and --issuer"):
            prove(raw, Terms(trust=trust))


def _set(*path: str | int, to: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


ENTRY = ("verificationMaterial", "tlogEntries", 0)


@pytest.mark.parametrize(
    "change",
    [
        _set("dsseEnvelope", "payload", to="e30="),
        _set("dsseEnvelope", "signatures", 0, "sig", to="AAAA"),
        _set(*ENTRY, "integratedTime", to="1"),
        _set(*ENTRY, "logIndex", to="1"),
        _set(*ENTRY, "canonicalizedBody", to="e30="),
        _set(*ENTRY, "inclusionPromise", "signedEntryTimestamp", to="AAAA"),
        _set(*ENTRY, "inclusionProof", "rootHash", to="A" * 43 + "="),
        _set(*ENTRY, "inclusionProof", to=None),
        _set("verificationMaterial", "tlogEntries", to=[]),
        _set("verificationMaterial", "tlogEntries", to=[{}]),
        _set("verificationMaterial", "tlogEntries", to=["x"]),
    ],
)
def test_what_was_changed_does_not_pass(model: Path, signed: dict[str, Any], change: Callable[[Any], None]) -> None:
    change(signed)
    (model / "model.sig").write_text(json.dumps(signed))
    assert verify(model).exit_code == 1
    assert "holds" in verify(model, "--json").stdout


def test_a_signature_of_another_instance_or_with_a_key_does_not_pass_for_an_identity(model: Path, signed: dict[str, Any]) -> None:
    payload = parse_bundle(json.dumps(signed).encode()).payload
    others = (json.dumps(Instance().sign(payload, WHO, ISSUER)).encode(), seal_bundle(payload, NodeKey.generate()))
    identity = Identity(name=WHO, issuer=ISSUER, trusted_root=model.parent / "root.json")
    for raw in others:
        with pytest.raises(VerificationError):
            prove(raw, Terms(trust=identity))


def test_roots_that_cannot_be_used_are_told(model: Path, signed: dict[str, Any]) -> None:
    for root in (model.parent / "absent", model / "m.gguf"):
        identity = Identity(name=WHO, issuer=ISSUER, trusted_root=root)
        with pytest.raises(DeviceError, match="cannot be used as Sigstore's trusted root"):
            prove(json.dumps(signed).encode(), Terms(trust=identity))
