"""The GPU tier on the card at hand: `python -m bench.gpu [facts] [kernels] [model] [streaming]`.

    facts      what the machine's links give: disk, host to card, the card's own memory, its matrix units
    kernels    every kernel against its reference; bytes a second of each type at 1, 4 and 16 columns; products of prompts
    model      an 8B-shaped model wholly in the card's memory: tokens a second, and the share of its bandwidth
    streaming  a 70B-shaped file under a cap on the card's memory: seconds a token against what the links allow

Needs numpy, torch, triton, llvmlite, msgspec and blake3 only, so that it runs on a borrowed machine as it is.
"""

import argparse
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bench import gpu_kernels, gpu_models
from freehold.engine.tensor_types import TensorType

PARTS: dict[str, Callable[["Run"], None]] = {}


@dataclass(slots=True)
class Run:
    """What was asked for, and the lines so far."""

    options: argparse.Namespace
    rates: dict[str, float] = field(default_factory=dict)  # bytes or operations a second
    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def keep(self, text: str) -> None:
        """Said now, and again in the table at the end."""
        self.lines.append(text)
        self.say(text)


def facts(run: Run) -> None:
    card = torch.cuda.get_device_properties(0)
    run.keep(
        f"card {card.name} {card.total_memory / 2**30:.0f} GiB, {card.multi_processor_count} units, "
        f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores"
    )
    run.rates["vram"] = gpu_kernels.copy_rate()
    run.rates["matrix"] = gpu_kernels.matrix_rate()
    run.rates["pcie"] = gpu_kernels.link_rate()
    run.rates["disk"] = gpu_models.disk_rate(Path(run.options.folder), 2 << 30)
    run.keep(
        f"card copy {run.rates['vram'] / 1e9:.0f} GB/s (read and written), "
        f"matrix units {run.rates['matrix'] / 1e12:.0f} TFLOP/s bf16, "
        f"pinned to card {run.rates['pcie'] / 1e9:.1f} GB/s, disk O_DIRECT {run.rates['disk'] / 1e9:.2f} GB/s"
    )


def kernels(run: Run) -> None:
    """Each type in a process of its own: most of the time is compiling."""
    wrong = 0
    with ProcessPoolExecutor(min(16, os.cpu_count() or 1), multiprocessing.get_context("spawn")) as pool:
        checks = {type_.name: pool.submit(gpu_kernels.check_type, type_) for type_ in gpu_kernels.TYPES}
        checks["norm, gate"] = pool.submit(gpu_kernels.check_elementwise, 1)
        for head_dim in (64, 96, 128):
            for prompt in (False, True):
                checks[f"attention {head_dim} {prompt}"] = pool.submit(gpu_kernels.check_attention, 2, head_dim, prompt)
        for name, check in checks.items():
            try:
                errors = check.result()
            except Exception as exc:  # say the others' too
                errors = {f"{type(exc).__name__}: {str(exc)[:300]}": float("nan")}
            bad = [key for key, value in errors.items() if not value < gpu_kernels.limit(key)]
            wrong += len(bad)
            run.say(f"{name}: {'WRONG ' if bad else ''}" + ", ".join(f"{key} {value:.1e}" for key, value in errors.items()))
    run.keep(f"kernels against their references: {wrong} wrong of {len(checks)} kinds")
    copy = run.rates.get("vram") or gpu_kernels.copy_rate()
    run.keep(
        f"GB/s of blocks, (share of the card's {copy / 1e9:.0f}), at 1, 4, 16 columns: 28672 x 8192 | 4096 x 4096 | as streamed"
    )
    for type_ in gpu_kernels.TYPES:
        parts = []
        for rows, length, planes in ((28672, 8192, True), (4096, 4096, True), (28672, 8192, False)):
            rates = [gpu_kernels.multiply_rate(type_, rows, length, count, planes=planes) for count in (1, 4, 16)]
            parts.append(" ".join(f"{rate / 1e9:5.0f} ({rate / copy:.2f})" for rate in rates))
        run.keep(f"  {type_.name:5} {' | '.join(parts)}")
    for type_, tokens in ((TensorType.Q4_K, 512), (TensorType.Q6_K, 512), (TensorType.Q4_K, 128)):
        whole, ours, library = (rate / 1e12 for rate in gpu_kernels.prompt_rate(type_, tokens, 8192, 8192))
        run.keep(
            f"  prompt of {tokens}, {type_.name}: {whole:.0f} TFLOP/s with expanding, {ours:.0f} the product, "
            f"{library:.0f} torch.matmul"
        )
    for context, sequences in ((4096, 1), (32768, 1), (4096, 16)):
        rate = gpu_kernels.attention_rate(context, sequences)
        run.keep(f"  attention at {context} positions x {sequences}: {rate / 1e9:.0f} GB/s of keys and values")


PARTS["facts"] = facts
PARTS["kernels"] = kernels


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", default=[], help="of facts, kernels, model, streaming; all where none is named")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where big files are written")
    parser.add_argument("--layers", type=int, default=80, help="of the 70B-shaped file")
    parser.add_argument("--vram-mb", type=int, default=24_000, help="what streaming may take of the card's memory")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats")
    run = Run(parser.parse_args())
    if not torch.cuda.is_available():
        print("bench.gpu needs a CUDA card; there is none here", file=sys.stderr)
        return 2
    begun_s = time.perf_counter()
    for name in run.options.parts or PARTS:
        PARTS[name](run)
        run.say(f"-- {name}: {time.perf_counter() - begun_s:.0f} s since the start")
    print("\n".join(["", *run.lines]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
