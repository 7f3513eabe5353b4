"""Writes small GGUF files: valid ones, and wrong ones on demand. It shares no code with the reader."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

F32 = 0


@dataclass(frozen=True, slots=True)
class BytesPrefix:
    """The start of a file that is in memory, for those who read one."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def upto(self, end: int) -> memoryview:
        return memoryview(self.data)


def pack_string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def pack_value(value: Any) -> bytes:
    """Type word and value, the type being the one that writers use for such a value."""
    match value:
        case bool():
            return struct.pack("<IB", 7, value)
        case int():
            return struct.pack("<II", 4, value) if 0 <= value < 1 << 32 else struct.pack("<Iq", 11, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + pack_string(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(pack_string, value))
        case [float(), *_]:
            return struct.pack("<IIQ", 9, 6, len(value)) + struct.pack(f"<{len(value)}f", *value)
        case list():
            return struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    raise TypeError(type(value))


def pack_tensor(name: str, shape: Sequence[int], kind: int, offset: int) -> bytes:
    return pack_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def write_gguf(metadata: Mapping[str, Any], tensors: Mapping[str, np.ndarray[Any, Any]], *, version: int = 3) -> bytes:
    """A whole file with F32 tensors; NumPy's (rows, columns) becomes ggml's (columns, rows)."""
    table, data = b"", b""
    for name, values in tensors.items():
        table += pack_tensor(name, values.shape[::-1], F32, len(data))
        raw = values.astype("<f4").tobytes()
        data += raw + bytes(-len(raw) % 32)
    keys = b"".join(pack_string(key) + pack_value(value) for key, value in metadata.items())
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata)) + keys + table
    return head + bytes(-len(head) % 32) + data


def byte_symbols() -> list[str]:
    """GPT-2's printable stand-in for each of the 256 bytes, in the order of the bytes."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = iter(range(256, 512))
    return [chr(byte) if byte in kept else chr(next(moved)) for byte in range(256)]


CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def tiny_metadata(**changes: Any) -> dict[str, Any]:
    """A complete two-layer Llama with a byte-level vocabulary: 3 special tokens, 256 bytes, a few merges."""
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w"]
    tokens = SPECIALS + byte_symbols() + [merge.replace(" ", "") for merge in merges]
    metadata: dict[str, Any] = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.block_count": 2,
        "llama.context_length": 256,
        "llama.embedding_length": 64,
        "llama.feed_forward_length": 96,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10000.0,
        "llama.rope.dimension_count": 32,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(SPECIALS) + [1] * (len(tokens) - len(SPECIALS)),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
    metadata.update(changes)
    return {key: value for key, value in metadata.items() if value is not None}


def tiny_tensors(metadata: Mapping[str, Any], seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Random weights of a sane scale for `tiny_metadata`; the head is tied."""
    rng = np.random.default_rng(seed)
    width, hidden = metadata["llama.embedding_length"], metadata["llama.feed_forward_length"]
    kv_width = width // metadata["llama.attention.head_count"] * metadata["llama.attention.head_count_kv"]

    def matrix(rows: int, columns: int) -> np.ndarray[Any, Any]:
        return np.asarray(rng.standard_normal((rows, columns)) / np.sqrt(columns), np.float32)

    tensors = {
        "token_embd.weight": matrix(len(metadata["tokenizer.ggml.tokens"]), width) * 3,
        "output_norm.weight": np.ones(width, np.float32),
    }
    for layer in range(metadata["llama.block_count"]):
        block = f"blk.{layer}."
        tensors |= {
            block + "attn_norm.weight": np.ones(width, np.float32),
            block + "attn_q.weight": matrix(width, width),
            block + "attn_k.weight": matrix(kv_width, width),
            block + "attn_v.weight": matrix(kv_width, width),
            block + "attn_output.weight": matrix(width, width),
            block + "ffn_norm.weight": np.ones(width, np.float32),
            block + "ffn_gate.weight": matrix(hidden, width),
            block + "ffn_up.weight": matrix(hidden, width),
            block + "ffn_down.weight": matrix(width, hidden),
        }
    return tensors


def tiny_gguf(seed: int = 0, **changes: Any) -> bytes:
    metadata = tiny_metadata(**changes)
    return write_gguf(metadata, tiny_tensors(metadata, seed))


def tiny_parts(count: int, **changes: Any) -> dict[str, bytes]:
    """The tiny model in `count` files, their names and bytes: the first has the metadata, each its share of the tensors."""
    metadata = tiny_metadata(**changes)
    tensors = list(tiny_tensors(metadata).items())
    files = {}
    for i in range(count):
        place = {"split.no": i, "split.count": count, "split.tensors.count": len(tensors)}
        share = dict(tensors[len(tensors) * i // count : len(tensors) * (i + 1) // count])
        files[f"tiny-{i + 1:05}-of-{count:05}.gguf"] = write_gguf((metadata if i == 0 else {}) | place, share)
    return files
