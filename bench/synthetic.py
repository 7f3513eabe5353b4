"""Models of well-known shapes with random weights: what they say is nonsense, what they cost is not.

The tokenizer is the embedded model's. Written once into a cache folder: 1.1 GB takes five seconds, 4.6 GB half a minute.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import numpy.typing as npt

Blocks = npt.NDArray[np.uint8]  # (blocks, bytes)
_Type = gguf.GGMLQuantizationType
_TOKENIZER = ("tokens", "token_type", "merges")


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    name: str
    layers: int
    embedding: int
    ffn: int
    heads: int
    kv_heads: int
    layer_type: Any
    embedding_type: Any  # also the head's

    @property
    def file_name(self) -> str:
        return f"{self.name}-v1.gguf"


def _one_b(name: str, layer_type: Any, embedding_type: Any) -> Synthetic:
    """Llama 3.2 1B."""
    return Synthetic(
        name=name, layers=16, embedding=2048, ffn=8192, heads=32, kv_heads=8, layer_type=layer_type, embedding_type=embedding_type
    )


ONE_B: Final = _one_b("synthetic-1b", _Type.Q4_K, _Type.Q8_0)
ONE_B_Q6: Final = _one_b("synthetic-1b-q6_k", _Type.Q6_K, _Type.Q6_K)
ONE_B_Q8: Final = _one_b("synthetic-1b-q8_0", _Type.Q8_0, _Type.Q8_0)
# Llama 3 8B. Q4_1, because llama.cpp's repacking of Q4_K at load takes memory of its own, which no limit below the file allows.
EIGHT_B: Final = Synthetic(
    name="synthetic-8b-q4_1",
    layers=32,
    embedding=4096,
    ffn=14336,
    heads=32,
    kv_heads=8,
    layer_type=_Type.Q4_1,
    embedding_type=_Type.Q8_0,
)

# Small enough for a peer that takes seconds a token whatever its size; in the one form that it reads.
SMALL_BF16: Final = Synthetic(
    name="synthetic-230m-bf16",
    layers=16,
    embedding=1024,
    ffn=2816,
    heads=16,
    kv_heads=4,
    layer_type=_Type.BF16,
    embedding_type=_Type.BF16,
)


def synthetic(made: Synthetic, folder: Path, tokenizer_from: Path) -> Path:
    """The file, made if it is not there. Made under another name and then renamed: a half one is never used."""
    path = folder / made.file_name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            _write(made, part, gguf.GGUFReader(tokenizer_from))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def _write(made: Synthetic, path: Path, source: Any) -> None:
    tokens, types, merges = (source.fields[f"tokenizer.ggml.{name}"].contents() for name in _TOKENIZER)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(made.layers)
    writer.add_context_length(4096)
    writer.add_embedding_length(made.embedding)
    writer.add_feed_forward_length(made.ffn)
    writer.add_head_count(made.heads)
    writer.add_head_count_kv(made.kv_heads)
    writer.add_rope_freq_base(500000.0)
    writer.add_rope_dimension_count(made.embedding // made.heads)
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
    writer.add_chat_template(source.fields["tokenizer.chat_template"].contents())
    tensors = list(_tensors(made, len(tokens)))
    for name, rows, length in tensors:
        if rows:
            type_ = _type(made, name)
            elements, block_bytes = gguf.GGML_QUANT_SIZES[type_]
            row_bytes = length // elements * block_bytes
            writer.add_tensor_info(name, (rows, row_bytes), np.dtype(np.uint8), rows * row_bytes, type_)
        else:
            writer.add_tensor_info(name, (length,), np.dtype(np.float32), 4 * length)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.Generator(np.random.SFC64(1))
    for name, rows, length in tensors:
        if rows:
            writer.write_tensor_data(_random(rng, _type(made, name), rows, length))
        else:
            writer.write_tensor_data(np.ones(length, np.float32))
    writer.close()


def _type(made: Synthetic, name: str) -> Any:
    return made.embedding_type if name == "token_embd.weight" else made.layer_type


def _tensors(made: Synthetic, vocabulary: int) -> Iterator[tuple[str, int, int]]:
    """(name, rows, row length); vectors have no rows."""
    embedding, ffn = made.embedding, made.ffn
    yield "token_embd.weight", vocabulary, embedding
    kv = embedding // made.heads * made.kv_heads
    for i in range(made.layers):
        yield f"blk.{i}.attn_norm.weight", 0, embedding
        yield f"blk.{i}.attn_q.weight", embedding, embedding
        yield f"blk.{i}.attn_k.weight", kv, embedding
        yield f"blk.{i}.attn_v.weight", kv, embedding
        yield f"blk.{i}.attn_output.weight", embedding, embedding
        yield f"blk.{i}.ffn_norm.weight", 0, embedding
        yield f"blk.{i}.ffn_gate.weight", ffn, embedding
        yield f"blk.{i}.ffn_up.weight", ffn, embedding
        yield f"blk.{i}.ffn_down.weight", embedding, ffn
    yield "output_norm.weight", 0, embedding


def _random(rng: np.random.Generator, type_: Any, rows: int, length: int) -> Blocks:
    """(rows, bytes). Any bytes are blocks; the scales make the weights' mean 0 and their size 1 / sqrt(length)."""
    if type_ is _Type.BF16:
        wide = rng.standard_normal((rows, length), np.float32) * np.float32(length**-0.5)
        return np.ascontiguousarray((wide.view(np.uint32) >> 16).astype(np.uint16)).view(np.uint8)
    elements, block_bytes = gguf.GGML_QUANT_SIZES[type_]
    blocks = np.frombuffer(rng.bytes(rows * length // elements * block_bytes), np.uint8).reshape(-1, block_bytes).copy()
    _SCALED[type_](blocks, length**-0.5)
    return blocks.reshape(rows, -1)


def _q4_1(blocks: Blocks, size: float) -> None:
    d = size / 4.6  # 4.6: the deviation of a random nibble
    _half(blocks, 0, d)
    _half(blocks, 2, -7.5 * d)


def _q4_k(blocks: Blocks, size: float) -> None:
    d = size / 260  # 260: the deviation of scale * nibble - 7.5 * min over random bytes
    _half(blocks, 0, d)
    _half(blocks, 2, 7.5 * d)


def _q6_k(blocks: Blocks, size: float) -> None:
    blocks[:, 192:208] &= 15  # small scales, so that d is no subnormal number
    _half(blocks, 208, size / 163)  # 163: the deviation of scale * (q - 32) then


def _q8_0(blocks: Blocks, size: float) -> None:
    _half(blocks, 0, size / 74)  # 74: the deviation of a random signed byte


_SCALED: Final[Mapping[Any, Callable[[Blocks, float], None]]] = {
    _Type.Q4_1: _q4_1,
    _Type.Q4_K: _q4_k,
    _Type.Q6_K: _q6_k,
    _Type.Q8_0: _q8_0,
}


def _half(blocks: Blocks, offset: int, value: float) -> None:
    blocks[:, offset : offset + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)


def synthetic_1b(folder: Path, tokenizer_from: Path) -> Path:
    return synthetic(ONE_B, folder, tokenizer_from)
