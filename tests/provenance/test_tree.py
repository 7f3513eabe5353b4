import os
from pathlib import Path

import pytest

from freehold.core.errors import DeviceError, MalformedArtefact
from freehold.provenance.tree import model_files, rules


def lay(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_files_come_sorted_by_the_bytes_of_their_names(tmp_path: Path) -> None:
    lay(tmp_path, "b", "a/z", "a-b", "Z", "ä")
    assert model_files(tmp_path, rules()) == ["Z", "a-b", "a/z", "b", "ä"]


def test_signatures_and_what_git_keeps_do_not_count(tmp_path: Path) -> None:
    lay(tmp_path, "m", "model.sig", "freehold.sig", ".git/config", ".gitattributes", ".github/x", ".gitignore", "sub/model.sig")
    assert model_files(tmp_path, rules()) == ["m", "sub/model.sig"]
    assert ".git/config" in model_files(tmp_path, rules(with_git=True))


def test_a_path_is_left_out_with_all_below_it_and_nothing_that_only_begins_like_it(tmp_path: Path) -> None:
    lay(tmp_path, "logs/a", "logs/b/c", "logs2", "m")
    assert model_files(tmp_path, rules(["logs/"])) == ["logs2", "m"]
    assert model_files(tmp_path, rules(["logs/b"])) == ["logs/a", "logs2", "m"]
    assert model_files(tmp_path, rules(["logs"]).keeping(["logs/b/c"])) == ["logs/b/c", "logs2", "m"]


@pytest.mark.parametrize("path", [".", "..", "/", "../x", ""])
def test_a_rule_that_leaves_the_folder_or_takes_all_of_it_is_refused(path: str) -> None:
    with pytest.raises(MalformedArtefact):
        rules([path])


def test_links_are_refused_or_followed_and_linked_folders_never(tmp_path: Path) -> None:
    lay(tmp_path, "m/real", "elsewhere/x")
    model = tmp_path / "m"
    (model / "link").symlink_to("real")
    with pytest.raises(MalformedArtefact, match="link is a link; say --follow-links"):
        model_files(model, rules())
    assert model_files(model, rules(follow_links=True)) == ["link", "real"]
    (model / "folder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MalformedArtefact, match="link to a folder"):
        model_files(model, rules(follow_links=True))
    (model / "folder").unlink()
    (model / "broken").symlink_to("absent")
    with pytest.raises(MalformedArtefact, match="broken"):
        model_files(model, rules(follow_links=True))
    assert model_files(model, rules(["broken"], follow_links=True)) == ["link", "real"]


def test_a_pipe_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MalformedArtefact, match="pipe is not a regular file"):
        model_files(tmp_path, rules())


def test_a_name_that_other_systems_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    lay(tmp_path, "a\\b")
    with pytest.raises(MalformedArtefact, match="plain relative path"):
        model_files(tmp_path, rules())


def test_a_folder_that_is_not_there_or_too_deep_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="absent"):
        model_files(tmp_path / "absent", rules())
    lay(tmp_path, "/".join(["d"] * 70))
    with pytest.raises(MalformedArtefact, match="folders deep"):
        model_files(tmp_path, rules())
