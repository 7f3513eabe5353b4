"""Tiny random models of every family, and a plain NumPy forward pass over them.

What a family is, is written here a second time, from the models' own descriptions: nothing is taken from `models.families`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from freehold.engine.kernels import reference
from freehold.engine.kernels.graph import Rope
from freehold.engine.kv_cache import KvCache, KvType
from freehold.engine.models.llama import Batch, Llama
from freehold.engine.models.moe import model_class
from freehold.engine.models.shape import LlamaShape, shape_of
from freehold.engine.tensor_types import Tensor, TensorType
from tests.engine.kernels.blocks import random_rows

GEMMAS = ("gemma", "gemma2", "gemma3")
# What a file of the family says besides what every file says. Windows are short, so that they hide something.
FACTS: dict[str, dict[str, Any]] = {
    "qwen3": {"attention.key_length": 32, "attention.value_length": 32},
    "qwen3moe": {
        "attention.key_length": 96,
        "attention.value_length": 96,
        "expert_count": 24,  # more than the lanes of any kernel, and no multiple of them
        "expert_used_count": 4,
        "expert_feed_forward_length": 256,
    },
    "smollm3": {"block_count": 5},
    "gemma2": {
        "attention.key_length": 32,
        "attention.value_length": 32,
        "attention.sliding_window": 24,
        "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 3.0,
        "block_count": 3,
    },
    "gemma3": {
        "attention.key_length": 64,
        "attention.value_length": 64,
        "attention.sliding_window": 24,
        "rope.freq_base": 1e6,
        "rope.scaling.type": "linear",
        "rope.scaling.factor": 8.0,
        "block_count": 7,  # the sixth sees everything
        "embedding_length": 128,
        "feed_forward_length": 256,
    },
    "phi3": {
        "attention.sliding_window": 100,
        "rope.dimension_count": 32,
        "rope.scaling.original_context_length": 512,
        "rope.scaling.attn_factor": 1.25,
    },
}


@dataclass(frozen=True, kw_only=True)
class Tiny:
    shape: LlamaShape
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]

    def fact(self, name: str, default: Any = None) -> Any:
        return self.metadata.get(f"{self.metadata['general.architecture']}.{name}", default)


def metadata(architecture: str = "llama", **changes: Any) -> dict[str, Any]:
    values = (
        {
            "block_count": 2,
            "embedding_length": 256,
            "attention.head_count": 4,
            "attention.head_count_kv": 2,
            "feed_forward_length": 512,
            "context_length": 512,
            "rope.freq_base": 10000.0,
            "attention.layer_norm_rms_epsilon": 1e-5,
        }
        | FACTS.get(architecture, {})
        | changes
    )
    return {"general.architecture": architecture} | {f"{architecture}.{name}": value for name, value in values.items()}


def tiny(
    architecture: str = "llama",
    type_: TensorType = TensorType.Q4_1,
    *,
    tied: bool = True,
    factors: bool = False,
    vocabulary: int = 301,
    seed: int = 0,
    **changes: Any,
) -> Tiny:
    rng, facts = np.random.default_rng(seed), metadata(architecture, **changes)
    embedding, ffn = facts[f"{architecture}.embedding_length"], facts[f"{architecture}.feed_forward_length"]
    heads, kv_heads = (facts[f"{architecture}.attention.head_count{part}"] for part in ("", "_kv"))
    head_dim = facts.get(f"{architecture}.attention.key_length", embedding // heads)
    turned = facts.get(f"{architecture}.rope.dimension_count", head_dim)
    q, kv = heads * head_dim, kv_heads * head_dim
    tensors: dict[str, Tensor] = {}

    def matrix(name: str, length: int, rows: int) -> None:
        data = random_rows(rng, type_, rows, length).reshape(-1)
        tensors[name] = Tensor(name=name, type=type_, shape=(length, rows), data=data)

    def vector(name: str, values: npt.NDArray[np.floating[Any]]) -> None:
        data = values.astype(np.float32).view(np.uint8)
        tensors[name] = Tensor(name=name, type=TensorType.F32, shape=(len(values),), data=data)

    matrix("token_embd.weight", embedding, vocabulary)
    if not tied:
        matrix("output.weight", embedding, vocabulary)
    if factors and architecture == "phi3":
        vector("rope_factors_short.weight", rng.uniform(1, 2, turned // 2))
        vector("rope_factors_long.weight", rng.uniform(2, 8, turned // 2))
    elif factors:
        vector("rope_freqs.weight", rng.uniform(1, 8, turned // 2))
    vector("output_norm.weight", rng.uniform(0.5, 1.5, embedding))
    norms = ["attn_norm", "ffn_norm"]
    norms += ["post_attention_norm", "post_ffw_norm"] if architecture in ("gemma2", "gemma3") else []
    sizes = {"attn_q": (embedding, q), "attn_k": (embedding, kv), "attn_v": (embedding, kv), "attn_output": (q, embedding)}
    sizes |= {"ffn_gate": (embedding, ffn), "ffn_up": (embedding, ffn), "ffn_down": (ffn, embedding)}
    experts = facts.get(f"{architecture}.expert_count", 0)
    if experts:
        ffn = facts.get(f"{architecture}.expert_feed_forward_length", ffn)
        sizes = {name: size for name, size in sizes.items() if name.startswith("attn")}
        each = {"ffn_gate": (embedding, ffn), "ffn_up": (embedding, ffn), "ffn_down": (ffn, embedding)}
    if architecture == "phi3":
        sizes = {"attn_qkv": (embedding, q + 2 * kv), "attn_output": (q, embedding)}
        sizes |= {"ffn_up": (embedding, 2 * ffn), "ffn_down": (ffn, embedding)}
    for i in range(facts[f"{architecture}.block_count"]):
        for norm in norms:
            vector(f"blk.{i}.{norm}.weight", rng.uniform(0.5, 1.5, embedding))
        for name, (length, rows) in sizes.items():
            matrix(f"blk.{i}.{name}.weight", length, rows)
        for name, (length, rows) in each.items() if experts else ():
            data = random_rows(rng, type_, rows * experts, length).reshape(-1)
            whole = f"blk.{i}.{name}_exps.weight"
            tensors[whole] = Tensor(name=whole, type=type_, shape=(length, rows, experts), data=data)
        if experts:
            router = rng.normal(0, 0.3, (experts, embedding)).astype(np.float32)
            name = f"blk.{i}.ffn_gate_inp.weight"
            data = router.view(np.uint8).reshape(-1)
            tensors[name] = Tensor(name=name, type=TensorType.F32, shape=(embedding, experts), data=data)
        if architecture == "qwen2":
            for name, size in (("attn_q", q), ("attn_k", kv), ("attn_v", kv)):
                vector(f"blk.{i}.{name}.bias", rng.normal(0, 1, size))
        if architecture in ("qwen3", "qwen3moe", "gemma3"):
            vector(f"blk.{i}.attn_q_norm.weight", rng.uniform(0.5, 1.5, head_dim))
            vector(f"blk.{i}.attn_k_norm.weight", rng.uniform(0.5, 1.5, head_dim))
    return Tiny(shape=shape_of(facts, tensors), metadata=facts, tensors=tensors)


def built(
    model: Tiny,
    *,
    threads: int = 1,
    kernels: str | None = None,
    pages: int = 24,
    sequences: int = 6,
    kv_type: KvType = KvType.F16,
) -> Llama:
    shape = model.shape
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, pages, sequences, pages, kv_type)
    return model_class(shape)(shape, model.tensors, cache, threads, kernels)


def batch(*parts: tuple[int, int, npt.NDArray[np.int32]]) -> Batch:
    """(sequence, first position, tokens) of each part; every token wants logits."""
    tokens = np.concatenate([p[2] for p in parts]).astype(np.int32)
    positions = np.concatenate([np.arange(p[1], p[1] + len(p[2])) for p in parts]).astype(np.int32)
    sequences = np.concatenate([np.full(len(p[2]), p[0]) for p in parts]).astype(np.int32)
    return Batch(tokens=tokens, positions=positions, sequences=sequences, wants_logits=np.ones(len(tokens), np.bool_))


def forward(
    model: Tiny, tokens: npt.NDArray[np.int32], *, long: bool = False, kv_type: KvType = KvType.F16
) -> npt.NDArray[np.float64]:
    """Logits (T, vocabulary) of one sequence from its start. `long`: its context is longer than the original one."""
    architecture, count = model.metadata["general.architecture"], len(tokens)
    embedding, heads = model.fact("embedding_length"), model.fact("attention.head_count")
    kv_heads, epsilon = model.fact("attention.head_count_kv"), model.fact("attention.layer_norm_rms_epsilon")
    head_dim = model.fact("attention.key_length", embedding // heads)
    rope = Rope.INTERLEAVED if architecture in ("llama", "smollm3") else Rope.HALVES
    has_post_norms, has_head_norms = architecture in ("gemma2", "gemma3"), architecture in ("qwen3", "qwen3moe", "gemma3")
    positions = np.arange(count)
    x = reference.dequantise(model.tensors["token_embd.weight"].type, _rows(model, "token_embd.weight"))[tokens]
    x = x * np.float32(math.sqrt(embedding)) if architecture in GEMMAS else x

    def norm(x: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
        return reference.rms_norm(x, _floats(model, f"{name}.weight"), epsilon)

    for i in range(model.fact("block_count")):
        h = norm(x, f"blk.{i}.attn_norm")
        if architecture == "phi3":
            cuts = [heads * head_dim, (heads + kv_heads) * head_dim]
            q, k, v = np.split(_project(model, h, f"blk.{i}.attn_qkv"), cuts, -1)
        else:
            q, k, v = (_project(model, h, f"blk.{i}.attn_{part}") for part in "qkv")
        q, k, v = (part.reshape(count, -1, head_dim) for part in (q, k, v))
        if has_head_norms:
            q, k = norm(q, f"blk.{i}.attn_q_norm"), norm(k, f"blk.{i}.attn_k_norm")
        window = _window(model, architecture, i)
        is_still = architecture == "smollm3" and i % 4 == 3
        frequencies, magnitude = _frequencies(model, architecture, head_dim, local=bool(window), long=long)
        angles, turned = positions[:, None] * frequencies * (not is_still), 2 * len(frequencies)
        q, k = reference.turn(q, angles, rope), reference.turn(k, angles, rope)
        q[..., :turned] *= magnitude
        k[..., :turned] *= magnitude
        out = reference.attend(q, k, v, positions, window=window, cap=model.fact("attn_logit_softcapping", 0.0), kv_type=kv_type)
        branch = _project(model, out.reshape(count, -1), f"blk.{i}.attn_output")
        x = x + (norm(branch, f"blk.{i}.post_attention_norm") if has_post_norms else branch)
        h = norm(x, f"blk.{i}.ffn_norm")
        if model.fact("expert_count"):
            x = x + _mixture(model, h, i)
            continue
        up = _project(model, h, f"blk.{i}.ffn_up")
        if architecture == "phi3":
            gate, up = np.split(up, 2, -1)
        else:
            gate = _project(model, h, f"blk.{i}.ffn_gate")
        gated = (reference.gelu(gate) if architecture in GEMMAS else reference.silu(gate)) * up
        branch = _project(model, gated, f"blk.{i}.ffn_down")
        x = x + (norm(branch, f"blk.{i}.post_ffw_norm") if has_post_norms else branch)
    head = "output" if "output.weight" in model.tensors else "token_embd"
    logits = _project(model, norm(x, "output_norm"), head).astype(np.float64)
    cap = model.fact("final_logit_softcapping", 0.0)
    return np.asarray(reference.soft_cap(logits, cap) if cap else logits)


def _mixture(model: Tiny, h: npt.NDArray[np.float32], layer: int) -> npt.NDArray[np.float32]:
    """Token by token: the softmax of all scores, the largest of them scaled to add up to 1, each times its expert's output."""
    scores = _project(model, h, f"blk.{layer}.ffn_gate_inp").astype(np.float64)
    experts, used = model.fact("expert_count"), model.fact("expert_used_count")
    rows = {part: _rows(model, f"blk.{layer}.ffn_{part}_exps.weight").reshape(experts, -1) for part in ("gate", "up", "down")}
    out = np.zeros(h.shape)
    for t in range(len(h)):
        shares = np.exp(scores[t] - scores[t].max())
        shares /= shares.sum()
        best = sorted(range(experts), key=lambda expert: -shares[expert])[:used]
        for expert in best:
            part = {name: data[expert].reshape(-1, _row_bytes(model, layer, name)) for name, data in rows.items()}
            kind = model.tensors[f"blk.{layer}.ffn_gate_exps.weight"].type
            gate, up = (reference.multiply(kind, part[name], h[t : t + 1]).astype(np.float32) for name in ("gate", "up"))
            out[t] += shares[expert] / shares[best].sum() * reference.multiply(kind, part["down"], reference.silu(gate) * up)[0]
    return out.astype(np.float32)


def _row_bytes(model: Tiny, layer: int, part: str) -> int:
    tensor = model.tensors[f"blk.{layer}.ffn_{part}_exps.weight"]
    return tensor.type.row_bytes(tensor.row_elements)


def _window(model: Tiny, architecture: str, layer: int) -> int:
    size = int(model.fact("attention.sliding_window", 0))
    if architecture == "gemma2":
        return 0 if layer % 2 else size
    if architecture == "gemma3":
        return 0 if layer % 6 == 5 else size
    return size


def _frequencies(
    model: Tiny, architecture: str, head_dim: int, *, local: bool, long: bool
) -> tuple[npt.NDArray[np.float64], float]:
    """Radians a position, and what cos and sin are multiplied by."""
    half = int(model.fact("rope.dimension_count", head_dim)) // 2
    if architecture == "gemma3" and local:
        return 10_000.0 ** (-np.arange(half) / half), 1.0
    whole = model.fact("rope.freq_base") ** (-np.arange(half) / half)
    for name in ("rope_freqs", f"rope_factors_{'long' if long else 'short'}"):
        if f"{name}.weight" in model.tensors:
            whole = whole / _floats(model, f"{name}.weight")
    kind = model.fact("rope.scaling.type", "linear")  # where a file says a factor and no type
    factor = 1.0 if kind == "none" else model.fact("rope.scaling.factor", 1.0)
    magnitude = model.fact("rope.scaling.attn_factor", 1.0)
    if kind != "yarn":
        return whole / factor, magnitude
    # Pair by pair, as the paper tells it: turns within the original context decide between scaled and unscaled.
    original, out = model.fact("rope.scaling.original_context_length"), []
    first, last = (
        half * math.log(original / (turns * 2 * math.pi)) / math.log(model.fact("rope.freq_base")) for turns in (32.0, 1.0)
    )
    first, last = max(0, math.floor(first)), min(2 * half - 1, math.ceil(last))
    for i in range(half):
        scaled = min(1.0, max(0.0, (i - first) / (last - first)))
        out.append(whole[i] / factor * scaled + whole[i] * (1 - scaled))
    return np.array(out), magnitude * (1 + 0.1 * math.log(factor))


def _project(model: Tiny, x: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    out = reference.multiply(model.tensors[f"{name}.weight"].type, _rows(model, f"{name}.weight"), x)
    if f"{name}.bias" in model.tensors:
        out = out + _floats(model, f"{name}.bias")
    return out.astype(np.float32)


def _rows(model: Tiny, name: str) -> npt.NDArray[np.uint8]:
    tensor = model.tensors[name]
    return tensor.data.reshape(tensor.rows, -1)


def _floats(model: Tiny, name: str) -> npt.NDArray[np.float32]:
    return model.tensors[name].data.view(np.float32)
