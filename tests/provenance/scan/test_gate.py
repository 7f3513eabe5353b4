from pathlib import Path

import pytest

from freehold.core.errors import DangerousArtefact, MalformedArtefact, VerificationError
from freehold.core.models import VerifiedModel
from freehold.provenance.keys import node_key, trusted
from freehold.provenance.local import Bringing, add, added_names
from freehold.provenance.manifest import make_manifest
from freehold.provenance.progress import Silent
from freehold.provenance.scan.gate import refuse_unsafe, refuse_unsafe_model
from freehold.provenance.signer import sign_manifest
from freehold.provenance.verifier import verify_model
from tests.fakes.tiny_gguf import write_gguf

EVIL = write_gguf({"general.architecture": "llama", "tokenizer.chat_template": "{{ messages.__class__.__mro__ }}"}, {})
GOOD = write_gguf({"general.architecture": "llama", "tokenizer.chat_template": "{{ messages[0]['content'] + 'and more' }}"}, {})


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def bringing(directory: Path, name: str) -> Bringing:
    return Bringing(directory=directory, names=[name], name="mine", origin="a test")


def signed(directory: Path, name: str) -> VerifiedModel:
    """Signed for without a scan, as by a release that knew fewer rules."""
    key = node_key(directory / "keys")
    manifest = make_manifest(directory, [name], name="mine", origin="a test")
    return verify_model(directory, sign_manifest(manifest, key), trusted(key.public))


def test_a_malicious_file_is_not_added_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DangerousArtefact, match=r"imports 'os.system' \[pickle-code, CWE-502, CVE-.*freehold scan"):
        add(bringing(tmp_path, "m.bin"), tmp_path / "home", Silent())
    assert added_names(tmp_path / "home") == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.gguf", GOOD[:40], "cut-short, CWE-125"),
        ("m.bin", b"\x80\x02}", r"pickle: ends before its STOP \[unparsed"),
        ("m.7z", b"7z\xbc\xaf\x27\x1c" + bytes(20), "7z: not opened"),
        ("model.safetensors", b"noise" * 100, "of no known kind"),
    ],
)
def test_what_cannot_be_read_to_its_end_is_not_added_either(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MalformedArtefact, match=rf"{name} is refused.*{words}.*freehold scan '.*{name}'"):
        add(bringing(tmp_path, name), tmp_path / "home", Silent())
    assert added_names(tmp_path / "home") == []


def test_a_template_that_reaches_for_python_is_refused_before_a_load(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(EVIL)
    with pytest.raises(DangerousArtefact, match=r"__mro__.*template-code, CWE-1336, CVE-2024-34359, CVE-2026-5760"):
        refuse_unsafe_model(signed(tmp_path, "m.gguf"))


def test_a_scan_before_a_load_sees_the_signed_bytes_or_none(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(EVIL)
    model = signed(tmp_path, "m.gguf")
    assert len(GOOD) == len(EVIL)
    path.write_bytes(GOOD)  # what would be put there while the scan looks
    with pytest.raises(VerificationError, match=r"block 0 of m\.gguf"):
        refuse_unsafe_model(model)
    path.write_bytes(GOOD[:-1])
    with pytest.raises(VerificationError, match=r"has \d+ bytes"):
        refuse_unsafe_model(model)


def test_what_is_odd_is_told_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"\x80\x02cmylib\nBlock\n.")
    notes = Notes()
    refuse_unsafe(tmp_path, ["m.bin"], notes)
    (said,) = notes.said
    assert "m.bin is suspicious" in said
    assert "mylib.Block" in said
