import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.provenance import note as notes
from freehold.provenance.keys import NodeKey
from freehold.provenance.note import COSIGNATURE, ED25519, NoteKey

# Notes by others: the example of Go's package `sumdb/note`, and a tree head of Go's checksum database.
NEUMANN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB = (
    "go.sum database tree\n63096908\n8lHrQPRYe4KT4WQ9/Qk8/taKnD6IRHbFgfN7vQE2Y54=\n\n"
    "— sum.golang.org Az3gri/oVBN1jAhNZ/iS+W31psFAWRT20/GyrhpU6taFwulQGetBkH5S7wpGXdS935jiIGiUUAXBVHzT/P6fYhqAmAk=\n"
)
KEY = NodeKey.generate()
SIGNER = NoteKey(name="a.example/log", kind=ED25519, public=KEY.public)


@pytest.mark.parametrize(("vkey", "note"), [(NEUMANN_KEY, NEUMANN), (SUMDB_KEY, SUMDB)])
def test_notes_of_others_hold(vkey: str, note: str) -> None:
    parsed, key = notes.parse(note), notes.parse_vkey(vkey)
    notes.verify(parsed, [key, SIGNER])
    assert (str(parsed), str(key)) == (note, vkey)
    with pytest.raises(VerificationError, match="does not hold"):
        notes.verify(notes.parse(note.replace("o", "0", 1)), [key])
    with pytest.raises(VerificationError, match="by no key that is trusted"):
        notes.verify(parsed, [SIGNER])


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_what_is_signed_holds_and_comes_back(line: str) -> None:
    made = notes.sign(f"{line}\nx\n", SIGNER.name, KEY, KEY.public)
    read = notes.parse(bytes(made))
    assert read == made
    notes.verify(read, [SIGNER])


def test_a_signature_of_another_key_of_the_same_name_is_passed_over() -> None:
    other = NodeKey.generate()
    both = (
        notes.sign("x\n", SIGNER.name, other, other.public).signatures
        + notes.sign("x\n", SIGNER.name, KEY, KEY.public).signatures
    )
    notes.verify(notes.Note(text="x\n", signatures=both), [SIGNER])


def test_a_wrong_signature_by_a_trusted_key_spoils_the_note() -> None:
    good, other = notes.sign("x\n", SIGNER.name, KEY, KEY.public), notes.sign("y\n", "b.example/log", KEY, KEY.public)
    second = NoteKey(name="b.example/log", kind=ED25519, public=KEY.public)
    with pytest.raises(VerificationError, match=r"b\.example/log"):
        notes.verify(notes.Note(text="x\n", signatures=good.signatures + other.signatures), [SIGNER, second])


@given(
    st.binary() | st.text() | st.sampled_from([NEUMANN, SUMDB]).flatmap(lambda n: st.integers(0, len(n)).map(lambda at: n[:at]))
)
def test_whatever_is_given_is_a_note_or_malformed(raw: bytes | str) -> None:
    try:
        assert str(notes.parse(raw)).encode() == (raw if isinstance(raw, bytes) else raw.encode())
    except MalformedArtefact:
        return


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "x\n",
        "x\n\n",
        "x\n\n— a",
        "x\n\n— a AAAAAAA=\r\n",
        "x\t\n\n— a AAAAAAA=\n",
        "x\n\n- a AAAAAAA=\n",
        "x\n\n— a+b AAAAAAA=\n",
        "x\n\n— a AAAA\n",
        "x\n\n— a AAAAAAB=\n",
        "x\n\n" + "— a AAAAAAA=\n" * 65,
        "x" * (64 << 10) + "\n\n— a AAAAAAA=\n",
    ],
)
def test_what_is_no_note_is_refused(raw: str) -> None:
    with pytest.raises(MalformedArtefact):
        notes.parse(raw)


@pytest.mark.parametrize(
    "vkey",
    ["", "a", "a+b", "a+00000000+", NEUMANN_KEY.replace("c7", "c8"), "a b" + NEUMANN_KEY, NEUMANN_KEY[:-1], SUMDB_KEY + "AAAA"],
)
def test_what_is_no_key_is_refused(vkey: str) -> None:
    with pytest.raises(MalformedArtefact):
        notes.parse_vkey(vkey)


def test_keys_come_back_in_both_types() -> None:
    for kind in (ED25519, COSIGNATURE):
        key = NoteKey(name="a.example/x", kind=kind, public=KEY.public)
        assert notes.parse_vkey(str(key)) == key


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "ä", "a" * 201])
def test_a_name_that_would_break_a_note_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="without space"):
        notes.check_name(name)
