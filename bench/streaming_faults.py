"""Faults of a file, a disk and a memory limit under a node that serves: an error that says so, and a node that stays up.

Right is: with the fault there, a question gets an error of the right kind, or the very answer of before where nothing that is
read has changed; with the fault gone, it gets that answer again from the same node.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import openai

from bench.limits import memory_limit
from bench.streaming_node import Node, node
from freehold.engine.header import read_path

Report = Callable[..., None]

_CHANGED: Final = frozenset({"verification_failed"})
_UNREADABLE: Final = frozenset({"device_error"})
_ENDED: Final = frozenset({"upstream_broken", "upstream_unavailable"})  # the engine, which is started again
_PLACES: Final = 8  # in which a bit is flipped, one at a time: some are of bytes that stay in memory
_STEP_BYTES: Final = 4_000_000  # that a limit is lowered by at a time
_LONG: Final = "and so on " * 1500  # whose keys and values need more memory than was taken before
_BACK_S: Final = 60.0  # until an engine that was ended for memory is there again
_HELD: Final = "token_embd.weight"
_SAME: Final = "the answer of before"

# A disk that fails cannot be had without root: here the engine's own read is told so, for as long as the file is there.
_FAILING_DISK: Final = """
import errno, os
_read = os.preadv
def _fails(*arguments):
    if os.path.exists(os.environ["FAILING_DISK"]):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return _read(*arguments)
os.preadv = _fails
"""


def faults(report: Report, model: Path, settings: Mapping[str, Any], limit_bytes: int) -> None:
    """Of a model that is streamed in part with these settings. A copy of it is harmed, beside it."""
    with tempfile.TemporaryDirectory(dir=model.parent, prefix="faults-") as folder, memory_limit(limit_bytes) as group:
        if group is None:
            return
        path, failing = Path(shutil.copyfile(model, Path(folder) / model.name)), Path(folder) / "failing"
        (Path(folder) / "sitecustomize.py").write_text(_FAILING_DISK)
        environment = {"PYTHONPATH": folder, "FAILING_DISK": str(failing)}
        with node(path, settings, group, environment) as made:
            before = _said(made)

            def befalls(fault: AbstractContextManager[Any]) -> tuple[str, bool]:
                with fault:
                    under = _said(made)
                return (_SAME if under == before else under), _said(made) == before

            bits = [befalls(_flipped(path, offset)) for offset in _offsets(path)]
            caught = sum(under in _CHANGED for under, _ in bits)
            right = sum(after and under in {*_CHANGED, _SAME} for under, after in bits)
            report(name="streaming.faults.bit.caught", value=caught, unit=f"of {_PLACES} places, the others in memory", limit=1)
            report(name="streaming.faults.bit", value=right, unit=f"of {_PLACES} right", limit=_PLACES)
            for name, fault, allowed in (
                ("truncated", _truncated(path), _CHANGED | _UNREADABLE),
                ("unreadable", _there(failing), _UNREADABLE),
                ("replaced", _replaced(path), frozenset({_SAME})),  # the old one stays open
            ):
                under, after = befalls(fault)
                report(name=f"streaming.faults.{name}", value=int(after and under in allowed), unit="of 1 right", limit=1)


def lowered(report: Report, model: Path, limit_bytes: int) -> None:
    """The limit of a node whose model fits becomes as much as it has: it is streamed from then on, and answers as before."""
    with memory_limit(limit_bytes) as group:
        if group is None:
            return
        with node(model, {"context_tokens": 8192, "max_sequences": 1}, group) as made:
            before, first, limit_now = _said(made), made.processes, limit_bytes
            with contextlib.suppress(OSError):  # version 1 takes none below what is there, version 2 ends who has most
                while not group.oom_kills:
                    limit_now -= _STEP_BYTES
                    group.lower(limit_now)
            error, until_s = _said(made, _LONG), time.monotonic() + _BACK_S
            while (after := _said(made)) != before and time.monotonic() < until_s:
                time.sleep(1.0)
            is_right = error in _ENDED and after == before and made.processes[:1] == first[:1] and made.processes != first
            report(name="streaming.faults.lowered", value=int(is_right), unit="of 1 right", limit=1)


def _said(made: Node, question: str = "Name three colours.") -> str:
    """What a question gets: its answer, or the code of an error."""
    try:
        answer = made.client.chat.completions.create(
            model="bench", messages=[{"role": "user", "content": question}], max_tokens=12, temperature=0
        )
    except openai.APIError as exc:
        return str(exc.code)
    return answer.choices[0].message.content or ""


# ---- faults: there while they are entered ------------------------------------------------------------------------


def _offsets(path: Path) -> list[int]:
    """Places in the largest matrix, which is streamed first."""
    table = read_path(path).tensors[_HELD]
    return [table.offset + (2 * i + 1) * table.size_bytes // (2 * _PLACES) for i in range(_PLACES)]


@contextmanager
def _flipped(path: Path, offset: int) -> Iterator[None]:
    _flip(path, offset)
    yield
    _flip(path, offset)


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


@contextmanager
def _truncated(path: Path) -> Iterator[None]:
    content = path.read_bytes()
    os.truncate(path, path.stat().st_size // 8)
    yield
    with path.open("r+b") as file:
        file.write(content)


@contextmanager
def _there(path: Path) -> Iterator[None]:
    path.touch()
    yield
    path.unlink()


@contextmanager
def _replaced(path: Path) -> Iterator[None]:
    other = path.with_suffix(".new")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)
    yield
