"""Models larger than their memory: ours and others in the same limit, in turns, and every second told before it was measured.

The limit is a memory control group around each side. What the page cache has of a file is dropped before a side may read it, as
pages are charged to the group that read them first.

`--only streaming` takes some ten minutes on two cores, 6 GB of disk below the models' folder and an environment of 1.5 GB for
AirLLM; both are kept. `--only streaming.limits,streaming.kernels` runs some of the parts below. `--only streaming.dry` goes
through all but AirLLM's with little, in some minutes: it shows that they run, and gives no figures.
"""

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.limits import Group, memory_limit
from bench.peers import AIRLLM_VERSION, environment
from bench.sides import Ask, side
from bench.streaming_faults import faults as befalls
from bench.streaming_faults import lowered
from bench.streaming_node import ask, many
from bench.streaming_node import node as running
from bench.synthetic import EIGHT_B, ONE_B_Q8, SMALL_BF16, Synthetic, synthetic
from freehold.engine.header import read_path
from freehold.engine.kernels.formats import FORMATS
from freehold.engine.machine import calibrate

Report = Callable[..., None]

EMBEDDED: Final = "smollm2-135m.gguf"
QWEN: Final = "qwen2.5-coder-1.5b.gguf"
SMALL_QWEN: Final = "qwen2.5-coder-0.5b.gguf"
MB: Final = 1_000_000
# Share of the file that memory is limited to -> how many times as fast as llama.cpp's mmap it is to be.
LIMITS: Final[Mapping[int, float]] = {54: 2.3, 86: 3.5}
EFFICIENCY_LIMIT: Final = 0.9
AIRLLM_LIMIT: Final = 1000 * MB  # PyTorch alone takes half of it
STREAMED_OVERHEAD_MB: Final = 330  # of ours, beside the weights that stay
NODE_LIMIT: Final = 600 * MB
NODE_SETTINGS: Final[Mapping[str, Any]] = {"ram_mb": 400, "context_tokens": 1024, "max_sequences": 2}
REQUESTS_LIMIT: Final = 450 * MB
REQUESTS_SETTINGS: Final[Mapping[str, Any]] = {"ram_mb": 290, "context_tokens": 256, "max_sequences": 8}
LOWERED_FROM: Final = 1100 * MB  # the smaller Qwen fits
KINDS: Final = ("measured", "predicted")  # of the gauge


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is done."""

    model: Synthetic
    rounds: int
    tokens: int  # of a round, each side in its turn
    requests: int


FULL: Final = Scale(model=EIGHT_B, rounds=6, tokens=3, requests=1000)
DRY: Final = Scale(model=ONE_B_Q8, rounds=1, tokens=1, requests=16)


def run(report: Report, models_dir: Path) -> None:
    """All of them: one that fails is told, and raises when the others are done."""
    _run(MEASURED, report, models_dir, FULL)


def dry(_report: Report, models_dir: Path) -> None:
    """The same, with little: what comes of it is no figure, and is not kept."""
    _run({name: part for name, part in MEASURED.items() if part is not airllm}, lambda **_: None, models_dir, DRY)


def _run(parts: Mapping[str, Callable[[Report, Path, Scale], Any]], report: Report, models_dir: Path, scale: Scale) -> None:
    failed = []
    for name, part in parts.items():
        began_s = time.monotonic()
        try:
            part(report, models_dir, scale)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        print(f"streaming.{name} took {time.monotonic() - began_s:.0f} s", flush=True)
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}")


def limits(report: Report, models_dir: Path, scale: Scale = FULL) -> None:
    """A file of 8B shape in memory for 54 and 86 % of it, beside llama.cpp's mmap."""
    path = _large(models_dir, scale)
    for share, faster in LIMITS.items():
        with both(path, path.stat().st_size * share // 100) as sides:
            if sides is None:
                return
            _compare(report, f"streaming.8b.{share}", sides, faster=faster, scale=scale)


def _large(models_dir: Path, scale: Scale) -> Path:
    return synthetic(scale.model, models_dir, models_dir / EMBEDDED)


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
def both(path: Path, limit_bytes: int) -> Iterator[Sides | None]:
    with memory_limit(limit_bytes) as first, memory_limit(limit_bytes) as second:
        if first is None or second is None:
            yield None
            return
        drop_cache(path)
        with side(_ours(path), group=first) as ours:
            ours({"do": "facts"})  # loaded, before the other one begins to read
            with side(_peer(path), group=second) as peer:
                yield Sides(ours, peer, (first, second))


def _compare(report: Report, name: str, sides: Sides, *, faster: float | None, scale: Scale) -> None:
    ours, theirs = [], []
    for i in range(scale.rounds + 1):
        task = {"do": "decode", "tokens": scale.tokens, "seed": i}
        told = sides.ours({"do": "facts"})  # before it is measured
        answers = sides.ours(task), sides.peer(task)
        if i:  # the first is for warming up
            ours.append(told | answers[0])
            theirs.append(answers[1])
    common = {"peer": "llama.cpp mmap", "peer_version": version("xllamacpp")}
    ours_s, theirs_s = (median(answer["token_s"] for answer in answers) for answers in (ours, theirs))
    report(name=f"{name}.token", value=ours_s, unit="s/token", ratio=theirs_s / ours_s, limit=faster, **common)
    report(name=f"{name}.token.llama.cpp", value=theirs_s, unit="s/token")
    bytes_ = [median(answer["read_bytes"] for answer in answers) / 1e9 for answers in (ours, theirs)]
    report(name=f"{name}.read", value=bytes_[0], unit="GB/token", ratio=bytes_[1] / max(bytes_[0], 1e-9), **common)
    disk = median(turn["disk_bytes_per_s"] for turn in ours) / 1e9
    report(name=f"{name}.disk", value=disk, unit="GB/s, median of before each turn")
    for what, said, unit, limit in (
        ("efficiency", "limit_s", "bare limit / measured", EFFICIENCY_LIMIT),
        ("prediction", "predicted_s", "predicted / measured", None),
        ("planned", "planned_s", "planner's bound / measured", None),
    ):
        report(name=f"{name}.{what}", value=median(turn[said] / turn["token_s"] for turn in ours), unit=unit, limit=limit)
    sides.say_memory(report, name)


def drop_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# ---- other peers, other questions --------------------------------------------------------------------------------


def airllm(report: Report, models_dir: Path, _scale: Scale = FULL) -> None:
    """Beside AirLLM: a small model, both in the same limit; ours twice, once with a third of the weights in memory."""
    python = environment(f"airllm-{AIRLLM_VERSION}", f"airllm=={AIRLLM_VERSION}")
    if python is None:
        return
    path = synthetic(SMALL_BF16, models_dir, models_dir / EMBEDDED)
    vocabulary = int(read_path(path).tensors["token_embd.weight"].shape[-1])
    names = ("embedding", "ffn", "layers", "heads", "kv_heads")
    shape = {name: getattr(SMALL_BF16, name) for name in names} | {"vocabulary": vocabulary}
    folder = models_dir / "airllm-230m"
    with side(["bench.airllm_side", str(folder)], python=python) as ask:
        ask({"do": "make", "shape": shape})
    streamed_mb = STREAMED_OVERHEAD_MB + path.stat().st_size // 3 // MB
    with memory_limit(AIRLLM_LIMIT) as group:
        if group is None:
            return
        drop_cache(path)
        with side(["bench.airllm_side", str(folder)], python=python, group=group) as peer:
            peer({"do": "load"})
            theirs_s = median(peer({"do": "decode", "tokens": 2, "seed": i})["token_s"] for i in range(3))
    for how, ram_mb in (("whole", 0), ("streamed", streamed_mb)):
        with memory_limit(AIRLLM_LIMIT) as group, side(_ours(path, ram_mb), group=group) as ours:
            figures = [ours({"do": "decode", "tokens": 8, "seed": i})["token_s"] for i in range(4)]
            report(
                name=f"streaming.airllm.{how}",
                value=median(figures[1:]),
                unit="s/token",
                peer="airllm",
                peer_version=AIRLLM_VERSION,
                ratio=theirs_s / median(figures[1:]),
                limit=10.0,
            )


def batch(report: Report, models_dir: Path, scale: Scale = FULL) -> None:
    """Eight answers over one streamed pass, of what one answer gets."""
    path = _large(models_dir, scale)
    with memory_limit(path.stat().st_size * 54 // 100) as group:
        if group is None:
            return
        drop_cache(path)
        with side(_ours(path), group=group) as ours:
            times: dict[int, list[float]] = {1: [], 8: []}
            for i in range(scale.rounds + 1):
                for columns, taken in times.items():
                    answer = ours({"do": "decode", "tokens": 2, "seed": i, "columns": columns})
                    taken += [answer["token_s"]] if i else []  # the first is for warming up
    one, eight = (columns / median(taken) for columns, taken in times.items())
    report(name="streaming.batch8", value=eight, unit="tok/s", ratio=eight / one, limit=5.0)


def checks(report: Report, models_dir: Path, scale: Scale = FULL) -> None:
    """What it costs that every streamed byte is checked: CPU and time, on and off in turns."""
    path = _large(models_dir, scale)
    with memory_limit(path.stat().st_size * 54 // 100) as group:
        if group is None:
            return
        drop_cache(path)
        with side(_ours(path), group=group) as ours:
            found: dict[bool, list[dict[str, float]]] = {True: [], False: []}
            for i in range(2 * scale.rounds):
                for on, answers in found.items():
                    ours({"do": "checks", "on": on})
                    answer = ours({"do": "decode", "tokens": 2, "seed": i})
                    answers += [answer] if i else []
    for what, limit in (("token_s", 1.03), ("cpu_s", None)):
        on_s, off_s = (median(answer[what] for answer in found[on]) for on in (True, False))
        report(name=f"streaming.checks.{what}", value=on_s, unit="s/token", ratio=on_s / off_s, limit=limit)


def kernels(report: Report, models_dir: Path, _scale: Scale = FULL) -> None:
    """Bytes a second that each type's kernels take in, of what memory gives."""
    threads = _threads()
    rates = calibrate(FORMATS, models_dir, threads, fresh=True)
    assert rates.ram_bytes_per_s is not None
    report(name=f"streaming.memory.t{threads}", value=rates.ram_bytes_per_s / 1e9, unit="GB/s")
    for name, (rate, _) in rates.kernels.items():
        report(name=f"streaming.kernel.{name}.t{threads}", value=rate / 1e9, unit="GB/s", ratio=rate / rates.ram_bytes_per_s)
    if rates.disk_bytes_per_s:
        report(name="streaming.disk", value=rates.disk_bytes_per_s / 1e9, unit="GB/s")
    if rates.check_bytes_per_s:
        report(name="streaming.check", value=rates.check_bytes_per_s / 1e9, unit="GB/s a core")


def node(report: Report, models_dir: Path, _scale: Scale = FULL) -> None:
    """A real model and a whole node in 600 MB: a question, a tool call, speed and prediction; llama.cpp in as much for itself."""
    path = models_dir / QWEN
    if not path.exists():
        print(f"streaming.node: {path} is not there: `make models` fetches it", flush=True)
        return
    name = "streaming.qwen"
    with memory_limit(NODE_LIMIT) as group:
        if group is None:
            return
        drop_cache(path)
        with running(path, NODE_SETTINGS, group) as made:
            for line in made.fit:
                print(f"  {line}", flush=True)
            ask(report, name, made)
            token_s, predicted_s = (made.metric(f'freehold_engine_token_seconds{{kind="{kind}"}}') for kind in KINDS)
        report(name=f"{name}.oom_kills", value=group.oom_kills, unit="processes", limit=0)
    with memory_limit(NODE_LIMIT) as group, side(_peer(path), group=group) as peer:
        drop_cache(path)
        theirs_s = median(peer({"do": "decode", "tokens": 3, "seed": i})["token_s"] for i in range(3))
    common = {"peer": "llama.cpp mmap", "peer_version": version("xllamacpp")}
    report(name=f"{name}.token.llama.cpp", value=theirs_s, unit="s/token")
    if token_s:
        report(name=f"{name}.token", value=token_s, unit="s/token", ratio=theirs_s / token_s, **common)
    if token_s and predicted_s:
        report(name=f"{name}.prediction", value=predicted_s / token_s, unit="predicted / measured")


def requests(report: Report, models_dir: Path, scale: Scale = FULL) -> None:
    """A thousand short requests to a node whose model does not fit: none is lost, nothing is left behind."""
    name = "streaming.requests"
    with memory_limit(REQUESTS_LIMIT) as group:
        if group is None:
            return
        with running(models_dir / EMBEDDED, REQUESTS_SETTINGS, group) as made:
            many(report, name, made, scale.requests)
        report(name=f"{name}.oom_kills", value=group.oom_kills, unit="processes", limit=0)
        if (peak := group.peak_bytes) is not None:
            report(name=f"{name}.peak", value=peak / group.limit_bytes, unit="of the limit", limit=1.0)


def faults(report: Report, models_dir: Path, _scale: Scale = FULL) -> None:
    """What becomes of a node whose file, disk or limit fails it."""
    befalls(report, models_dir / EMBEDDED, REQUESTS_SETTINGS, REQUESTS_LIMIT)
    if (path := models_dir / SMALL_QWEN).exists():
        lowered(report, path, LOWERED_FROM)


def _ours(path: Path, ram_mb: int = 0) -> list[str]:
    return ["bench.streaming_sides", "ours", str(path), str(_threads()), str(ram_mb)]


def _peer(path: Path) -> list[str]:
    return ["bench.streaming_sides", "peer", str(path), str(_threads())]


def _threads() -> int:
    return min(2, os.cpu_count() or 1)


MEASURED: Final[Mapping[str, Callable[[Report, Path, Scale], Any]]] = {
    "kernels": kernels,
    "limits": limits,
    "batch": batch,
    "checks": checks,
    "airllm": airllm,
    "node": node,
    "requests": requests,
    "faults": faults,
}
SUBPARTS: Final[Mapping[str, Callable[..., Any]]] = {**MEASURED, "dry": dry}
