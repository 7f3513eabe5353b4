"""`freehold sign`, `verify` and `trust`, by the commands themselves."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization

from freehold.cli import main
from freehold.provenance.keys import NodeKey, SigningKey
from freehold.provenance.progress import Silent
from freehold.provenance.signing import sign_own
from freehold.provenance.tree import rules
from freehold.provenance.trust import TRUST_NAME
from tests.fakes.chains import chain, ec_key
from tests.provenance.oms_vectors import FOLDER, lay_model, signature


def freehold(*words: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "acme-7b"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights" * 100)
    (folder / "sub" / "config.json").write_text("{}")
    return folder


def written(folder: Path, key: SigningKey, name: str = "k") -> tuple[Path, Path]:
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.pem())
    public.write_bytes(key.public.pem())
    return private, public


def facts(result: Result) -> dict[str, object]:
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_a_model_is_signed_with_the_nodes_key_and_verifies(model: Path) -> None:
    signed = freehold("sign", model)
    assert (signed.exit_code, signed.stdout.splitlines()[-1]) == (0, str(model / "freehold.sig"))
    verified = freehold("verify", model)
    assert verified.exit_code == 0, verified.output
    assert "As it was signed: 2 files, 702 bytes read" in verified.stdout
    document = facts(freehold("verify", model, "--json"))
    assert document["holds"] is True
    assert (document["name"], document["files"], document["of_files"], document["unsigned"]) == ("acme-7b", 2, 2, [])
    assert facts(freehold("sign", model, "--json"))["model_id"] == document["model_id"]
    assert freehold("verify", model, "--quiet").output == ""


def test_what_is_wrong_is_named_and_is_exit_code_1(model: Path) -> None:
    freehold("sign", model, "--quiet")
    (model / "model.safetensors").write_bytes(b"Weights" * 100)
    (model / "extra.py").write_text("pass")
    result = freehold("verify", model)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "extra.py: is there and was not signed" in result.stderr
    document = facts(freehold("verify", model, "--json", "--allow-extra"))
    assert document["holds"] is False
    assert document["problems"] == [{"file": "model.safetensors", "what": "was changed from byte 0 on"}]
    part = freehold("verify", model, "--only", "sub/*")
    assert part.exit_code == 0
    assert "1 of 2 file" in part.stdout


def test_what_cannot_be_checked_is_exit_code_2(model: Path, tmp_path: Path) -> None:
    for words, says in [
        (("verify", tmp_path / "absent"), "there is no"),
        (("verify", model), "no freehold.sig and no model.sig"),
        (("sign", tmp_path / "absent"), "there is no"),
        (("verify", model, "--key", tmp_path / "absent"), "--signature"),
        (("verify", model, "--signature", tmp_path / "absent"), "add a key, or name one with --key"),
        (("sign", model, "--hash", "sha256"), "are for --format oms"),
        (("sign", model, "--format", "oms", "--licence", "MIT"), "--licence is for our manifest"),
        (("sign", model, "--format", "oms", "--hash", "blake3", "--shard-size", "1G"), "leave --shard-size out"),
        (("sign", model, "--format", "oms", "--shard-size", "0"), "a byte at least"),
        (("sign", model, "--name", "a\nb"), "is no name for a model"),
        (("sign", model, "--signature", tmp_path / "absent" / "x.sig"), "there is no folder"),
        (("sign", model, "--key", tmp_path / "absent"), "cannot read the private key"),
        (("sign", model, "--key", model / "model.safetensors"), "is not a PEM private key"),
        (("sign", model, "--cert", model / "model.safetensors"), "holds no PEM certificate"),
        (("verify", model, "--signature", model, "--key", model / "model.safetensors"), "is not a PEM public key"),
        (("verify", model, "--signature", model, "--ca", model / "model.safetensors"), "holds no PEM certificate"),
        (("sign", model, "--ignore", "../x"), "plain relative path"),
        (("sign", model, "--signature", model), "is a folder"),
        (("verify", model, "--identity", "a@b.c", "--signature", tmp_path / "x"), "needs --issuer"),
        (("verify", model, "--issuer", "x", "--signature", tmp_path / "x"), "go with --identity"),
    ]:
        result = freehold(*words)
        assert (result.exit_code, says in result.stderr) == (2, True), result.output


def test_the_examples_of_the_page_one_after_the_other(model: Path, tmp_path: Path) -> None:
    """Both signatures are in the folder then, and each is found by the key that made it."""
    private, public = written(tmp_path, SigningKey.of(ec_key()))
    examples: list[tuple[str | Path, ...]] = [
        ("sign", model),
        ("verify", model),
        ("sign", model, "--key", private, "--format", "oms"),
        ("verify", model, "--key", public),
        ("verify", model),
    ]
    for words in examples:
        assert freehold(*words).exit_code == 0, words
    assert facts(freehold("verify", model, "--key", public, "--json"))["format"] == "oms"
    assert facts(freehold("verify", model, "--json"))["format"] == "freehold"


def test_a_folder_without_a_file_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for options in ((), ("--format", "oms")):
        refused = freehold("sign", tmp_path / "empty", *options)
        assert (refused.exit_code, "has no file to sign" in refused.stderr) == (1, True)


def test_a_strangers_name_for_a_model_does_not_steer_the_terminal(model: Path, tmp_path: Path) -> None:
    key = SigningKey.of(ec_key())
    _, public = written(tmp_path, key)
    signed, _ = sign_own(model, key, Silent(), name="\x1b[2Jacme", origin="a test", rule=rules())
    (model / "freehold.sig").write_bytes(signed)
    assert freehold("trust", "add", public, "--name", "other-*").exit_code == 0
    refused = freehold("verify", model)
    assert (refused.exit_code, "\x1b" in refused.output) == (1, False), refused.output
    shown = freehold("verify", model, "--key", public)
    assert (shown.exit_code, "\x1b" in shown.output) == (0, False)


def test_a_key_of_ones_own_signs_and_is_trusted_by_its_file_or_the_store(model: Path, tmp_path: Path) -> None:
    private, public = written(tmp_path, SigningKey.of(ec_key()))
    assert freehold("sign", model, "--key", private).exit_code == 0
    assert freehold("verify", model, "--key", public).exit_code == 0
    assert freehold("verify", model).exit_code == 2  # no node's key, and so no trust store
    assert freehold("trust", "add", public, "--name", "other-*").exit_code == 0
    refused = freehold("verify", model)
    assert refused.exit_code == 1
    assert "is trusted for other-* and not for 'acme-7b'" in refused.stderr
    assert freehold("verify", model, "--name", "other-7b").exit_code == 0


def test_a_signature_of_somebody_else_is_not_written_over_by_chance(model: Path, tmp_path: Path) -> None:
    private, _ = written(tmp_path, SigningKey.of(ec_key()))
    assert freehold("sign", model).exit_code == 0
    assert freehold("sign", model).exit_code == 0
    refused = freehold("sign", model, "--key", private)
    assert (refused.exit_code, "not by this key: say --replace" in refused.stderr) == (2, True)
    assert freehold("verify", model).exit_code == 0
    assert freehold("sign", model, "--key", private, "--replace").exit_code == 0
    (model / "freehold.sig").write_text("garbage")
    assert freehold("sign", model).exit_code == 2


def test_a_locked_key_opens_with_its_password(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = ec_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"open")
    )
    (tmp_path / "k.pem").write_bytes(pem)
    refused = freehold("sign", model, "--key", tmp_path / "k.pem")
    assert (refused.exit_code, "needs its password; set FREEHOLD_KEY_PASSWORD" in refused.stderr) == (2, True)
    monkeypatch.setenv("FREEHOLD_KEY_PASSWORD", "open")
    assert freehold("sign", model, "--key", tmp_path / "k.pem").exit_code == 0


def test_openssf_signatures_by_key_and_by_certificate(model: Path, tmp_path: Path) -> None:
    signing, between, root = chain()
    private, public = written(tmp_path, SigningKey.of(signing.key))
    (tmp_path / "chain.crt").write_bytes(signing.pem() + between.pem())
    (tmp_path / "root.crt").write_bytes(root.pem())
    assert (
        freehold("sign", model, "--key", private, "--format", "oms", "--hash", "blake2b", "--shard-size", "100k").exit_code == 0
    )
    assert facts(freehold("verify", model, "--key", public, "--json"))["format"] == "oms"
    by_certificate = ("sign", model, "--key", private, "--cert", tmp_path / "chain.crt")
    assert freehold(*by_certificate).exit_code == 0
    assert freehold(*by_certificate).exit_code == 0
    assert freehold("verify", model, "--key", public).exit_code == 1
    result = facts(freehold("verify", model, "--ca", tmp_path / "root.crt", "--json"))
    assert (result["holds"], result["signed_by"]) == (True, "CN=test signer")
    freehold("trust", "add", tmp_path / "root.crt", "--name", "acme-*")
    assert freehold("verify", model).exit_code == 0
    assert freehold("verify", model, "--name", "other").exit_code == 1


def test_a_signature_of_the_reference_verifies(tmp_path: Path) -> None:
    model = lay_model(tmp_path)
    (model / "model.sig").write_bytes(signature("key.p256.shards.sha256"))
    assert freehold("verify", model, "--key", FOLDER / "p256.pub").exit_code == 0
    (model / "model.sig").write_bytes(signature("certificate.p256.files.sha256"))
    assert freehold("verify", model, "--ca", FOLDER / "p256.root.crt").exit_code == 0


def test_only_what_changed_is_read_again_where_that_is_asked_for(model: Path) -> None:
    freehold("sign", model, "--incremental")
    freehold("verify", model, "--trust-unchanged")
    document = facts(freehold("verify", model, "--trust-unchanged", "--json"))
    assert document["holds"] is True  # written a moment ago, the files are not taken from the cache yet
    assert document["not_read"] == []


def test_the_trust_store_tells_who_may_sign_what_and_every_change_is_in_the_log(tmp_path: Path) -> None:
    alice, bob = NodeKey.generate(), NodeKey.generate()
    _, first = written(tmp_path, alice, "alice")
    _, second = written(tmp_path, bob, "bob")
    assert freehold("trust", "add", first, "--name", "acme-*", "--until", "2099-01-31", "--note", "Alice").exit_code == 0
    assert freehold("trust", "rotate", alice.key_id[:6], second, "--until", "2098-01-31").exit_code == 0
    assert freehold("trust", "revoke", alice.key_id, "--because", "it leaked", "--on", "2026-11-01").exit_code == 0
    node, old, new = json.loads(freehold("trust", "list", "--json").stdout)
    assert (node["names"], node["state"]) == (["*"], "trusted")
    assert (old["id"], old["state"]) == (alice.key_id, "revoked on 2026-11-01: it leaked")
    assert (new["id"], new["names"], new["note"], new["state"]) == (bob.key_id, ["acme-*"], "Alice", "trusted")
    assert "revoked on 2026-11-01: it leaked" in freehold("trust", "list").stdout
    assert freehold("trust", "remove", bob.key_id[:8]).exit_code == 0
    rows = [json.loads(line) for line in freehold("log", "export", "--kind", "trust_changed").stdout.splitlines()]
    assert [row["facts"]["change"] for row in rows] == ["added", "rotated", "revoked", "removed"]
    assert freehold("log", "verify").exit_code == 0


def test_a_trust_store_that_was_changed_put_back_or_removed_is_told(home: Path, tmp_path: Path, model: Path) -> None:
    _, public = written(tmp_path, NodeKey.generate())
    freehold("trust", "add", public, "--name", "acme-*")
    freehold("sign", model)
    path = home / "keys" / TRUST_NAME
    before = path.read_bytes()
    key = json.loads(freehold("trust", "list", "--json").stdout)[1]["id"]
    freehold("trust", "revoke", key, "--because", "it leaked")
    flipped = before[:-9] + bytes([before[-9] ^ 1]) + before[-8:]
    for content, says in [(before, "an older one was put back"), (flipped, "not as this node wrote it")]:
        path.write_bytes(content)
        for words in (("trust", "list"), ("verify", model), ("trust", "remove", key)):
            result = freehold(*map(str, words))
            assert (result.exit_code, says in result.stderr) == (1, True), result.output
    path.unlink()
    assert "or it was removed" in freehold("verify", model).stderr


def test_a_change_that_cannot_be_logged_is_not_made(home: Path, tmp_path: Path) -> None:
    _, public = written(tmp_path, NodeKey.generate())
    (home / "record.db").write_bytes(b"no database")
    assert freehold("trust", "add", public, "--name", "*").exit_code == 1
    assert not (home / "keys" / TRUST_NAME).exists()


def test_what_is_no_key_day_or_entry_is_refused(tmp_path: Path) -> None:
    _, public = written(tmp_path, NodeKey.generate())
    for words, code in [
        (("add", public), 2),
        (("add", public, "--name", "*", "--until", "soon"), 2),
        (("add", public, "--name", "*", "--until", "2020-01-31"), 2),
        (("add", public, "--name", "*", "--until", "0001-01-01T00:00:00+14:00"), 2),
        (("add", tmp_path / "absent", "--name", "*"), 2),
        (("add", __file__, "--name", "*"), 2),
        (("remove", "ab"), 2),
        (("revoke", "ab", "--because", "x"), 2),
        (("rotate", "ab", public, "--until", "2099-01-01"), 2),
    ]:
        assert freehold("trust", *words).exit_code == code, words
