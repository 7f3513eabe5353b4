from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance import witness
from freehold.provenance.keys import NodeKey, trusted
from freehold.provenance.note import COSIGNATURE, Note, NoteKey, parse_vkey
from freehold.provenance.witness import Conflict

KEY, WITNESS = NodeKey.generate(), NodeKey.generate()
KEYS = trusted(KEY.public)
W1 = NoteKey(name="w.example/1", kind=COSIGNATURE, public=WITNESS.public)
SIGNED = checkpoints.sign("a.example/log", 7, bytes(range(32)), KEY, KEY.public)
TEXT = str(SIGNED.note)


def cosigned(at_s: int = 1_795_000_000) -> Note:
    return checkpoints.with_signatures(SIGNED.note, [checkpoints.cosign(SIGNED, W1.name, at_s, WITNESS, WITNESS.public)])


def test_a_signed_head_holds_for_its_log_alone() -> None:
    assert checkpoints.verify(TEXT, KEYS, origin="a.example/log") == SIGNED
    with pytest.raises(VerificationError, match=r"of the log a\.example/log, not of b"):
        checkpoints.verify(TEXT, KEYS, origin="b")
    with pytest.raises(VerificationError, match="no key that is trusted"):
        checkpoints.verify(TEXT, trusted(WITNESS.public))


@pytest.mark.parametrize(("was", "is_"), [("7\n", "8\n"), ("AAEC", "AAED"), ("a.example/log\n7", "b.example/log\n7")])
def test_a_head_that_was_changed_is_forged(was: str, is_: str) -> None:
    with pytest.raises(VerificationError):
        checkpoints.verify(TEXT.replace(was, is_, 1), KEYS)


def test_a_cosignature_holds_with_its_time_and_the_log_still_does() -> None:
    note = cosigned()
    checkpoints.verify(str(note), KEYS)
    (one,) = checkpoints.cosignatures(checkpoints.parse(str(note)).note, [W1])
    assert (one.witness, one.at_s) == ("w.example/1", 1_795_000_000)
    assert checkpoints.cosignatures(SIGNED.note, [W1]) == []


def test_a_cosignature_of_another_time_or_tree_does_not_hold() -> None:
    signature = cosigned().signatures[-1]
    later = replace(signature, signature=(1_795_000_001).to_bytes(8) + signature.signature[8:])
    other = checkpoints.sign("a.example/log", 8, bytes(32), KEY, KEY.public).note
    for note in (checkpoints.with_signatures(SIGNED.note, [later]), checkpoints.with_signatures(other, [signature])):
        with pytest.raises(VerificationError, match="cosignature by"):
            checkpoints.cosignatures(note, [W1])


def test_a_later_cosignature_takes_the_place_of_the_earlier() -> None:
    note = checkpoints.with_signatures(cosigned(1), cosigned(2).signatures[1:])
    assert [one.at_s for one in checkpoints.cosignatures(note, [W1])] == [2]
    assert len(note.signatures) == 2


@pytest.mark.parametrize("size", ["07", "-1", "+1", "1.0", "", "1e3", "٣", "9" * 30])
def test_a_size_that_is_no_decimal_number_is_malformed(size: str) -> None:
    with pytest.raises(MalformedArtefact):
        checkpoints.parse(TEXT.replace("\n7\n", f"\n{size}\n"))


@given(st.binary() | st.integers(0, len(TEXT)).flatmap(lambda at: st.characters().map(lambda c: TEXT[:at] + c + TEXT[at + 1 :])))
def test_whatever_is_given_raises_our_errors_alone(raw: bytes | str) -> None:
    try:
        checkpoints.verify(raw, KEYS)
    except (MalformedArtefact, VerificationError):
        return
    assert raw == TEXT


PROOF = [bytes([n]) * 32 for n in range(3)]


def test_a_submission_comes_back() -> None:
    made = witness.parse(witness.encode(5, PROOF, TEXT))
    assert (made.old_size, made.proof, made.checkpoint) == (5, tuple(PROOF), SIGNED)


@given(st.binary() | st.integers(0, 400).map(lambda at: witness.encode(5, PROOF, TEXT)[:at]), st.binary(max_size=9))
def test_whatever_is_submitted_is_a_submission_or_malformed(head: bytes, tail: bytes) -> None:
    try:
        witness.parse(head + tail)
    except MalformedArtefact:
        return


@pytest.mark.parametrize(
    "body",
    [
        witness.encode(8, [], TEXT),
        witness.encode(5, PROOF * 22, TEXT),
        witness.encode(5, [b"short"], TEXT),
        witness.encode(5, PROOF, TEXT).replace(b"old ", b"new "),
        witness.encode(5, PROOF, TEXT).replace(b"old 5", b"old 05"),
    ],
)
def test_what_the_protocol_does_not_allow_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedArtefact):
        witness.parse(body)


def test_a_submission_from_another_size_than_was_seen_is_a_conflict() -> None:
    submission = witness.parse(witness.encode(5, PROOF, TEXT))
    with pytest.raises(Conflict) as conflict:
        witness.check(submission, 6, bytes(32))
    assert conflict.value.size == 6
    with pytest.raises(VerificationError):
        witness.check(submission, 5, bytes(32))


# A tree head of a public Certificate Transparency log, and the cosignature of a public witness on it.
PUBLIC = (
    "coachandhorses2026h1.staging.certificate.transparency.goog\n185550722\nYXAM0VmnrfvLaBCOOYSJhCaE5F10oGBOo+hkbDa1kng=\n\n"
    "— coachandhorses2026h1.staging.certificate.transparency.goog "
    "MpXgsHy8ZwxXnO+WjtVrPxAzL49Rs1gWTkNVNeEa//5peAzaocRCB3qt3EaibjzY5GILLtGgBP7dBhgcSHy+JQh0OAc=\n"
    "— witness.navigli.sunlight.geomys.org o+AP4gAAAABqb7DzNrGFRJnQ9vrJ8xpnwZytnr/ZYczDIsvwvouiSjwOjn7a72cc"
    "xBk+lKnZ7dKqkYKER1s/KxLTaVwQD7lJZTC/CQ==\n"
)
PUBLIC_WITNESS = "witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G"


def test_the_cosignature_of_a_public_witness_holds() -> None:
    found = checkpoints.parse(PUBLIC)
    (one,) = checkpoints.cosignatures(found.note, [parse_vkey(PUBLIC_WITNESS)])
    assert (found.size, one.at_s) == (185_550_722, 0x6A6FB0F3)
    with pytest.raises(VerificationError, match="cosignature by witness"):
        checkpoints.cosignatures(checkpoints.parse(PUBLIC.replace("185550722", "185550723")).note, [parse_vkey(PUBLIC_WITNESS)])
