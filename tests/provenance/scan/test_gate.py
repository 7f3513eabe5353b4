from pathlib import Path

import pytest

from freehold.core.errors import DangerousArtefact
from freehold.provenance.local import Bringing, add, added_names
from freehold.provenance.progress import Silent
from freehold.provenance.scan.gate import refuse_malicious, refuse_malicious_model
from freehold.provenance.verifier import verify_contents
from tests.fakes.tiny_gguf import write_gguf

EVIL = "{{ messages.__class__.__mro__ }}"


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def bringing(directory: Path, name: str) -> Bringing:
    return Bringing(directory=directory, names=[name], name="mine", origin="a test")


def test_a_malicious_file_is_not_added_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DangerousArtefact, match=r"imports 'os.system' \[pickle-code\].*freehold scan"):
        add(bringing(tmp_path, "m.bin"), tmp_path / "home", Silent())
    assert added_names(tmp_path / "home") == []


def test_a_template_that_reaches_for_python_is_refused_before_a_load(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(write_gguf({"general.architecture": "llama"}, {}))
    model = add(bringing(tmp_path, "m.gguf"), tmp_path / "home", Silent())
    refuse_malicious_model(model)
    verify_contents(model)
    path.write_bytes(write_gguf({"general.architecture": "llama", "tokenizer.chat_template": EVIL}, {}))
    with pytest.raises(DangerousArtefact, match=r"__mro__.*template-code"):
        refuse_malicious_model(model)


def test_what_is_odd_is_told_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"\x80\x02cmylib\nBlock\n.")
    notes = Notes()
    refuse_malicious(tmp_path, ["m.bin"], notes)
    (said,) = notes.said
    assert "m.bin is suspicious" in said
    assert "mylib.Block" in said
