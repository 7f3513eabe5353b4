import asyncio
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.provenance.files import write_durably
from freehold.provenance.keys import PRIVATE_NAME, PUBLIC_NAME, key_directory
from freehold.provenance.note import parse_vkey
from tests.store.logs import KEY, tamper, write_log
from tests.store.test_tree import add


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's home with a log of twelve rows, and its key."""
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))
    home = tmp_path / "home"
    home.mkdir()
    asyncio.run(write_log(home / "record.db"))
    keys = key_directory(home)
    keys.mkdir(parents=True, mode=0o700)
    write_durably(keys / PRIVATE_NAME, KEY.pem(), mode=0o600)
    write_durably(keys / PUBLIC_NAME, KEY.public.pem(), mode=0o644)
    return home


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["log", *words])


def kept(path: Path) -> str:
    """A checkpoint of now, in a file."""
    result = run("checkpoint", "-o", str(path))
    assert result.exit_code == 0, result.output
    return str(path)


def test_two_heads_of_a_log_that_grew_are_consistent(home: Path, tmp_path: Path) -> None:
    old = kept(tmp_path / "old")
    add(home / "record.db", 30)
    new = kept(tmp_path / "new")
    result = run("consistency", old, new)
    assert result.exit_code == 0
    assert "One log: 42 rows continue the 12 that were there, 30 came." in result.output
    assert run("publish", str(tmp_path / "tiles")).exit_code == 0
    document = json.loads(run("consistency", old, new, "--tiles", str(tmp_path / "tiles"), "--json").output)
    assert (document["old_size"], document["new_size"], document["consistent"]) == (12, 42, True)
    assert run("consistency", new, new).exit_code == 0


def test_what_is_no_head_is_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\xff")
    result = run("consistency", kept(tmp_path / "old"), str(tmp_path / "bad"))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {tmp_path / 'bad'}: ")


def test_an_old_head_given_as_new_and_a_forked_one_are_named(home: Path, tmp_path: Path) -> None:
    shutil.copy(home / "record.db", tmp_path / "fork.db")
    old = kept(tmp_path / "old")
    add(home / "record.db", 3)
    new = kept(tmp_path / "new")
    result = run("consistency", new, old)
    assert result.exit_code == 1
    assert f"{old} has 12 rows and {new} 15: rows were taken out, or the older file was named second" in result.stderr
    shutil.move(home / "record.db", tmp_path / "first.db")
    shutil.move(tmp_path / "fork.db", home / "record.db")
    for path in (home / "record.db-wal", home / "record.db-shm"):
        path.unlink(missing_ok=True)
    add(home / "record.db", 9, "fork")
    forked = kept(tmp_path / "forked")
    result = run("consistency", new, forked)
    assert result.exit_code == 1
    assert "does not continue that of 15: forked" in result.stderr
    document = json.loads(run("consistency", new, forked, "--json").output)
    assert document["consistent"] is False


def test_a_forged_head_is_named_and_what_is_none_cannot_be_used(home: Path, tmp_path: Path) -> None:
    old = kept(tmp_path / "old")
    (tmp_path / "forged").write_text(Path(old).read_text().replace("\n12\n", "\n13\n"))
    result = run("consistency", old, str(tmp_path / "forged"))
    assert result.exit_code == 1
    assert "forged: the signature by freehold/" in result.stderr
    (tmp_path / "junk").write_text("junk")
    assert run("consistency", old, str(tmp_path / "junk")).exit_code == 2


def test_a_folder_of_tiles_is_checked_without_the_record(home: Path, tmp_path: Path) -> None:
    add(home / "record.db", 600)
    tiles = tmp_path / "tiles"
    assert "612 rows: 7 files were written" in run("publish", str(tiles)).output
    result = run("verify", "--tiles", str(tiles))
    assert result.exit_code == 0
    assert "612 rows of freehold/" in result.output
    (tiles / "tile/entries/000").rename(tiles / "x")
    (tiles / "tile/entries/001").rename(tiles / "tile/entries/000")
    (tiles / "x").rename(tiles / "tile/entries/001")
    result = run("verify", "--tiles", str(tiles), "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["reason"] == "row 1: reordered: row 257 stands in its place"
    assert run("verify", "--tiles", str(tiles), "--from", "3").exit_code == 2
    (tiles / "tile/entries/000").unlink()
    assert "cannot read" in run("verify", "--tiles", str(tiles)).stderr
    assert run("verify", "--tiles", str(tmp_path / "nowhere")).exit_code == 2


def test_a_copy_of_a_record_shows_its_last_head_and_needs_no_key(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(home / "record.db", copy)
    assert "holds no signed tree head" in run("checkpoint", "--file", str(copy)).output
    note = run("checkpoint").output
    shutil.copy(home / "record.db", copy)
    shutil.rmtree(key_directory(home))
    assert run("checkpoint", "--file", str(copy)).output == note
    assert json.loads(run("proof", "3", "--file", str(copy)).output)["first"] == 3


def test_what_cannot_be_proved_says_why(home: Path) -> None:
    assert "the log has 12 signed rows; ask for rows from 1 to 12" in run("proof", "13").output
    assert "no row of the exchange xc_nowhere" in run("proof", "xc_nowhere").output
    assert run("proof", "0").exit_code == 2


def test_the_keys_of_a_log_are_shown_as_others_need_them(home: Path) -> None:
    shown = json.loads(run("keys", "--json").output)
    log_key, witness_key = parse_vkey(shown["log_key"]), parse_vkey(shown["witness_key"])
    assert (log_key.kind, witness_key.kind) == (1, 4)
    assert log_key.name == witness_key.name == shown["origin"]
    assert shown["log_key"] in run("keys").output


def test_asking_no_witness_says_how_to_name_one(home: Path) -> None:
    assert "name one in [[witnesses]]" in run("witness").output
    assert "go together" in run("witness", "--url", "http://127.0.0.1:9/w").output
    assert run("witness", "--url", "http://127.0.0.1:9/w", "--witness-key", "junk").exit_code == 2
    shown = json.loads(run("keys", "--json").output)
    failed = run("witness", "--url", "http://127.0.0.1:9/w", "--witness-key", shown["witness_key"])
    assert failed.exit_code == 1
    assert "cannot be asked: connection refused" in failed.output


def test_verify_tells_of_the_tree(home: Path) -> None:
    run("checkpoint")
    assert "over 12 rows, checkpoints: 1" in run("verify").output
    tamper(home / "record.db", "UPDATE checkpoint SET note = replace(note, 'freehold/', 'freeh0ld/')")
    result = run("verify")
    assert result.exit_code == 1
    assert "row 12 of the log: forged: the checkpoint of 12 rows does not hold" in result.stderr
