import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from freehold.core.errors import DeviceError, InvalidRequest, MalformedArtefact, NotFound, VerificationError
from freehold.core.models import Trust
from freehold.provenance.keys import key_directory, node_key
from freehold.provenance.local import Bringing, add, added_names, forget, name_for, open_added, refuse_unsigned
from freehold.provenance.model_folder import model_directory
from freehold.provenance.progress import Silent
from freehold.provenance.pull import open_model, pull
from freehold.provenance.verifier import verify_contents
from tests.fakes.tiny_directory import safetensors


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "mine"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(safetensors({"w": ("F32", np.ones((2, 3), np.float32))}))
    return directory


def bring(directory: Path, home: Path, *, name: str = "mine", replace: bool = False) -> None:
    names = sorted(path.name for path in directory.iterdir())
    add(Bringing(directory=directory, names=names, name=name, origin="a test"), home, Silent(), overwrite=replace)


def test_what_was_added_is_opened_by_its_name_where_it_lies(files: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bring(files, home)
    model = open_model(home, "mine")
    verify_contents(model)
    assert model.directory == files
    assert [file.name for file in model.manifest.files] == ["config.json", "model.safetensors"]
    assert added_names(home) == ["mine"]
    assert pull("mine", home) == files  # nothing to fetch
    assert sorted(path.name for path in model_directory(home, "mine").iterdir()) == ["location", "manifest.json"]


def test_other_bytes_under_the_same_name_need_a_word(files: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bring(files, home)
    bring(files, home)  # the same again is nothing new
    before = open_added(home, "mine").manifest.model_id
    (files / "config.json").write_text('{"a":1}')
    with pytest.raises(VerificationError, match="has 7 bytes"):
        open_added(home, "mine")
    with pytest.raises(VerificationError, match="--replace"):
        bring(files, home)
    bring(files, home, replace=True)
    assert open_added(home, "mine").manifest.model_id != before


def test_changed_bytes_of_the_same_size_are_found_when_they_are_read(files: Path, tmp_path: Path) -> None:
    bring(files, tmp_path / "home")
    raw = bytearray((files / "model.safetensors").read_bytes())
    raw[7] ^= 1
    (files / "model.safetensors").write_bytes(raw)
    with pytest.raises(VerificationError, match=r"block 0 of model\.safetensors"):
        verify_contents(open_added(tmp_path / "home", "mine"))


def test_links_into_a_download_cache_get_second_names(files: Path, tmp_path: Path) -> None:
    cache, home = tmp_path / "snapshot", tmp_path / "home"
    cache.mkdir()
    for path in files.iterdir():
        (cache / path.name).symlink_to(path)
    bring(cache, home)
    model = open_added(home, "mine")
    verify_contents(model)
    assert model.directory == model_directory(home, "mine")
    assert os.path.samefile(model.directory / "config.json", files / "config.json")
    assert forget(home, "mine")
    assert (files / "config.json").exists()


def test_links_to_another_disk_are_told(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "snapshot"
    cache.mkdir()
    (cache / "model.gguf").symlink_to(files / "model.safetensors")

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    node_key(key_directory(tmp_path / "home"))  # is made with a link, too
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(DeviceError, match="cp -rL"):
        bring(cache, tmp_path / "home")
    assert added_names(tmp_path / "home") == []
    assert not model_directory(tmp_path / "home", "mine").exists()


def test_a_forgotten_model_leaves_its_files(files: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bring(files, home)
    assert not forget(home, "mine")
    assert (files / "config.json").exists()
    with pytest.raises(NotFound, match="models list"):
        open_model(home, "mine")
    with pytest.raises(NotFound):
        forget(home, "mine")


def test_files_that_are_gone_are_told_and_can_be_forgotten(files: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bring(files, home)
    (files / "config.json").unlink()
    with pytest.raises(VerificationError, match=r"config\.json"):
        open_added(home, "mine")
    forget(home, "mine")
    assert added_names(home) == []


def test_a_manifest_under_another_models_name_is_refused(files: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bring(files, home)
    model_directory(home, "mine").rename(model_directory(home, "other"))
    with pytest.raises(VerificationError, match="is of 'mine'"):
        open_added(home, "other")


@pytest.mark.parametrize("name", ["", "../up", "Upper", "a/b", "-x", "smollm2-135m", "smollm2-135m-instruct", "x" * 101])
def test_names_are_plain_and_not_the_catalogues(name: str, files: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        bring(files, tmp_path / "home", name=name)
    assert not (tmp_path / "home" / "models").exists()


def test_a_file_that_cannot_be_in_a_model_is_refused(files: Path, tmp_path: Path) -> None:
    (files / "sub").mkdir()
    with pytest.raises(MalformedArtefact, match="not a regular file"):
        bring(files, tmp_path / "home")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf", "qwen2.5-coder-1.5b-instruct-q4_k_m"),
        ("big-00001-of-00007.gguf", "big"),
        ("My Model (v2)", "my-model-v2"),
        ("日本", "model"),
    ],
)
def test_names_come_from_files(path: str, name: str) -> None:
    assert name_for(Path(path)) == name


def test_a_model_that_nobody_signed_runs_or_not_as_the_setting_says(files: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bring(files, home)
    model = open_model(home, "mine")
    assert model.trust is Trust.FIRST_USE
    refuse_unsigned(model, "pin")
    with pytest.raises(VerificationError, match=r'mine is not run: nobody who is trusted here signed it.*unsigned = "pin"'):
        refuse_unsigned(model, "refuse")
    refuse_unsigned(replace(model, trust=Trust.RELEASE), "refuse")


def test_a_changed_file_is_refused_by_name_with_what_to_do(files: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bring(files, home)
    (files / "model.safetensors").write_bytes(b"shorter")
    with pytest.raises(VerificationError, match=r"model\.safetensors has 7 bytes.*signed for mine.*--name mine --replace"):
        open_model(home, "mine")


def test_a_model_that_is_pulled_is_not_forgotten_and_its_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"remove the folder .*smollm2-135m"):
        forget(tmp_path, "smollm2-135m")
