import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.core.errors import InvalidKey
from freehold.store.keys import ClientKeys


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    return tmp_path


def freehold(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def test_a_created_key_works_and_its_secret_is_alone_on_standard_output(home: Path) -> None:
    result = freehold("create", "alice", "--team", "red", "--admin")
    assert result.exit_code == 0, result.output
    secret = result.stdout.strip()
    assert "key_" in result.stderr
    with closing(ClientKeys(home / "record.db")) as ring:
        principal = ring.authenticate(secret)
    assert (principal.name, principal.team, principal.is_admin) == ("alice", "red", True)


def test_the_list_shows_every_key_and_no_secret(home: Path) -> None:
    created = json.loads(freehold("create", "alice", "--json").stdout)
    freehold("create", "bob")
    text = freehold("list").stdout
    assert created["key_id"] in text
    assert "bob" in text
    assert created["secret"] not in text
    listed = json.loads(freehold("list", "--json").stdout)
    assert [key["name"] for key in listed] == ["alice", "bob"]
    assert set(listed[0]) == {"key_id", "shown", "name", "team", "is_admin", "created_at", "revoked_at"}


def test_a_revoked_key_is_refused_from_then_on(home: Path) -> None:
    created = json.loads(freehold("create", "alice", "--json").stdout)
    result = freehold("revoke", created["key_id"])
    assert result.exit_code == 0
    assert "is revoked since" in result.stdout
    with closing(ClientKeys(home / "record.db")) as ring, pytest.raises(InvalidKey):
        ring.authenticate(created["secret"])
    assert json.loads(freehold("revoke", created["key_id"], "--json").stdout)["revoked_at"] is not None


@pytest.mark.parametrize("arguments", [("revoke", "key_nobody"), ("create", "bad\nname"), ("create",)])
def test_what_cannot_be_done_is_told_with_exit_code_2(home: Path, arguments: tuple[str, ...]) -> None:
    result = freehold(*arguments)
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert result.stdout == ""


def test_a_record_that_cannot_be_opened_is_told_in_a_sentence(home: Path) -> None:
    (home / "record.db").write_bytes(b"something else" * 100)
    result = freehold("list")
    assert result.exit_code == 1
    assert "damaged or no record" in result.stderr


def test_a_list_in_a_pipe_is_cut_nowhere(home: Path) -> None:
    freehold("create", "n" * 150, "--team", "t" * 150)
    (line,) = freehold("list").stdout.splitlines()[1:]
    assert line.startswith("key_")
    assert "n" * 150 in line
    assert "t" * 150 in line
    assert "Z" in line.split()[-1]
