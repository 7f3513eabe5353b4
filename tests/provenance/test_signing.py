import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.errors import (
    ArtefactError,
    InvalidRequest,
    MalformedArtefact,
    NotFound,
    UnsupportedArtefact,
    VerificationError,
)
from freehold.core.models import BLOCK_BYTES
from freehold.provenance import pieces
from freehold.provenance.contents import NotAsSigned, Problem
from freehold.provenance.digest_cache import SETTLED_NS, DigestCache
from freehold.provenance.keys import NodeKey, SigningKey, trusted
from freehold.provenance.manifest import make_manifest
from freehold.provenance.oms import HASHES
from freehold.provenance.oms_bundle import Identity
from freehold.provenance.pieces import Recipe
from freehold.provenance.progress import Silent
from freehold.provenance.signer import sign_manifest
from freehold.provenance.signing import (
    Terms,
    Verified,
    chosen,
    prove,
    sign_oms,
    sign_own,
    signature_path,
    signatures_of,
    verify,
    vouched_by,
)
from freehold.provenance.tree import rules
from freehold.provenance.trust import Accepted, TrustStore, make_entry
from tests.fakes.chains import ec_key
from tests.provenance.oms_vectors import CASES, FOLDER, accepted, lay_model, signature

KEY = NodeKey.generate()
TERMS = Terms(trust=TrustStore(node=KEY.public))
EC = SigningKey.of(ec_key())

Signs = Callable[[Path], bytes]


def own(target: Path) -> bytes:
    return sign_own(target, KEY, Silent(), name=target.name, origin="a test", rule=rules())[0]


def oms(algorithm: str, piece_bytes: int | None = None) -> Signs:
    def sign(target: Path) -> bytes:
        recipe = Recipe(algorithm=algorithm, piece_bytes=piece_bytes)
        return sign_oms(target, KEY, Silent(), name=target.name, rule=rules(), recipe=recipe)[0]

    return sign


SIGNS: dict[str, Signs] = {
    "own": own,
    **{f"files {name}": oms(name) for name in HASHES},
    "shards sha256": oms("sha256", 5),
    "shards blake2b": oms("blake2b", 1_000_000),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "acme-7b"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.safetensors").write_bytes(b"weights of a" * 9)
    (folder / "sub" / "b.safetensors").write_bytes(b"weights of b" * 7)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


def check(target: Path, signed: bytes, only: tuple[str, ...] = (), *, allow_extra: bool = False) -> Verified:
    return verify(target, signed, TERMS, Silent(), rule=rules(), only=only, allow_extra=allow_extra)


def problems(target: Path, signed: bytes) -> dict[str, str]:
    with pytest.raises(NotAsSigned) as raised:
        check(target, signed)
    assert all(problem.file in raised.value.message for problem in raised.value.problems)
    return {problem.file: problem.what for problem in raised.value.problems}


@pytest.mark.parametrize("how", SIGNS)
def test_what_was_signed_verifies_as_a_folder_and_as_one_file(model: Path, how: str) -> None:
    found = check(model, SIGNS[how](model))
    assert (found.checked.of_files, found.checked.unsigned, found.proven.signer.trusted_by) == (3, (), KEY.key_id)
    assert found.checked.read_bytes == 12 * 16 + 14
    one = model / "a.safetensors"
    assert check(one, SIGNS[how](one)).checked.of_files == 1


@pytest.mark.parametrize("how", SIGNS)
def test_every_tampering_is_caught_and_named(model: Path, how: str) -> None:
    signed = SIGNS[how](model)
    a, b, template = model / "a.safetensors", model / "sub" / "b.safetensors", model / "chat_template.jinja"
    whole = a.read_bytes()

    a.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert problems(model, signed)["a.safetensors"].startswith("was changed")
    a.write_bytes(whole[:-1])
    assert "a.safetensors" in problems(model, signed)
    a.write_bytes(whole + b"!")
    assert "a.safetensors" in problems(model, signed)
    a.unlink()
    assert problems(model, signed) == {"a.safetensors": "was signed and is not there"}
    a.write_bytes(b.read_bytes())
    b.write_bytes(whole)
    assert problems(model, signed) == {
        "a.safetensors": "has what was signed as sub/b.safetensors",
        "sub/b.safetensors": "has what was signed as a.safetensors",
    }
    b.write_bytes(a.read_bytes())
    a.write_bytes(whole)
    template.write_text("{{ messages }}{{ more }}")
    assert list(problems(model, signed)) == ["chat_template.jinja"]
    template.write_text("{{ messages }}")
    (model / "extra.py").write_text("pass")
    assert problems(model, signed) == {"extra.py": "is there and was not signed"}
    assert check(model, signed, allow_extra=True).checked.unsigned == ("extra.py",)
    (model / "extra.py").unlink()
    assert check(model, signed).checked.files


@pytest.mark.parametrize("how", SIGNS)
def test_a_renamed_file_is_told_under_both_names(model: Path, how: str) -> None:
    signed = SIGNS[how](model)
    (model / "a.safetensors").rename(model / "c.safetensors")
    told = problems(model, signed)
    assert told["a.safetensors"] == "was signed and is not there"
    if how.startswith(("own", "shards")):  # a file hashed as a whole is not read for its name
        assert told["c.safetensors"] == "has what was signed as a.safetensors"


def test_a_file_that_was_cut_short_is_told_in_bytes_and_a_changed_block_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"x" * (BLOCK_BYTES + 10))
    signed = own(path)
    with path.open("r+b") as file:
        file.seek(BLOCK_BYTES + 3)
        file.write(b"!")
    assert problems(path, signed) == {"m.gguf": f"was changed from byte {BLOCK_BYTES} on"}
    path.write_bytes(b"y" + b"x" * (BLOCK_BYTES + 9))
    assert "from byte 0 on (a GGUF file's header, with its chat template, is there)" in problems(path, signed)["m.gguf"]
    os.truncate(path, BLOCK_BYTES)
    was = f"has {BLOCK_BYTES} bytes, {BLOCK_BYTES + 10} were signed: it was cut short"
    assert problems(path, signed) == {"m.gguf": was}


def test_a_file_replaced_while_it_is_verified_is_caught(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed, read = own(model), os.preadv

    def reading(handle: int, buffers: list[memoryview], offset: int) -> int:
        count = read(handle, buffers, offset)
        new = model / f"new.{threading.get_ident()}"  # by each of the threads that read
        new.write_bytes(b"weights of a" * 9)
        new.replace(model / "a.safetensors")
        return count

    monkeypatch.setattr(os, "preadv", reading)
    with pytest.raises(VerificationError, match=r"a\.safetensors was replaced while it was read"):
        check(model, signed)


def test_some_files_of_a_model_are_checked_without_the_others(model: Path) -> None:
    signed = own(model)
    (model / "chat_template.jinja").write_text("changed")
    found = check(model, signed, only=("*.safetensors",))
    assert (found.checked.files, found.checked.of_files) == (("a.safetensors", "sub/b.safetensors"), 3)
    assert check(model, signed, only=("sub/*",)).checked.files == ("sub/b.safetensors",)
    with pytest.raises(InvalidRequest, match=r"none of the 3 signed files is called \*\.bin"):
        check(model, signed, only=("*.bin",))
    (model / "evil.safetensors").write_bytes(b"x")
    with pytest.raises(NotAsSigned, match=r"evil\.safetensors"):
        check(model, signed, only=("*.safetensors",))


def test_what_the_signer_left_out_is_not_looked_for(model: Path) -> None:
    (model / "logs").mkdir()
    (model / "logs" / "today").write_text("x")
    rule = rules(["logs"])
    signed, _ = sign_oms(model, KEY, Silent(), name="m", rule=rule, recipe=Recipe(algorithm="sha256"))
    assert check(model, signed).checked.of_files == 3  # the format keeps the rule, and its signature is over it
    ours, _ = sign_own(model, KEY, Silent(), name="m", origin="", rule=rule)
    assert problems(model, ours) == {"logs/today": "is there and was not signed"}
    assert verify(model, ours, TERMS, Silent(), rule=rule).checked.of_files == 3


def test_what_was_signed_counts_whatever_the_rules_leave_out(model: Path) -> None:
    (model / ".gitattributes").write_text("x")
    signed, _ = sign_own(model, KEY, Silent(), name="m", origin="", rule=rules(with_git=True))
    assert check(model, signed).checked.of_files == 4
    (model / ".gitattributes").write_text("y")
    assert list(problems(model, signed)) == [".gitattributes"]


def test_links_are_followed_where_both_or_the_signer_say_so(model: Path) -> None:
    (model / "link").symlink_to("a.safetensors")
    with pytest.raises(MalformedArtefact, match="--follow-links"):
        own(model)
    rule = rules(follow_links=True)
    ours, _ = sign_own(model, KEY, Silent(), name="m", origin="", rule=rule)
    with pytest.raises(MalformedArtefact, match="--follow-links"):
        check(model, ours)
    assert verify(model, ours, TERMS, Silent(), rule=rule).checked.of_files == 4
    theirs, _ = sign_oms(model, KEY, Silent(), name="m", rule=rule, recipe=Recipe(algorithm="sha256"))
    assert check(model, theirs).checked.of_files == 4


def test_an_empty_file_cannot_be_signed_by_shards_and_is_by_all_else(model: Path) -> None:
    (model / "empty").touch()
    assert check(model, own(model)).checked.of_files == 4
    assert check(model, oms("sha256")(model)).checked.of_files == 4
    sharded = oms("sha256", 5)(model)
    assert check(model, sharded).checked.of_files == 3
    (model / "empty").write_text("full")
    assert problems(model, sharded) == {"empty": "is there and was not signed"}
    (model.parent / "none").touch()
    with pytest.raises(MalformedArtefact, match="has no file to sign, or empty ones alone"):
        oms("sha256", 5)(model.parent / "none")


@pytest.mark.parametrize("case", CASES)
def test_signatures_of_the_reference_verify_here_and_a_changed_model_does_not(tmp_path: Path, case: str) -> None:
    model, terms = lay_model(tmp_path), Terms(trust=accepted(case))
    found = verify(model, signature(case), terms, Silent(), rule=rules())
    assert (found.checked.of_files, found.proven.contents.name) == (3, "model")
    with (model / "a" / "b.bin").open("r+b") as file:
        file.seek(700_000)
        file.write(b"!")
    with pytest.raises(NotAsSigned) as raised:
        verify(model, signature(case), terms, Silent(), rule=rules())
    where = "was changed from byte 600000 on" if "shards" in case else "was changed"
    assert raised.value.problems == (Problem(file="a/b.bin", what=where),)


def test_the_reference_calls_a_model_of_one_file_by_a_dot(tmp_path: Path) -> None:
    path = lay_model(tmp_path) / "a" / "b.bin"
    signed = (FOLDER / "one_file.sig").read_bytes()
    terms = Terms(trust=accepted("key.p256"))
    assert verify(path, signed, terms, Silent(), rule=rules()).checked.files == (".",)
    with pytest.raises(NotAsSigned):
        verify(path.parent, signed, terms, Silent(), rule=rules())


def test_the_signature_is_found_in_the_folder_or_beside_the_file_ours_first(model: Path) -> None:
    with pytest.raises(NotFound, match=r"no freehold\.sig and no model\.sig"):
        signatures_of(model)
    assert signature_path(model / "a.safetensors", "oms").name == "a.safetensors.sig"
    (model / "model.sig").touch()
    assert signatures_of(model) == (model / "model.sig",)
    (model / "freehold.sig").touch()
    assert signatures_of(model) == (model / "freehold.sig", model / "model.sig")


def test_of_two_signatures_a_strangers_is_passed_over_and_a_broken_one_is_not(model: Path) -> None:
    ours, theirs = model / "freehold.sig", model / "model.sig"
    theirs.write_bytes(SIGNS["files sha256"](model))
    ours.write_bytes(SIGNS["own"](model))
    accepted = Terms(trust=Accepted(keys=trusted(KEY.public), authorities={}))
    assert chosen(signatures_of(model), accepted) == ours
    stranger = NodeKey.generate()
    signed, _ = sign_own(model, stranger, Silent(), name="model", origin="a test", rule=rules())
    ours.write_bytes(signed)
    assert chosen(signatures_of(model), accepted) == theirs
    ours.write_bytes(b"{")
    assert chosen(signatures_of(model), accepted) == ours
    by_identity = Terms(trust=Identity(name="a@b.c", issuer="https://b.c"))
    assert chosen(signatures_of(model), by_identity) == theirs
    with pytest.raises(VerificationError, match="keys make and identities never"):
        prove(signed, by_identity)


def test_only_who_is_trusted_for_the_name_may_sign_it(model: Path) -> None:
    stranger = TrustStore(node=NodeKey.generate().public)
    entry = make_entry(KEY.public.pem(), ["acme-*"])
    for how in ("own", "files sha256"):
        signed = SIGNS[how](model)
        with pytest.raises(VerificationError, match="trusted here"):
            prove(signed, Terms(trust=stranger))
        trusting = stranger.added(entry)
        assert prove(signed, Terms(trust=trusting)).signer.trusted_by == KEY.key_id
        with pytest.raises(VerificationError, match=r"acme-\* and not for 'other-7b'"):
            prove(signed, Terms(trust=trusting, name="other-7b"))
        revoked = trusting.revoked(entry, entry.added_at, "it leaked")
        with pytest.raises(VerificationError, match=r"was revoked on .* \(it leaked\)"):
            prove(signed, Terms(trust=revoked))
        with pytest.raises(VerificationError, match=r"trusted here|does not hold"):
            prove(signed, Terms(trust=Accepted(keys=trusted(EC.public), authorities={})))


def test_a_signature_of_another_kind_is_refused(model: Path) -> None:
    for raw, error in [
        (b"{}", UnsupportedArtefact),
        (b'{"payloadType": "x"}', UnsupportedArtefact),
        (b"[]", MalformedArtefact),
        (b"", MalformedArtefact),
        (b'{"mediaType": 1}', MalformedArtefact),
        (b'{"mediaType": "x"}', MalformedArtefact),
        (b'{"payloadType": "application/vnd.freehold.manifest.v1+json", "payload": "e30="}', MalformedArtefact),
    ]:
        with pytest.raises(error):
            prove(raw, TERMS)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_of_a_signature_passes_for_other_content(model: Path, data: st.DataObject) -> None:
    how = data.draw(st.sampled_from(["own", "files sha256", "shards sha256"]))
    signed = SIGNS[how](model)
    bit = data.draw(st.integers(0, 8 * len(signed) - 1))
    raw = bytearray(signed)
    raw[bit // 8] ^= 1 << bit % 8
    before = prove(signed, TERMS).contents
    try:
        assert prove(bytes(raw), TERMS).contents == before  # a field of the bundle that says nothing
    except ArtefactError:
        return
    assert how != "own"


def test_a_digest_that_was_kept_is_taken_where_nothing_changed(tmp_path: Path, model: Path) -> None:
    cache, path = DigestCache(tmp_path / "cache" / "c"), model / "a.safetensors"
    recipe = Recipe(algorithm="sha256")
    (one,) = pieces.hash_files([("a", path)], recipe)
    cache.put(one, recipe)
    assert cache.get("a", path, recipe) is None  # written a moment ago: a second write could look like the first
    time_ns = time.time_ns
    try:
        time.time_ns = lambda: time_ns() + SETTLED_NS
        cache.put(one, recipe)
    finally:
        time.time_ns = time_ns
    cache.save()
    kept = DigestCache(tmp_path / "cache" / "c")
    assert kept.get("a", path, recipe) == one
    assert kept.get("a", path, Recipe(algorithm="blake3")) is None
    found = verify(path, oms("sha256")(path), TERMS, Silent(), rule=rules(), cache=kept)
    assert found.checked.trusted == ()
    status = path.stat()
    path.write_bytes(b"weights of A" * 9)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert kept.get("a", path, recipe) is None  # its time of last change cannot be set back
    (tmp_path / "cache" / "c").write_bytes(b"garbage")
    assert DigestCache(tmp_path / "cache" / "c").get("a", path, recipe) is None


def test_a_model_in_use_is_vouched_for_by_digests_alone(model: Path) -> None:
    names = ["a.safetensors", "sub/b.safetensors"]
    manifest = make_manifest(model, names, name="acme-7b", origin="added")
    store = TrustStore(node=NodeKey.generate().public).added(make_entry(KEY.public.pem(), ["acme-*"]))
    assert vouched_by(manifest, own(model), store) == f"ed25519 {KEY.key_id}"
    assert vouched_by(manifest, oms("sha256")(model), store) == f"ed25519 {KEY.key_id}"
    assert vouched_by(manifest, oms("blake3")(model), store) is None
    signed = {how: SIGNS[how](model) for how in ("own", "files sha256")}
    (model / "a.safetensors").write_bytes(b"other")
    for raw in signed.values():
        with pytest.raises(VerificationError, match=r"a\.safetensors of acme-7b is not what ed25519"):
            vouched_by(make_manifest(model, names, name="acme-7b", origin="added"), raw, store)
    (model / "new").write_bytes(b"x")
    with pytest.raises(VerificationError, match="new of acme-7b is not among"):
        vouched_by(make_manifest(model, ["new"], name="acme-7b", origin="added"), signed["own"], store)
    with pytest.raises(VerificationError, match="may not sign it"):
        vouched_by(make_manifest(model, names, name="other", origin="added"), signed["own"], store)


def test_a_manifest_with_and_one_without_sha256_are_of_the_same_model(model: Path) -> None:
    names = ["a.safetensors", "chat_template.jinja", "sub/b.safetensors"]
    signed, fast = sign_own(model, KEY, Silent(), name="m", origin="o", rule=rules())
    slow = make_manifest(model, names, name="m", origin="o")
    assert fast.model_id == slow.model_id
    assert json.loads(signed).keys() == json.loads(sign_manifest(slow, KEY)).keys()
    assert {file.sha256 for file in fast.files} == {None}
