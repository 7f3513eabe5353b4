"""Our engine against llama.cpp: decode and prefill on the same file, machine and threads, and whether the two agree.

Each side runs in a process of its own and is asked in turns, each first in every other one. A ratio is the median of those
within a turn: what a shared machine's memory gives changes by the minute. llama.cpp (the `xllamacpp` wheel) runs at its own
defaults: they are its best here (poll=0, for one, makes it 7 times slower on two threads).
"""

import json
import os
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.sides import Ask, serve, side
from bench.synthetic import ONE_B, ONE_B_Q6, ONE_B_Q8, synthetic
from freehold.core.exchange import KeyId, ModelId
from freehold.core.models import Manifest, ManifestFile, VerifiedModel
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.llama import Batch, Llama
from freehold.engine.models.shape import shape_of
from freehold.engine.weights import Weights

EMBEDDED, QWEN = "smollm2-135m.gguf", "qwen2.5-coder-1.5b.gguf"
DECODE_LIMIT, PREFILL_LIMIT = 1.1, 0.9
CLOSE_CALL = 0.3  # of log-probability between the first two: below it, either may come first
CONTEXT = 1024
PROMPTS = (
    "<|im_start|>user\nWhat is the capital of France, and what river runs through it?<|im_end|>\n<|im_start|>assistant\n",
    "The history of the printing press begins in",
    'def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n',
    "<|im_start|>system\nYou are a careful assistant.<|im_end|>\n"
    "<|im_start|>user\nList three uses of sodium chloride.<|im_end|>\n<|im_start|>assistant\n",
)
COMPARED = ("qwen2.5-coder-0.5b.gguf", "gemma-3-270m.gguf")  # and not timed
LONG = " ".join(f"The square of {n} is {n * n}." for n in range(1, 68))  # 600 to 1,000 tokens: past the windows of Gemma 3
FORCED_TOKENS = 32

Report = Callable[..., None]


def run(report: Report, models_dir: Path) -> None:
    for part in SUBPARTS.values():
        part(report, models_dir)


def start(report: Report, models_dir: Path) -> None:
    _start(report, _small(models_dir))


def speed(report: Report, models_dir: Path) -> None:
    """Decode and prefill of one stream in memory, on one thread and on two."""
    small, mixed = _small(models_dir), models_dir / QWEN
    for threads in sorted({1, min(2, os.cpu_count() or 1)}):
        _speed(report, "smollm2", small, threads, prompt=256, decode=64, rounds=5)
        for made in (ONE_B, ONE_B_Q6, ONE_B_Q8):
            _speed(report, made.name, synthetic(made, models_dir, small), threads, prompt=128, decode=16, rounds=5)
        if mixed.exists():  # Q4_K and Q6_K
            _speed(report, mixed.stem, mixed, threads, prompt=64, decode=16, rounds=7)


def agreement(report: Report, models_dir: Path) -> None:
    small = _small(models_dir)
    for path in (small, *(models_dir / name for name in (QWEN, *COMPARED))):
        if path.exists():
            _agreement(report, "smollm2" if path is small else path.stem, path)


SUBPARTS = {"start": start, "speed": speed, "agreement": agreement}


def _small(models_dir: Path) -> Path:
    small = models_dir / EMBEDDED
    if not small.exists():
        raise FileNotFoundError(f"{small} is not there: `make models` fetches it")
    return small


def _start(report: Report, model: Path) -> None:
    """From weights in memory to a model that computes: compiling the kernels, and finding them compiled."""
    with tempfile.TemporaryDirectory() as home:
        for name in ("cold", "warm"):
            with _side("ours", model, 1, {"FREEHOLD_HOME": home}) as ask:
                report(name=f"engine.kernels.{name}", value=ask({"do": "facts"})["build_s"], unit="s")


def _speed(report: Report, name: str, model: Path, threads: int, *, prompt: int, decode: int, rounds: int) -> None:
    with _side("ours", model, threads) as ours, _side("peer", model, threads) as peer:
        turns = [_turn(ours, peer, {"do": "speed", "prompt": prompt, "decode": decode, "seed": i}) for i in range(rounds + 1)]
    del turns[0]  # for warming up
    for what, limit in (("decode", DECODE_LIMIT), ("prefill", PREFILL_LIMIT)):
        report(
            name=f"engine.{what}.{name}.t{threads}",
            value=median(mine[what] for mine, _ in turns),
            unit="tok/s",
            peer="llama.cpp",
            peer_version=version("xllamacpp"),
            ratio=median(mine[what] / theirs[what] for mine, theirs in turns),
            limit=limit,
        )


def _turn(ours: Ask, peer: Ask, task: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both say to the task, ours first; by its seed the one or the other is asked first."""
    if task["seed"] % 2:
        mine = ours(task)
        return mine, peer(task)
    theirs = peer(task)
    return ours(task), theirs


def _agreement(report: Report, name: str, model: Path) -> None:
    """llama.cpp writes greedily; we read its tokens and say what we would have written at each place."""
    with _side("peer", model, 1) as peer:
        cases = [peer({"do": "write", "text": text, "tokens": FORCED_TOKENS}) for text in (*PROMPTS, LONG)]
    with _side("ours", model, 1) as ours:
        reads = [ours({"do": "read", "prompt": case["prompt"], "forced": case["forced"], "top": case["top"]}) for case in cases]
    clear, agreed, apart = 0, 0, []
    for case, read in zip(cases, reads, strict=True):
        for top, first, ours_of in zip(case["top"], read["first"], read["logprobs"], strict=True):
            apart += [abs(a - b[1]) for a, b in zip(ours_of, top, strict=True) if b[1] > -8]
            if top[0][1] - top[1][1] > CLOSE_CALL:
                clear += 1
                agreed += first == top[0][0]
    common = {"peer": "llama.cpp", "peer_version": version("xllamacpp")}
    report(name=f"engine.agreement.{name}", value=agreed / clear, unit="share of clear tokens", limit=1.0, **common)
    report(name=f"engine.agreement.{name}.logprob", value=median(apart), unit="median difference", **common)


# ---- a side ------------------------------------------------------------------------------------------------------


def _side(which: str, model: Path, threads: int, environment: dict[str, str] | None = None) -> AbstractContextManager[Ask]:
    return side(["bench.engine", which, str(model), str(threads)], environment=environment)


def _prompt(seed: int, length: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(100, 40_000) for _ in range(length)]


class Ours:
    def __init__(self, path: Path, threads: int) -> None:
        weights = Weights(unsigned(path))
        shape = shape_of(weights.header.metadata, weights.header.tensors)
        tensors = weights.load(lambda *_: None).tensors
        pages = CONTEXT // PAGE_POSITIONS
        cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, pages, 1, pages)
        began_s = time.perf_counter()
        self.model = Llama(shape, tensors, cache, threads)
        self.build_s = time.perf_counter() - began_s

    def facts(self) -> dict[str, Any]:
        return {"build_s": self.build_s, "kernels": self.model.kernels.name}

    def speed(self, prompt: int, decode: int, seed: int) -> dict[str, Any]:
        sequence = self._open(prompt + decode)
        began_s = time.perf_counter()
        logits = self._step(sequence, 0, _prompt(seed, prompt), last_only=True)
        prefill_s = time.perf_counter() - began_s
        began_s = time.perf_counter()
        for i in range(decode):
            logits = self._step(sequence, prompt + i, [int(logits[0].argmax())], last_only=True)
        decode_s = time.perf_counter() - began_s
        self.model.cache.free(sequence)
        return {"prefill": prompt / prefill_s, "decode": decode / decode_s}

    def read(self, prompt: list[int], forced: list[int], top: list[list[tuple[int, float]]]) -> dict[str, Any]:
        tokens = prompt + forced
        sequence = self._open(len(tokens))
        logits = self._step(sequence, 0, tokens, last_only=False)[len(prompt) - 1 : -1].astype(np.float64)
        self.model.cache.free(sequence)
        shifted = logits - logits.max(-1, keepdims=True)
        logprobs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        return {
            "first": logprobs.argmax(-1).tolist(),
            "logprobs": [[float(row[token]) for token, _ in likeliest] for row, likeliest in zip(logprobs, top, strict=True)],
        }

    def _open(self, positions: int) -> int:
        sequence = self.model.cache.open()
        self.model.cache.reserve(sequence, positions)
        return sequence

    def _step(self, sequence: int, first: int, tokens: list[int], *, last_only: bool) -> npt.NDArray[np.float32]:
        count = len(tokens)
        wants = np.full(count, not last_only)
        wants[-1] = True
        return self.model.step(
            Batch(
                tokens=np.array(tokens, np.int32),
                positions=np.arange(first, first + count, dtype=np.int32),
                sequences=np.full(count, sequence, np.int32),
                wants_logits=wants,
            )
        )


def unsigned(path: Path) -> VerifiedModel:
    """A model whose blocks nobody checks: speed is measured here, and the models are pinned by digest when fetched."""
    file = ManifestFile(name=path.name, size_bytes=path.stat().st_size, root=b"", sha256="", leaves=())
    manifest = Manifest(model_id=ModelId("00" * 32), name=path.stem, files=(file,), origin="a bench")
    return VerifiedModel(manifest=manifest, directory=path.parent, signed_by=KeyId("nobody"), check_block=lambda *_: None)


class _Peer:
    def __init__(self, path: Path, threads: int) -> None:
        import xllamacpp  # noqa: PLC0415  # loads llama.cpp: only in the process that runs it

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel = CONTEXT, 1
        parameters.verbosity = -1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.cache_ram_mib = parameters.n_gpu_layers = 0
        self.server = xllamacpp.Server(parameters)

    def speed(self, prompt: int, decode: int, seed: int) -> dict[str, Any]:
        timings = self._complete(_prompt(seed, prompt), decode)["timings"]
        return {"prefill": timings["prompt_per_second"], "decode": timings["predicted_per_second"]}

    def write(self, text: str, tokens: int) -> dict[str, Any]:
        prompt = self._post("/tokenize", {"content": text, "parse_special": True, "add_special": True})["tokens"]
        written = self._complete(prompt, tokens, n_probs=3)["completion_probabilities"]
        return {
            "prompt": prompt,
            "forced": [token["id"] for token in written],
            "top": [[(top["id"], top["logprob"]) for top in token["top_logprobs"][:3]] for token in written],
        }

    def _complete(self, prompt: list[int], tokens: int, **more: Any) -> dict[str, Any]:
        task = {"prompt": prompt, "n_predict": tokens, "temperature": 0.0, "cache_prompt": False, "ignore_eos": True}
        return self._post("/completion", task | more)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server.listening_address + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return dict(json.loads(answer.read()))


if __name__ == "__main__":
    made: Ours | _Peer = (Ours if sys.argv[1] == "ours" else _Peer)(Path(sys.argv[2]), int(sys.argv[3]))
    serve(made)
    os._exit(0)  # llama.cpp's threads do not end by themselves
