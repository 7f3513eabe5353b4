"""A memory limit around one process: a control group below our own, of either version, gone when it is left."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_LEAVE_S = 10.0  # a killed process gives its memory back in its own time
_ENTER = 'echo $$ > "$0" && exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What was counted is read while the group is there."""

    folder: Path
    limit_bytes: int
    version: int

    def command(self, words: Sequence[str]) -> list[str]:
        """The same command, inside."""
        return ["/bin/sh", "-c", _ENTER, str(self.folder / "cgroup.procs"), *words]

    @property
    def oom_kills(self) -> int:
        text = (self.folder / ("memory.events" if self.version == 2 else "memory.oom_control")).read_text()
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)

    @property
    def peak_bytes(self) -> int | None:
        """Page cache included: what the group held at most."""
        with contextlib.suppress(OSError, ValueError):
            name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
            return int((self.folder / name).read_text())
        return None

    def lower(self, limit_bytes: int) -> None:
        _set_limit(self.folder, self.version, limit_bytes)


@contextlib.contextmanager
def memory_limit(limit_bytes: int) -> Iterator[Group | None]:
    """None, with a line that says why, where no group can be made."""
    made = _made(limit_bytes)
    if made is None:
        print("no memory limit can be set: no memory control group below our own can be written", flush=True)
        yield None
        return
    try:
        yield made
    finally:
        _remove(made.folder)


def _made(limit_bytes: int) -> Group | None:
    for version, own in _own_groups():
        folder = own / f"freehold-bench-{os.getpid()}-{time.monotonic_ns()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            _set_limit(folder, version, limit_bytes)
            return Group(folder=folder, limit_bytes=limit_bytes, version=version)
        except OSError:  # version 2 where the controller is not handed down
            folder.rmdir()
    return None


def _own_groups() -> Iterator[tuple[int, Path]]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield 1, _ROOT / "memory" / path.lstrip("/")
            yield 1, _ROOT / "memory"
        elif controllers == "":
            yield 2, _ROOT / path.lstrip("/")


def _set_limit(folder: Path, version: int, limit_bytes: int) -> None:
    if version == 1:
        (folder / "memory.limit_in_bytes").write_text(str(limit_bytes))
        with contextlib.suppress(OSError):  # absent where swap is not counted
            (folder / "memory.memsw.limit_in_bytes").write_text(str(limit_bytes))
        return
    (folder / "memory.max").write_text(str(limit_bytes))
    with contextlib.suppress(OSError):
        (folder / "memory.swap.max").write_text("0")


def _remove(folder: Path) -> None:
    until_s = time.monotonic() + _LEAVE_S
    while time.monotonic() < until_s:
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
    print(f"{folder} could not be removed: something is still in it", flush=True)
