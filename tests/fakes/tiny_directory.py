"""Writes models as Hugging Face lays them out: config.json, tokenizer.json, safetensors. It shares no code with the readers."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.fakes.tiny_gguf import CHAT_TEMPLATE, SPECIALS, byte_symbols

Array = npt.NDArray[Any]

SPACE = "\u2581"
_GEMMA = {"hidden_activation": "gelu_pytorch_tanh", "head_dim": 64, "query_pre_attn_scalar": 64}
# What a config.json of the family says besides what every one says.
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "tie_word_embeddings": False},
    "mistral": {"model_type": "mistral", "sliding_window": 100, "tie_word_embeddings": False},
    "qwen2": {"model_type": "qwen2", "use_sliding_window": False, "sliding_window": 100, "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3", "head_dim": 96, "attention_bias": False, "tie_word_embeddings": True},
    "mixtral": {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "tie_word_embeddings": False},
    "qwen3_moe": {
        "model_type": "qwen3_moe",
        "head_dim": 96,
        "num_experts": 6,
        "num_experts_per_tok": 2,
        "intermediate_size": 768,
        "moe_intermediate_size": 512,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "tie_word_embeddings": True,
    },
    "smollm3": {"model_type": "smollm3", "no_rope_layer_interval": 4, "tie_word_embeddings": True},
    "gemma": {"model_type": "gemma", "hidden_act": "gelu", "head_dim": 64},
    "gemma2": {"model_type": "gemma2", "sliding_window": 24, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
    | _GEMMA,
    "gemma3": {
        "model_type": "gemma3_text",
        "sliding_window": 24,
        "sliding_window_pattern": 6,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    }
    | _GEMMA,
    "phi3": {
        "model_type": "phi3",
        "sliding_window": 100,
        "original_max_position_embeddings": 256,
        "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 32, "long_factor": [2.0] * 32},
        "tie_word_embeddings": False,
    },
}

# Where a layer's experts are, and what their gate, up and down matrices are called.
EXPERTS = {"mixtral": ("block_sparse_moe", ("w1", "w3", "w2")), "qwen3_moe": ("mlp", ("gate_proj", "up_proj", "down_proj"))}


def config(family: str, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "architectures": ["AnyForCausalLM"],
        "num_hidden_layers": 2,
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": [2, 0],
    }
    return {key: value for key, value in (values | CONFIGS[family] | changes).items() if value is not None}


def tensors(config: Mapping[str, Any], rows: int, seed: int = 0) -> dict[str, Array]:
    """Random float32 weights of a sane scale under Hugging Face's names, (rows, columns)."""
    rng = np.random.default_rng(seed)
    width, hidden, kind = config["hidden_size"], config["intermediate_size"], config["model_type"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head = config.get("head_dim", width // heads)
    has_four_norms = kind in ("gemma2", "gemma3_text")

    def matrix(out: int, into: int) -> Array:
        return np.asarray(rng.standard_normal((out, into)) / np.sqrt(into), np.float32)

    def norm(length: int) -> Array:
        return np.asarray(rng.uniform(-0.2, 0.2, length) + (0 if kind.startswith("gemma") else 1), np.float32)

    found = {"model.embed_tokens.weight": matrix(rows, width) * 3, "model.norm.weight": norm(width)}
    if not config.get("tie_word_embeddings", kind.startswith("gemma")):
        found["lm_head.weight"] = matrix(rows, width)
    for number in range(config["num_hidden_layers"]):
        parts = {"self_attn.o_proj.weight": matrix(width, heads * head), "mlp.down_proj.weight": matrix(width, hidden)}
        parts |= {"input_layernorm.weight": norm(width), "post_attention_layernorm.weight": norm(width)}
        if kind == "phi3":
            parts["self_attn.qkv_proj.weight"] = matrix((heads + 2 * kv_heads) * head, width)
            parts["mlp.gate_up_proj.weight"] = matrix(2 * hidden, width)
        else:
            for part, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
                parts[f"self_attn.{part}_proj.weight"] = matrix(count * head, width)
                if kind == "qwen2":
                    parts[f"self_attn.{part}_proj.bias"] = norm(count * head)
            parts |= {f"mlp.{part}_proj.weight": matrix(hidden, width) for part in ("gate", "up")}
        if experts := EXPERTS.get(kind):
            block, names = experts
            parts = {name: values for name, values in parts.items() if not name.startswith("mlp.")}
            count, inner = config.get("num_experts", config.get("num_local_experts")), config.get("moe_intermediate_size", hidden)
            parts[f"{block}.gate.weight"] = matrix(count, width)
            for expert in range(count):
                for name, (out, into) in zip(names, ((inner, width), (inner, width), (width, inner)), strict=True):
                    parts[f"{block}.experts.{expert}.{name}.weight"] = matrix(out, into)
        if kind in ("qwen3", "qwen3_moe", "gemma3_text"):
            parts |= {f"self_attn.{part}_norm.weight": norm(head) for part in "qk"}
        if has_four_norms:
            parts |= {f"{part}_feedforward_layernorm.weight": norm(width) for part in ("pre", "post")}
        found |= {f"model.layers.{number}.{part}": values for part, values in parts.items()}
    return found


def bfloat16(values: Array) -> Array:
    """float32 to the bits of bfloat16, to the nearest."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def safetensors(arrays: Mapping[str, tuple[str, Array]], **metadata: str) -> bytes:
    """A file of (dtype, values) by name; the bytes of `values` are written as they are."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, (dtype, values) in arrays.items():
        raw = values.tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def byte_level_tokenizer() -> dict[str, Any]:
    """tokenizer.json of the vocabulary of `tiny_gguf`, which splits text as SmolLM does."""
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w"]
    tokens = SPECIALS + byte_symbols() + [merge.replace(" ", "") for merge in merges]
    by_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    steps = [{"type": "Digits", "individual_digits": True}, by_level]
    return {
        "version": "1.0",
        "added_tokens": [_added(i, text) for i, text in enumerate(SPECIALS)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {text: i for i, text in enumerate(tokens)}, "merges": merges},
    }


def pieces_tokenizer() -> dict[str, Any]:
    """tokenizer.json of a small SentencePiece vocabulary, as Llama 2 has it."""
    specials = ["<unk>", "<s>", "</s>"]
    letters = [SPACE, *"abcdehlorw"]
    merges = ["h e", "l l", f"{SPACE} w", "he ll", "l o", "hell o", "o r"]
    tokens = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *(merge.replace(" ", "") for merge in merges)]
    prepend = {"type": "Prepend", "prepend": SPACE}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    return {
        "version": "1.0",
        "added_tokens": [_added(i, text) for i, text in enumerate(specials)],
        "normalizer": {"type": "Sequence", "normalizers": [prepend, replace]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": None,
        "model": {
            "type": "BPE",
            "vocab": {text: i for i, text in enumerate(tokens)},
            "merges": merges,
            "byte_fallback": True,
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "ignore_merges": False,
        },
    }


def _added(number: int, text: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": text} | flags


def tiny_directory(
    directory: Path, family: str = "llama", *, dtype: str = "BF16", shards: int = 1, pieces: bool = False, **changes: Any
) -> dict[str, Array]:
    """Writes a whole model and returns its weights in float32, as they were rounded."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = config(family, **changes)
    tokenizer = pieces_tokenizer() if pieces else byte_level_tokenizer()
    rows = len(tokenizer["model"]["vocab"]) + 5  # embeddings are often padded
    arrays = tensors(settings, rows)
    stored = {name: (dtype, _as(dtype, values)) for name, values in arrays.items()}
    named = {"bos_token": "<s>", "eos_token": {"content": "</s>"}} if pieces else {"eos_token": "<|im_end|>"}
    documents: dict[str, Any] = {
        "config.json": settings,
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": named | {"chat_template": CHAT_TEMPLATE},
    }
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)] if shards > 1 else ["model.safetensors"]
    places = {name: names[i % shards] for i, name in enumerate(stored)}
    if shards > 1:
        documents["model.safetensors.index.json"] = {"metadata": {"total_size": 0}, "weight_map": places}
    for file in names:
        (directory / file).write_bytes(safetensors({name: stored[name] for name in stored if places[name] == file}, format="pt"))
    for file, document in documents.items():
        (directory / file).write_text(json.dumps(document))
    return {name: _back(dtype, values) for name, (_, values) in stored.items()}


def _as(dtype: str, values: Array) -> Array:
    return bfloat16(values) if dtype == "BF16" else values.astype({"F16": np.float16, "F32": np.float32}[dtype])


def _back(dtype: str, values: Array) -> Array:
    return (values.astype(np.uint32) << 16).view(np.float32) if dtype == "BF16" else values.astype(np.float32)
