"""Tiny random models of the Llama family, and a plain NumPy forward pass over them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from freehold.engine.kernels import reference
from freehold.engine.kernels.attention import Rope
from freehold.engine.kv_cache import KvCache
from freehold.engine.models import Batch, Llama, LlamaShape, shape_of
from freehold.engine.tensor_types import Tensor, TensorType
from tests.engine.kernels.blocks import random_rows


@dataclass(frozen=True, kw_only=True)
class Tiny:
    shape: LlamaShape
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def metadata(architecture: str = "llama", **changes: Any) -> dict[str, Any]:
    values = {
        "block_count": 2,
        "embedding_length": 256,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "feed_forward_length": 512,
        "context_length": 512,
        "rope.freq_base": 10000.0,
        "attention.layer_norm_rms_epsilon": 1e-5,
    } | changes
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
    if factors:
        vector("rope_freqs.weight", rng.uniform(1, 8, head_dim // 2))
    vector("output_norm.weight", rng.uniform(0.5, 1.5, embedding))
    for i in range(facts[f"{architecture}.block_count"]):
        for norm in ("attn_norm", "ffn_norm"):
            vector(f"blk.{i}.{norm}.weight", rng.uniform(0.5, 1.5, embedding))
        sizes = {"attn_q": (embedding, q), "attn_k": (embedding, kv), "attn_v": (embedding, kv), "attn_output": (q, embedding)}
        sizes |= {"ffn_gate": (embedding, ffn), "ffn_up": (embedding, ffn), "ffn_down": (ffn, embedding)}
        for name, (length, rows) in sizes.items():
            matrix(f"blk.{i}.{name}.weight", length, rows)
        if architecture == "qwen2":
            for name, size in (("attn_q", q), ("attn_k", kv), ("attn_v", kv)):
                vector(f"blk.{i}.{name}.bias", rng.normal(0, 1, size))
    return Tiny(shape=shape_of(facts, tensors), metadata=facts, tensors=tensors)


def built(model: Tiny, *, threads: int = 1, kernels: str | None = None, pages: int = 24, sequences: int = 6) -> Llama:
    shape = model.shape
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, pages, sequences, pages)
    return Llama(shape, model.tensors, cache, threads, kernels)


def batch(*parts: tuple[int, int, npt.NDArray[np.int32]]) -> Batch:
    """(sequence, first position, tokens) of each part; every token wants logits."""
    tokens = np.concatenate([p[2] for p in parts]).astype(np.int32)
    positions = np.concatenate([np.arange(p[1], p[1] + len(p[2])) for p in parts]).astype(np.int32)
    sequences = np.concatenate([np.full(len(p[2]), p[0]) for p in parts]).astype(np.int32)
    return Batch(tokens=tokens, positions=positions, sequences=sequences, wants_logits=np.ones(len(tokens), np.bool_))


def forward(model: Tiny, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Logits (T, vocabulary) of one sequence from its start."""
    s, count = model.shape, len(tokens)
    rope = Rope.INTERLEAVED if s.architecture == "llama" else Rope.HALVES
    half = s.head_dim // 2
    frequencies = s.rope_base ** (-np.arange(half) / half) / s.rope_scale
    if s.rope_factors:
        frequencies = frequencies / _floats(model, "rope_freqs.weight")
    positions = np.arange(count)
    angles = positions[:, None] * frequencies
    x = reference.dequantise(model.tensors["token_embd.weight"].type, _rows(model, "token_embd.weight"))[tokens]
    for i in range(s.layers):
        h = reference.rms_norm(x, _floats(model, f"blk.{i}.attn_norm.weight"), s.norm_epsilon)
        q, k, v = (_project(model, h, f"blk.{i}.attn_{part}") for part in "qkv")
        q = reference.turn(q.reshape(count, s.heads, s.head_dim), angles, rope)
        k = reference.turn(k.reshape(count, s.kv_heads, s.head_dim), angles, rope)
        out = reference.attend(q, k, v.reshape(count, s.kv_heads, s.head_dim), positions)
        x = x + _project(model, out.reshape(count, -1), f"blk.{i}.attn_output")
        h = reference.rms_norm(x, _floats(model, f"blk.{i}.ffn_norm.weight"), s.norm_epsilon)
        gated = reference.silu(_project(model, h, f"blk.{i}.ffn_gate")) * _project(model, h, f"blk.{i}.ffn_up")
        x = x + _project(model, gated, f"blk.{i}.ffn_down")
    h = reference.rms_norm(x, _floats(model, "output_norm.weight"), s.norm_epsilon)
    return _project(model, h, "token_embd" if s.tied else "output").astype(np.float64)


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
