"""What holds for every command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from freehold.cli import main
from freehold.store.database import open_writer

FREEHOLD = [sys.executable, "-m", "freehold"]


def run(home: Path, *words: str | bytes, stdout: int | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "FREEHOLD_HOME": str(home)}
    return subprocess.run([*FREEHOLD, *words], env=environment, stdout=stdout, stderr=subprocess.PIPE, timeout=60)


def test_output_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = run(tmp_path, "models", "list", stdout=full.fileno())
    assert (done.returncode, done.stderr) == (1, b"Error: No space left on device\n")


def test_an_argument_that_is_no_text_is_said_in_a_sentence(tmp_path: Path) -> None:
    open_writer(tmp_path / "record.db", 1.0).close()
    done = run(tmp_path, "keys", "show", b"\xff\xfe")
    assert done.returncode == 2
    assert b"no UTF-8" in done.stderr


def test_letters_that_the_locale_does_not_have_are_question_marks(home: Path) -> None:
    open_writer(home / "record.db", 1.0).close()
    environment = {**os.environ, "FREEHOLD_HOME": str(home), "PYTHONIOENCODING": "ascii"}
    subprocess.run([*FREEHOLD, "keys", "create", "Zo\xeb"], env=environment, check=True, timeout=60, capture_output=True)
    done = subprocess.run([*FREEHOLD, "keys", "list"], env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b"Zo?" in done.stdout


@pytest.mark.parametrize("words", ["watermark list", "guard check"])
def test_a_closed_standard_input_is_an_empty_one(tmp_path: Path, words: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m freehold {words} <&-', sys.executable],
        env={**os.environ, "FREEHOLD_HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "words",
    [
        *("batches list", "bom none", "keys list", "kept list", "log checkpoint", "log proof 1", "evidence"),
        *("mcp pins list", "meter report", "models list", "teams list", "trust list", "watermark list"),
    ],
)
def test_a_command_that_only_reads_writes_nothing(tmp_path: Path, words: str) -> None:
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code in (0, 2), result.output
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("closed", ["<&- >&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_outputs_are_written_to_nobody(tmp_path: Path, closed: str) -> None:
    line = f'exec "$0" -m freehold serve --model nosuch {closed}'
    environment = {**os.environ, "FREEHOLD_HOME": str(tmp_path)}
    done = subprocess.run(["sh", "-c", line, sys.executable], env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr
