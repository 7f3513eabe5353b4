"""What metering costs the engine: for each pass and for each answer, against one pass of the smallest model we ship.

CPU time of the one thread that computes. The RAPL figures read files of a tree like the kernel's, in memory: a real counter's
read costs some microseconds more, which is the machine's.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.engine import EMBEDDED, Ours
from bench.report import Report
from freehold.core.ports import PassShare
from freehold.engine.speculation import PassTimes
from freehold.engine.work import ModelWork
from freehold.meter.config import MeterConfig
from freehold.meter.sources.cpu_time import CpuTimeModel
from freehold.meter.sources.rapl import Rapl
from freehold.meter.sources.source import EnergySource
from freehold.meter.window import WindowMeter

PASSES, ROUNDS = 2000, 7
LIMIT = 0.01  # of a pass of the smallest model
WORK = ModelWork(weights_bytes=90_000_000, kv_bytes=23_040, token_flops=269_000_000, position_flops=69_120)


def run(report: Report, models_dir: Path) -> None:
    pass_s = _pass_s(models_dir / EMBEDDED)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        sources: dict[str, Callable[[], EnergySource]] = {
            "cpu-time-model": lambda: CpuTimeModel(MeterConfig()),
            "rapl": lambda: Rapl(_powercap(Path(folder))),
        }
        for name, make in sources.items():
            for requests in (1, 16):
                rounds = [_passes_s(make(), requests) for _ in range(ROUNDS)]
                spent_s = median(rounds)
                report(
                    f"metering.{name}.pass.{requests}",
                    spent_s * 1e6,
                    "us",
                    peer=f"a pass of {EMBEDDED}, {pass_s * 1e6:.0f} us",
                    ratio=spent_s / pass_s,
                    limit=LIMIT,
                )
            report(f"metering.{name}.answer", median(_answers_s(make()) for _ in range(ROUNDS)) * 1e6, "us")


def _pass_s(path: Path) -> float:
    """Seconds of CPU for a pass of one token, on one thread."""
    ours = Ours(path, 1)

    def cpu_s(decode: int) -> float:
        began_s = time.process_time()
        ours.speed(8, decode, 1)
        return time.process_time() - began_s

    cpu_s(8)
    return median((cpu_s(129) - cpu_s(1)) / 128 for _ in range(5))


def _powercap(root: Path) -> Path:
    for number in (0, 1):
        for suffix, name in (("", f"package-{number}"), (":0", "dram")):
            folder = root / f"intel-rapl:{number}{suffix}"
            folder.mkdir(exist_ok=True)
            for file, text in (("name", name), ("energy_uj", "1000000"), ("max_energy_range_uj", "262143328850")):
                (folder / file).write_text(text)
    return root


def _passes_s(source: EnergySource, requests: int) -> float:
    """Seconds of CPU for a pass, as the scheduler tells it."""
    meter = WindowMeter(source)
    meter.loaded(False)
    times = PassTimes()
    times.note(1, 0.004)
    times.note(64, 0.03)
    began_s = time.thread_time()
    for at in range(PASSES):
        meter.begin_pass()
        flops_per_byte = WORK.flops_per_byte(times)
        shares = [PassShare(n, WORK.of(requests, 100 + at, 1, flops_per_byte), 1) for n in range(requests)]
        meter.end_pass(shares, 0.004, 2)
    return (time.thread_time() - began_s) / PASSES


def _answers_s(source: EnergySource) -> float:
    """Seconds of CPU for the end of an answer, its window closed for it."""
    source.min_window_s = 0.0  # type: ignore[misc]
    meter = WindowMeter(source)
    meter.loaded(False)
    spent_s = 0.0
    for number in range(PASSES // 4):
        meter.begin_pass()
        meter.end_pass([PassShare(number, 1.0, 1)], 0.004, 2)
        began_s = time.thread_time()
        meter.settle(number)
        spent_s += time.thread_time() - began_s
    return spent_s / (PASSES // 4)
