"""Two real nodes, one the witness of the other: what an operator sees, and what becomes of a log that was put back."""

import json
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from freehold.cli import main
from tests.cli.test_evidence import page
from tests.integration.nodes import Node, running

NO_ENGINE = "[engine]\nmodel = ''\n"
WAIT_S = 60.0


def fetch(node: Node, path: str) -> bytes:
    try:
        with urllib.request.urlopen(node.url + path, timeout=10) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as answer:
        return bytes(answer.read())


def witness_state(node: Node, want: str) -> str:
    """What /readyz says of the witness, once it says `want`."""
    deadline_s = time.monotonic() + WAIT_S
    detail = ""
    while time.monotonic() < deadline_s and want not in detail:
        time.sleep(0.1)
        states: dict[str, Any] = json.loads(fetch(node, "/readyz"))["log"]
        detail = next(state["detail"] for name, state in states.items() if name.startswith("witness "))
    return detail


def test_a_node_is_witnessed_and_a_record_that_was_put_back_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(home: Path, *words: str) -> Result:
        monkeypatch.setenv("FREEHOLD_HOME", str(home))
        return CliRunner().invoke(main, list(words))

    ours, other = tmp_path / "ours", tmp_path / "other"
    for home in (ours, other):
        home.mkdir(mode=0o700)
    known, vouching = (json.loads(run(home, "log", "keys", "--json").stdout) for home in (ours, other))
    (other / "freehold.toml").write_text(f"{NO_ENGINE}[log]\nwitness_for = ['{known['log_key']}']\n")
    with running(other) as witness:
        (ours / "freehold.toml").write_text(
            f"{NO_ENGINE}[log]\nserve = 'public'\ncheckpoint_s = 1.0\nwitness_s = 1.0\n"
            f"[[witnesses]]\nurl = '{witness.url}/witness'\nkey = '{vouching['witness_key']}'\n"
        )
        with running(ours) as node:
            assert "has cosigned" in witness_state(node, "has cosigned")
            assert vouching["origin"] in fetch(node, "/log/checkpoint").decode()
            made = run(ours, "evidence")
            assert made.exit_code == 0, made.output
            public = load_pem_public_key((ours / "keys" / "node.pub").read_bytes())
            assert "cosigned by 1" in page.verify(made.stdout.encode(), public, [vouching["witness_key"]])
        shutil.copy(ours / "record.db", tmp_path / "old.db")
        assert run(ours, "keys", "create", "later").exit_code == 0  # the log grows
        assert "has cosigned" in run(ours, "log", "witness").stdout
        shutil.copy(tmp_path / "old.db", ours / "record.db")
        for name in ("record.db-wal", "record.db-shm"):
            (ours / name).unlink(missing_ok=True)
        asked = run(ours, "log", "witness")
        assert asked.exit_code == 1
        assert "its end was cut off, or an older copy was put back" in asked.stderr
