"""Every family's graph against llama.cpp's, on small files of random floats: one a variant, made here and thrown away.

llama.cpp writes greedily and says the log-probability of each token of the vocabulary at each step; we read what it wrote and
compare. Weights are F32, so neither side rounds activations: what is left between the two is the order of sums, and keys and
values in f16. Windows and original contexts are short, so that a prompt of 150 tokens meets them. Windows of `llama` and `phi3`
are not here: llama.cpp leaves them out, we compute them as their models' authors do.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import numpy.typing as npt

from freehold.engine.gguf import FilePrefix, read_header
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.llama import Batch
from freehold.engine.models.moe import model_class
from freehold.engine.models.shape import shape_of
from freehold.engine.tensor_types import Tensor

Report = Callable[..., None]

CLOSE_CALL: Final = 0.3  # of log-probability between the first two: below it, either may come first
FAR: Final = 0.02  # no two ways of summing differ so much in a log-probability; another graph differs by more than 0.5
VOCABULARY, PROMPT_TOKENS, WRITTEN_TOKENS, CONTEXT = 320, 150, 24, 512
EMBEDDING, HEADS, KV_HEADS, FFN = 256, 4, 2, 512
HEAD = {"attention.key_length": 96, "attention.value_length": 96}
YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 64}
QWEN3MOE = {"expert_count": 40, "expert_used_count": 8, "expert_feed_forward_length": 128}
GEMMA2 = {"block_count": 4, "attention.sliding_window": 24, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 20.0}
GEMMA3 = {"block_count": 7, "attention.sliding_window": 24, "rope.freq_base": 1e6, "attention.key_length": 128}
GEMMA3 |= {"attention.value_length": 128}
PHI3 = {"rope.dimension_count": 64, "rope.scaling.original_context_length": 1024, "rope.scaling.attn_factor": 1.25}

# name -> architecture, facts beyond the usual ones, tensors of factors
VARIANTS: Final[Mapping[str, tuple[str, Mapping[str, Any], tuple[str, ...]]]] = {
    "llama-2": ("llama", {}, ()),
    "llama-3.1": ("llama", {"rope.freq_base": 500_000.0}, ("rope_freqs",)),
    "llama, linear": ("llama", {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, ()),
    "llama, yarn": ("llama", YARN, ()),
    "mistral": ("llama", HEAD | {"rope.dimension_count": 96, "rope.freq_base": 1e6}, ()),
    "qwen2": ("qwen2", {}, ()),
    "qwen2, yarn": ("qwen2", YARN, ()),
    "qwen3": ("qwen3", HEAD, ()),
    "mixtral": ("llama", {"expert_count": 8, "expert_used_count": 2}, ()),
    "qwen3moe": ("qwen3moe", HEAD | QWEN3MOE, ()),
    "smollm3": ("smollm3", {"block_count": 5}, ()),
    "gemma": ("gemma", {}, ()),
    "gemma2": ("gemma2", GEMMA2, ()),
    "gemma3": ("gemma3", GEMMA3, ()),
    "gemma3, linear": ("gemma3", GEMMA3 | {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0}, ()),
    "phi3": ("phi3", {}, ()),
    "phi3, short": ("phi3", PHI3, ("rope_factors_short", "rope_factors_long")),
    "phi3, long": ("phi3", PHI3 | {"rope.scaling.original_context_length": 128}, ("rope_factors_short", "rope_factors_long")),
}


def run(report: Report, models_dir: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, (architecture, facts, factors) in VARIANTS.items():
            path = Path(folder) / "model.gguf"
            write(path, architecture, facts, factors)
            _compare(report, name, path)


def _compare(report: Report, name: str, path: Path) -> None:
    prompt = np.random.default_rng(7).integers(0, VOCABULARY, PROMPT_TOKENS).tolist()
    theirs = _peer(path, prompt)
    expected = np.array(theirs["logprobs"])  # (written, vocabulary)
    ours = _read(path, prompt + theirs["written"])[PROMPT_TOKENS - 1 : -1]
    ranked = np.sort(expected, -1)
    clear = ranked[:, -1] - ranked[:, -2] > CLOSE_CALL
    if not clear.any():
        raise RuntimeError(f"the file of {name} makes no clear token: nothing was compared")
    same = float((ours.argmax(-1) == expected.argmax(-1))[clear].mean())
    apart = float(np.abs(ours - expected).max())
    peer = {"peer": "llama.cpp", "peer_version": version("xllamacpp")}
    report(name=f"families.{name}.agreement", value=same, unit=f"share of {clear.sum()} clear tokens", limit=1.0, **peer)
    report(name=f"families.{name}.logprob", value=apart, unit="largest difference", limit=FAR, **peer)


def _read(path: Path, tokens: list[int]) -> npt.NDArray[np.float64]:
    """Our log-probabilities (tokens, vocabulary)."""
    header, raw = read_header(FilePrefix(path), path.name), np.fromfile(path, np.uint8)
    tensors = {
        info.name: Tensor(name=info.name, type=info.type, shape=info.shape, data=raw[info.offset : info.offset + info.size_bytes])
        for info in header.tensors.values()
    }
    shape, pages = shape_of(header.metadata, header.tensors), CONTEXT // PAGE_POSITIONS
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, pages, 1, pages)
    model, count = model_class(shape)(shape, tensors, cache, 1), len(tokens)
    sequence = cache.open()
    cache.reserve(sequence, count)
    logits = model.step(
        Batch(
            tokens=np.array(tokens, np.int32),
            positions=np.arange(count, dtype=np.int32),
            sequences=np.full(count, sequence, np.int32),
            wants_logits=np.ones(count, np.bool_),
        )
    ).astype(np.float64)
    model.close()
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def peer_log_probabilities(path: Path, prompt: list[int]) -> npt.NDArray[np.float64]:
    """llama.cpp's, of what comes after a prompt: (up to VOCABULARY)."""
    return np.array(_peer(path, prompt)["logprobs"][0])


def _peer(path: Path, prompt: list[int]) -> dict[str, Any]:
    """llama.cpp in a process of its own: what it wrote, and its log-probabilities."""
    command = [sys.executable, "-m", "bench.families", str(path)]
    done = subprocess.run(command, input=json.dumps(prompt), capture_output=True, text=True, timeout=300, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))  # libraries may write to stdout, too
    return dict(json.loads(line))


def _write_greedily(path: str, prompt: list[int]) -> dict[str, Any]:
    import xllamacpp  # noqa: PLC0415  # loads llama.cpp: only in the process that runs it

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx, parameters.n_parallel = CONTEXT, 1
    parameters.verbosity = -1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cache_ram_mib = parameters.n_gpu_layers = 0
    parameters.warmup = False
    # Its flash attention rounds queries to f16, which is three quarters of the difference that there is with it.
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(parameters)
    task = {"prompt": prompt, "n_predict": WRITTEN_TOKENS, "temperature": 0.0, "ignore_eos": True, "n_probs": VOCABULARY}
    request = urllib.request.Request(
        server.listening_address + "/completion", json.dumps(task).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        steps = json.loads(answer.read())["completion_probabilities"]
    logprobs = [[0.0] * VOCABULARY for _ in steps]
    for row, step in zip(logprobs, steps, strict=True):
        for top in step["top_logprobs"]:
            row[top["id"]] = top["logprob"]
    return {"written": [step["id"] for step in steps], "logprobs": logprobs}


# ---- files --------------------------------------------------------------------------------------------------------


def write(path: Path, architecture: str, facts: Mapping[str, Any], factors: tuple[str, ...]) -> None:
    """A model of random floats. Norms are near 1, matrices keep the size of what passes through them."""
    said: dict[str, Any] = {
        "block_count": 2,
        "context_length": 2048,
        "embedding_length": EMBEDDING,
        "feed_forward_length": FFN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 10_000.0,
    } | dict(facts)
    writer, rng = gguf.GGUFWriter(path, architecture), np.random.default_rng(3)
    for key, value in said.items():
        kind = gguf.GGUFValueType.UINT32 if isinstance(value, int) else gguf.GGUFValueType.get_type(value)
        writer.add_key_value(f"{architecture}.{key}", value, kind)
    tokens = [f"t{i}" for i in range(VOCABULARY)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * VOCABULARY)
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    head = said.get("attention.key_length", EMBEDDING // HEADS)
    half = said.get("rope.dimension_count", head) // 2
    experts = said.get("expert_count", 0), said.get("expert_feed_forward_length", FFN)
    for name, shape in _tensors(architecture, said["block_count"], head, *experts):
        if len(shape) == 1:
            values = rng.uniform(0.7, 1.3, shape) if name.endswith("weight") else rng.normal(0, 0.5, shape)
        else:
            values = rng.normal(0, 1.5 / shape[-1] ** 0.5, shape)
        writer.add_tensor(name, values.astype(np.float32))
    for name in factors:
        writer.add_tensor(f"{name}.weight", rng.uniform(1, 8 if name.endswith("long") else 2, half).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(architecture: str, layers: int, head: int, experts: int, expert_ffn: int) -> list[tuple[str, tuple[int, ...]]]:
    """(name, NumPy shape) of a tied model's tensors."""
    q, kv = HEADS * head, KV_HEADS * head
    layer: dict[str, tuple[int, ...]] = {"attn_norm.weight": (EMBEDDING,), "ffn_norm.weight": (EMBEDDING,)}
    layer["attn_output.weight"] = EMBEDDING, q
    if experts:
        layer["ffn_gate_inp.weight"] = experts, EMBEDDING
        layer |= {f"ffn_{part}_exps.weight": (experts, expert_ffn, EMBEDDING) for part in ("gate", "up")}
        layer["ffn_down_exps.weight"] = experts, EMBEDDING, expert_ffn
    else:
        layer["ffn_down.weight"] = EMBEDDING, FFN
    if architecture == "phi3":
        layer |= {"attn_qkv.weight": (q + 2 * kv, EMBEDDING), "ffn_up.weight": (2 * FFN, EMBEDDING)}
    else:
        layer |= {"attn_q.weight": (q, EMBEDDING), "attn_k.weight": (kv, EMBEDDING), "attn_v.weight": (kv, EMBEDDING)}
        layer |= {} if experts else {"ffn_gate.weight": (FFN, EMBEDDING), "ffn_up.weight": (FFN, EMBEDDING)}
    if architecture == "qwen2":
        layer |= {"attn_q.bias": (q,), "attn_k.bias": (kv,), "attn_v.bias": (kv,)}
    if architecture in ("qwen3", "qwen3moe", "gemma3"):
        layer |= {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
    if architecture in ("gemma2", "gemma3"):
        layer |= {"post_attention_norm.weight": (EMBEDDING,), "post_ffw_norm.weight": (EMBEDDING,)}
    first = [("token_embd.weight", (VOCABULARY, EMBEDDING)), ("output_norm.weight", (EMBEDDING,))]
    return [*first, *((f"blk.{i}.{name}", shape) for i in range(layers) for name, shape in layer.items())]


if __name__ == "__main__":
    print(json.dumps(_write_greedily(sys.argv[1], json.load(sys.stdin))), flush=True)
    os._exit(0)  # llama.cpp's threads do not end by themselves
