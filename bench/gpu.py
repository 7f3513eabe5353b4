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
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bench import gpu_kernels, gpu_models
from freehold.core.models import VerifiedModel
from freehold.engine.cores import usable_cores
from freehold.engine.gpu import build
from freehold.engine.gpu import card as cards
from freehold.engine.gpu.card import Card, find_card
from freehold.engine.gpu.llama import GpuLlama
from freehold.engine.gpu.matrices import TILE_BYTES, matrices_of
from freehold.engine.gpu.multiply import interpreted
from freehold.engine.gpu.placement import CardPlacement, LinkRates, Matrix, fixed_bytes, place
from freehold.engine.gpu.sender import CARD_SLOTS
from freehold.engine.kv_cache import KvCache
from freehold.engine.models.shape import LlamaShape, shape_of
from freehold.engine.tensor_types import TensorType
from freehold.engine.weights import Weights

PARTS: dict[str, Callable[["Run"], None]] = {}
# What streaming tries -> (its name, whether what does not stay is in memory, whether the CPU computes it, passes).
WAYS: dict[str, tuple[str, bool, bool, int]] = {
    "disk": ("sent from disk", False, False, 5),
    "memory": ("sent from memory", True, False, 12),
    "shared": ("shared with the CPU, from memory", True, True, 12),
}
_NO_MATTER = LinkRates(card=1.0, link=1.0, disk=1.0, cpu=1.0)


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


def model(run: Run) -> None:
    """Wholly on the card."""
    size, passes = (gpu_models.TINY, 1) if run.options.dry else (gpu_models.LLAMA_8B, 34)
    with _opened(run, size) as opened:
        placement = opened.placed(card_bytes=1 << 62, host_bytes=0, shared=False)
        made = opened.load(placement, 0, sequences=16)
        try:
            copy = run.rates.get("vram") or cards.copy_rate(opened.card)
            run.keep(f"8B shape, {placement.resident_bytes / 1e9:.2f} GB of weights on the card:")
            for sequences in (1, 4, 16):
                token_s = gpu_models.settled([*gpu_models.decode_s(made, sequences, passes, 100)])
                rate = placement.resident_bytes / token_s
                run.keep(
                    f"  {sequences:2} at a time: {sequences / token_s:.0f} tokens/s, {token_s * 1e3:.2f} ms a pass, "
                    f"{rate / 1e9:.0f} GB/s ({rate / copy:.2f} of what it copies)"
                )
            for tokens in () if run.options.dry else (128, 512):
                gpu_models.prompt_s(made, tokens)
                run.keep(f"  prompt of {tokens}: {tokens / gpu_models.prompt_s(made, tokens):.0f} tokens/s")
        finally:
            made.close()


def streaming(run: Run) -> None:
    """Under a cap on the card's memory: sent from disk, sent from memory, and shared with the CPU."""
    size = gpu_models.TINY if run.options.dry else gpu_models.llama_70b(run.options.layers)
    with _opened(run, size) as opened:
        cap_bytes = opened.beside_bytes(8) + opened.total_bytes * 2 // 3 if run.options.dry else run.options.vram_mb << 20
        if opened.card.is_cuda:
            whole = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, cap_bytes / whole))
        rates = opened.rates()
        run.keep(
            f"70B shape, {size.layers} layers, {opened.total_bytes / 1e9:.1f} GB, {cap_bytes / 1e6:.0f} MB on the card; GB/s: "
            f"card {rates.card / 1e9:.0f}, link {rates.link / 1e9:.1f}, disk {rates.disk / 1e9:.2f}, CPU {rates.cpu / 1e9:.1f}"
        )
        for way, (name, in_memory, shared, passes) in WAYS.items():
            if run.options.ways and way not in run.options.ways:
                continue
            host_bytes = opened.total_bytes if in_memory else 0
            placement = opened.placed(cap_bytes - opened.beside_bytes(8), host_bytes, shared, rates)
            begun_s = time.perf_counter()
            made = opened.load(placement, host_bytes, sequences=8)
            load_s = time.perf_counter() - begun_s
            try:
                one = [*gpu_models.decode_s(made, 1, 1 if run.options.dry else passes, 10)]
                eight = [*gpu_models.decode_s(made, 8, 1 if run.options.dry else max(3, passes // 3), 100)]
            finally:
                made.close()
                del made  # or the next one would find no room
                if opened.card.is_cuda:
                    torch.cuda.empty_cache()
            token_s, eight_s = gpu_models.settled(one), gpu_models.settled(eight)
            run.keep(
                f"  {name}: {token_s:.3f} s a token, the limit is {placement.token_s:.3f}: "
                f"efficiency {placement.token_s / token_s:.2f}; 8 at a time {8 / eight_s:.2f} tokens/s; "
                f"{placement.resident_bytes / 1e9:.1f} GB stay, loaded in {load_s:.0f} s"
            )


@dataclass(slots=True)
class _Opened:
    """A model's file on disk, to be loaded again and again."""

    verified: VerifiedModel
    card: Card

    @property
    def file(self) -> Path:
        return self.verified.directory / self.verified.manifest.files[0].name

    @property
    def threads(self) -> int:
        return usable_cores()

    @property
    def total_bytes(self) -> int:
        return sum(matrix.size_bytes for matrix in self._matrices())

    def weights(self) -> Weights:
        return Weights(self.verified)

    def rates(self) -> LinkRates:
        weights = self.weights()
        try:
            return build.measured(self.card, weights.header.tensors.values(), self.file, self.threads, None)
        finally:
            weights.close()

    def shape(self, weights: Weights) -> LlamaShape:
        return shape_of(weights.header.metadata, weights.header.tensors)

    def _matrices(self) -> list[Matrix]:
        weights = self.weights()
        try:
            return matrices_of(self.shape(weights), weights.header.tensors)
        finally:
            weights.close()

    def placed(self, card_bytes: int, host_bytes: int, shared: bool, rates: LinkRates = _NO_MATTER) -> CardPlacement:
        return place(self._matrices(), card_bytes, host_bytes, rates, shared=shared)

    def cache(self, shape: LlamaShape, sequences: int) -> KvCache:
        cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, 16 * sequences, sequences, 16)
        for _ in range(sequences):
            cache.reserve(cache.open(), 1024)
        return cache

    def beside_bytes(self, sequences: int) -> int:
        weights = self.weights()
        shape = self.shape(weights)
        weights.close()
        return fixed_bytes(shape, self.cache(shape, sequences).pages) + CARD_SLOTS * TILE_BYTES

    def load(self, placement: CardPlacement, host_bytes: int, sequences: int) -> GpuLlama:
        weights = self.weights()
        shape = self.shape(weights)
        cache = self.cache(shape, sequences)
        return build.load(self.card, weights, shape, cache, placement, self.threads, "auto", host_bytes, lambda *_: None)


@contextmanager
def _opened(run: Run, size: gpu_models.Size) -> Iterator[_Opened]:
    card = Card(torch.device("cpu"), torch.float16) if run.options.dry else find_card()
    assert card is not None
    with tempfile.TemporaryDirectory(dir=run.options.folder) as made:
        yield _Opened(gpu_models.write_model(Path(made), size), card)
    if card.is_cuda:
        torch.cuda.empty_cache()


PARTS |= {"facts": facts, "kernels": kernels, "model": model, "streaming": streaming}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", default=[], help="of facts, kernels, model, streaming; all where none is named")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where big files are written")
    parser.add_argument("--layers", type=int, default=80, help="of the 70B-shaped file")
    parser.add_argument("--vram-mb", type=int, default=24_000, help="what streaming may take of the card's memory")
    parser.add_argument("--ways", nargs="*", default=[], choices=WAYS, help="of streaming; all where none is named")
    parser.add_argument("--dry", action="store_true", help="model and streaming with a tiny model and TRITON_INTERPRET=1")
    run = Run(parser.parse_args())
    if run.options.dry and not interpreted():
        print("bench.gpu --dry runs in Triton's interpreter: set TRITON_INTERPRET=1", file=sys.stderr)
        return 2
    if not run.options.dry and not torch.cuda.is_available():
        print("bench.gpu needs a CUDA card; there is none here", file=sys.stderr)
        return 2
    begun_s = time.perf_counter()
    for name in run.options.parts or (("model", "streaming") if run.options.dry else PARTS):
        PARTS[name](run)
        run.say(f"-- {name}: {time.perf_counter() - begun_s:.0f} s since the start")
    print("\n".join(["", *run.lines]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
