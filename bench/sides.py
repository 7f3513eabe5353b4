"""A side of a comparison: a process that does what it is told, a JSON line at a time, if need be under a memory limit.

Each side runs by itself and is asked in turns, so that other work on the machine hits both alike.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from bench.limits import Group

_LAST_BYTES = 600

Ask = Callable[[dict[str, Any]], dict[str, Any]]


@contextmanager
def side(
    words: Sequence[str], *, python: Path | None = None, environment: dict[str, str] | None = None, group: Group | None = None
) -> Iterator[Ask]:
    """`words` follow `python -m`: a module that calls `serve`. Raises RuntimeError where it ends without an answer."""
    command = [str(python or sys.executable), "-m", *words]
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1"} | (environment or {})
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, once it was read
    process = subprocess.Popen(
        group.command(command) if group else command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=env,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    stdin, stdout = process.stdin, process.stdout

    def ask(task: dict[str, Any]) -> dict[str, Any]:
        try:
            stdin.write(json.dumps(task) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # its end is told below
        for line in stdout:
            if line.startswith("{"):  # libraries may write to stdout, too
                return dict(json.loads(line))
        killed = f", {group.oom_kills} of its group were killed for memory" if group else ""
        raise RuntimeError(f"{' '.join(words)} ended without an answer{killed}: {_last_words(errors)}")

    try:
        yield ask
    finally:
        with suppress(BrokenPipeError):
            stdin.close()
        process.kill()
        process.wait()
        stdout.close()
        errors.close()


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _LAST_BYTES))
    return errors.read().decode(errors="replace").strip()


def serve(made: Any) -> None:
    """Answer until the other end closes. A task names a method and its arguments."""
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(getattr(made, task.pop("do"))(**task)), flush=True)


def read_bytes() -> int:
    """What this process has had read from disks, by reads and by page faults alike."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("read_bytes:"):
            return int(line.split()[1])
    return 0
