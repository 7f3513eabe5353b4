"""A model of the 1B Llama shape with random weights: what it says is nonsense, what it costs is not.

Layers are Q4_K, the embedding (also the head) Q8_0, the tokenizer is the embedded model's. Written once into a cache folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

NAME = "synthetic-1b-v1.gguf"
LAYERS, EMBEDDING, FFN, HEADS, KV_HEADS = 16, 2048, 8192, 32, 8  # Llama 3.2 1B
_TOKENIZER = ("tokens", "token_type", "merges")


def synthetic_1b(folder: Path, tokenizer_from: Path) -> Path:
    """The file, made if it is not there. Made under another name and then renamed: a half one is never used."""
    path = folder / NAME
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            _write(part, gguf.GGUFReader(tokenizer_from))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def _write(path: Path, source: Any) -> None:
    tokens, types, merges = (source.fields[f"tokenizer.ggml.{name}"].contents() for name in _TOKENIZER)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(4096)
    writer.add_embedding_length(EMBEDDING)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(500000.0)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    tensors = list(_tensors(len(tokens)))
    for name, rows, length in tensors:
        if rows:
            kind = _kind(name)
            row_bytes = length // (256 if kind.name == "Q4_K" else 32) * (144 if kind.name == "Q4_K" else 34)
            writer.add_tensor_info(name, (rows, row_bytes), np.dtype(np.uint8), rows * row_bytes, kind)
        else:
            writer.add_tensor_info(name, (length,), np.dtype(np.float32), 4 * length)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.Generator(np.random.SFC64(1))
    for name, rows, length in tensors:
        if not rows:
            writer.write_tensor_data(np.ones(length, np.float32))
        elif _kind(name) is gguf.GGMLQuantizationType.Q8_0:
            writer.write_tensor_data(_q8_0(rng, rows, length))
        else:
            writer.write_tensor_data(_q4_k(rng, rows, length))
    writer.close()


def _kind(name: str) -> Any:
    return gguf.GGMLQuantizationType.Q8_0 if name == "token_embd.weight" else gguf.GGMLQuantizationType.Q4_K


def _tensors(vocabulary: int) -> Iterator[tuple[str, int, int]]:
    """(name, rows, row length); vectors have no rows."""
    yield "token_embd.weight", vocabulary, EMBEDDING
    kv = EMBEDDING // HEADS * KV_HEADS
    for i in range(LAYERS):
        yield f"blk.{i}.attn_norm.weight", 0, EMBEDDING
        yield f"blk.{i}.attn_q.weight", EMBEDDING, EMBEDDING
        yield f"blk.{i}.attn_k.weight", kv, EMBEDDING
        yield f"blk.{i}.attn_v.weight", kv, EMBEDDING
        yield f"blk.{i}.attn_output.weight", EMBEDDING, EMBEDDING
        yield f"blk.{i}.ffn_norm.weight", 0, EMBEDDING
        yield f"blk.{i}.ffn_gate.weight", FFN, EMBEDDING
        yield f"blk.{i}.ffn_up.weight", FFN, EMBEDDING
        yield f"blk.{i}.ffn_down.weight", EMBEDDING, FFN
    yield "output_norm.weight", 0, EMBEDDING


def _q4_k(rng: np.random.Generator, rows: int, length: int) -> npt.NDArray[np.uint8]:
    """Any bytes are Q4_K; d and dmin make the weights' mean 0 and their size 1 / sqrt(length)."""
    blocks = np.frombuffer(rng.bytes(rows * length // 256 * 144), np.uint8).reshape(-1, 144).copy()
    d = np.float16(1 / (260 * length**0.5))  # 260: the deviation of scale * nibble - 7.5 * min over random bytes
    blocks[:, 0:2] = np.frombuffer(d.tobytes(), np.uint8)
    blocks[:, 2:4] = np.frombuffer(np.float16(7.5 * float(d)).tobytes(), np.uint8)
    return blocks.reshape(rows, -1)


def _q8_0(rng: np.random.Generator, rows: int, length: int) -> npt.NDArray[np.uint8]:
    blocks = np.frombuffer(rng.bytes(rows * length // 32 * 34), np.uint8).reshape(-1, 34).copy()
    d = np.float16(1 / (74 * length**0.5))  # 74: the deviation of a random signed byte
    blocks[:, 0:2] = np.frombuffer(d.tobytes(), np.uint8)
    return blocks.reshape(rows, -1)
