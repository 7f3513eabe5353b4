"""Models larger than their memory: ours and others in the same limit, in turns, and every second told before it was measured.

The limit is a memory control group around each side. What the page cache has of a file is dropped before a side may read it, as
pages are charged to the group that read them first.

`--only streaming.limits,streaming.kernels` runs some of the parts below.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.limits import Group, memory_limit
from bench.sides import Ask, side
from bench.synthetic import EIGHT_B, synthetic

Report = Callable[..., None]

EMBEDDED: Final = "smollm2-135m.gguf"
MB: Final = 1_000_000
# Share of the file that memory is limited to -> how many times as fast as llama.cpp's mmap it is to be.
LIMITS: Final[Mapping[int, float]] = {54: 2.3, 86: 3.5}
EFFICIENCY_LIMIT: Final = 0.9
ROUNDS: Final = 4
TOKENS: Final = 3  # of a round, each side in its turn


def run(report: Report, models_dir: Path, parts: Sequence[str] = ()) -> None:
    for name in parts or SUBPARTS:
        began_s = time.monotonic()
        SUBPARTS[name](report, models_dir)
        print(f"streaming.{name} took {time.monotonic() - began_s:.0f} s", flush=True)


def limits(report: Report, models_dir: Path) -> None:
    """A file of 8B shape in memory for 54 and 86 % of it, beside llama.cpp's mmap."""
    path = _eight_b(models_dir)
    for share, faster in LIMITS.items():
        with both(path, path.stat().st_size * share // 100) as sides:
            if sides is None:
                return
            _compare(report, f"streaming.8b.{share}", sides, faster=faster)


def _eight_b(models_dir: Path) -> Path:
    return synthetic(EIGHT_B, models_dir, models_dir / EMBEDDED)


class Sides:
    """Ours and llama.cpp on one file, each in a group of its own."""

    def __init__(self, ours: Ask, peer: Ask, groups: tuple[Group, Group]) -> None:
        self.ours, self.peer, self.groups = ours, peer, groups

    def say_memory(self, report: Report, name: str) -> None:
        report(name=f"{name}.oom_kills", value=self.groups[0].oom_kills, unit="processes", limit=0)
        peak = self.groups[0].peak_bytes
        if peak is not None:
            report(name=f"{name}.peak", value=peak / self.groups[0].limit_bytes, unit="of the limit", limit=1.0)


@contextlib.contextmanager
def both(path: Path, limit_bytes: int, *, threads: int | None = None) -> Iterator[Sides | None]:
    count = str(threads or min(2, os.cpu_count() or 1))
    with memory_limit(limit_bytes) as first, memory_limit(limit_bytes) as second:
        if first is None or second is None:
            yield None
            return
        drop_cache(path)
        with side(["bench.streaming_sides", "ours", str(path), count], group=first) as ours:
            ours({"do": "facts"})  # loaded, before the other one begins to read
            with side(["bench.streaming_sides", "peer", str(path), count], group=second) as peer:
                yield Sides(ours, peer, (first, second))


def _compare(
    report: Report, name: str, sides: Sides, *, faster: float | None, rounds: int = ROUNDS, tokens: int = TOKENS
) -> None:
    facts = sides.ours({"do": "facts"})
    ours, theirs = [], []
    for i in range(rounds + 1):
        task = {"do": "decode", "tokens": tokens, "seed": i}
        answers = sides.ours(task), sides.peer(task)
        if i:  # the first is for warming up
            ours.append(answers[0])
            theirs.append(answers[1])
    common = {"peer": "llama.cpp mmap", "peer_version": version("xllamacpp")}
    ours_s, theirs_s = (median(answer["token_s"] for answer in answers) for answers in (ours, theirs))
    report(name=f"{name}.token", value=ours_s, unit="s/token", ratio=theirs_s / ours_s, limit=faster, **common)
    report(name=f"{name}.token.llama.cpp", value=theirs_s, unit="s/token")
    bytes_ = [median(answer["read_bytes"] for answer in answers) / 1e9 for answers in (ours, theirs)]
    report(name=f"{name}.read", value=bytes_[0], unit="GB/token", ratio=bytes_[1] / max(bytes_[0], 1e-9), **common)
    report(name=f"{name}.efficiency", value=facts["limit_s"] / ours_s, unit="bare limit / measured", limit=EFFICIENCY_LIMIT)
    report(name=f"{name}.prediction", value=facts["predicted_s"] / ours_s, unit="predicted / measured")
    sides.say_memory(report, name)


def drop_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


SUBPARTS: Final[Mapping[str, Callable[[Report, Path], Any]]] = {
    "limits": limits,
}
