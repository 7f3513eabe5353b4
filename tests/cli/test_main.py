"""What holds for every command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FREEHOLD = [sys.executable, "-m", "freehold"]


def run(home: Path, *words: str | bytes, stdout: int | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "FREEHOLD_HOME": str(home)}
    return subprocess.run([*FREEHOLD, *words], env=environment, stdout=stdout, stderr=subprocess.PIPE, timeout=60)


def test_output_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = run(tmp_path, "keys", "list", stdout=full.fileno())
    assert (done.returncode, done.stderr) == (1, b"Error: No space left on device\n")


def test_an_argument_that_is_no_text_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "keys", "show", b"\xff\xfe")
    assert done.returncode == 2
    assert b"no UTF-8" in done.stderr


@pytest.mark.parametrize("words", ["keys list", "guard check"])
def test_a_closed_standard_input_is_an_empty_one(tmp_path: Path, words: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m freehold {words} <&-', sys.executable],
        env={**os.environ, "FREEHOLD_HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
