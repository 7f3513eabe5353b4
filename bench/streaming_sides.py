"""The two sides of a streamed decode: `python -m bench.streaming_sides ours|peer MODEL THREADS`, asked by `bench.sides`."""

import json
import os
import random
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.engine import unsigned
from bench.sides import read_bytes, serve
from freehold.engine.config import EngineConfig
from freehold.engine.fit import Tier, pass_time
from freehold.engine.header import read_path
from freehold.engine.machine import calibrate, disk_rate
from freehold.engine.models.llama import Batch, Llama
from freehold.engine.needs import pass_bytes, types_of
from freehold.engine.runtime import Runtime
from freehold.engine.tile_table import LoadedTile
from freehold.plan.streaming import Host, bound_s

CONTEXT: Final = 1024
SEQUENCES: Final = 8


def _giga(rate: float | None) -> float | None:
    return None if rate is None else rate / 1e9


class Ours:
    """A whole engine without its process: what is read, checked and computed is what a node does."""

    def __init__(self, path: Path, threads: int, ram_mb: int = 0) -> None:
        # Measured here, in the same limit and on the same disk, before there is a model.
        self.path, types = path, types_of(read_path(path).tensors)
        self.machine = calibrate(types, path, threads, fresh=True).machine()
        config = EngineConfig(
            device="cpu", threads=threads, context_tokens=CONTEXT, kv_memory_mb=150, max_sequences=SEQUENCES, ram_mb=ram_mb
        )
        self.runtime = Runtime(unsigned(path), config, lambda *_: None)
        if not isinstance(self.runtime.model, Llama):
            raise TypeError("the CPU's engine is measured here, and another one was made")
        self.model = self.runtime.model
        self.bytes = pass_bytes(self.runtime.plan)

    def facts(self) -> dict[str, Any]:
        """What a token takes by this machine's rates, its disk read anew: those that others share change by the second."""
        self.machine = replace(self.machine, disk_bytes_per_s=disk_rate(self.path)[0])
        # The bare limit: what disk and kernels alone would take, were checks and system calls free.
        bare = replace(self.machine, check_bytes_per_s=None, read_cpu_s_per_byte=0.0)
        sizes = {tier: self.bytes.of(tier) / 1e9 for tier in Tier}
        host = Host(memory_gb_per_s=_giga(self.machine.ram_bytes_per_s), disk_gb_per_s=_giga(self.machine.disk_bytes_per_s))
        return {
            # What the planner says of this machine by its two rates alone, knowing nothing of kernels.
            "planned_s": bound_s(0.0, sizes[Tier.RAM], sizes[Tier.DISK], None, host)[0],
            "predicted_s": pass_time(self.machine, self.bytes).seconds,
            "limit_s": pass_time(bare, self.bytes).seconds,
            "disk_bytes_per_s": self.machine.disk_bytes_per_s,
        }

    def decode(self, tokens: int, seed: int, columns: int = 1) -> dict[str, Any]:
        """`columns` answers side by side, `tokens` passes."""
        cache = self.model.cache
        sequences = [cache.open() for _ in range(columns)]
        for sequence in sequences:
            cache.reserve(sequence, tokens + 1)
        last = np.array([random.Random(seed + i).randrange(100, 40_000) for i in range(columns)])
        last = self._pass(sequences, 0, last)
        before, began_s, cpu_s = read_bytes(), time.perf_counter(), time.process_time()
        for i in range(tokens):
            last = self._pass(sequences, i + 1, last)
        taken_s, used_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        for sequence in sequences:
            cache.free(sequence)
        return {"token_s": taken_s / tokens, "cpu_s": used_s / tokens, "read_bytes": (read_bytes() - before) / tokens}

    def checks(self, on: bool) -> dict[str, Any]:
        """Here alone what is streamed may go unchecked: to see what it costs."""
        setattr(LoadedTile, "check", _CHECK if on else _unchecked)  # noqa: B010 - a method is put in the place of another
        return {}

    def _pass(self, sequences: list[int], position: int, tokens: npt.NDArray[Any]) -> npt.NDArray[Any]:
        count = len(sequences)
        logits = self.model.step(
            Batch(
                tokens=tokens.astype(np.int32),
                positions=np.full(count, position, np.int32),
                sequences=np.array(sequences, np.int32),
                wants_logits=np.ones(count, np.bool_),
            )
        )
        found: npt.NDArray[Any] = logits.argmax(-1)
        return found


_CHECK = LoadedTile.check


def _unchecked(*_: object) -> None:
    """In the place of a check."""


class Peer:
    """llama.cpp with its weights mapped, which is its default and the only way it has for a file above its memory.

    The prompt cache is off, as each round asks for something new; the context is as long as ours.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import xllamacpp  # noqa: PLC0415  # loads llama.cpp: only in the process that runs it

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel = CONTEXT, 1
        parameters.verbosity = -1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.cache_ram_mib = parameters.n_gpu_layers = 0
        parameters.warmup = False
        # Weights laid out anew at load are a copy in memory of its own: with them it is killed in any limit below the file.
        parameters.no_extra_bufts = True
        self.server = xllamacpp.Server(parameters)

    def decode(self, tokens: int, seed: int) -> dict[str, Any]:
        before = read_bytes()
        prompt = [random.Random(seed).randrange(100, 40_000)]
        timings = self._complete(prompt, tokens + 1)["timings"]
        # The first token comes out of the prompt's own pass, before the clock of those that follow starts.
        return {"token_s": timings["predicted_ms"] / 1e3 / tokens, "read_bytes": (read_bytes() - before) / (tokens + 1)}

    def _complete(self, prompt: list[int], tokens: int) -> dict[str, Any]:
        task = {"prompt": prompt, "n_predict": tokens, "temperature": 0.0, "cache_prompt": False, "ignore_eos": True}
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.server.listening_address}/completion", json.dumps(task).encode(), headers)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return dict(json.loads(answer.read()))


if __name__ == "__main__":
    serve({"ours": Ours, "peer": Peer}[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:])))
    os._exit(0)  # llama.cpp's threads do not end by themselves
