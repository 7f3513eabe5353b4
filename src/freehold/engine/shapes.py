"""What models of well-known sizes are made of, and which tensor types a quantisation gives them.

For asking about a model before there is a file of it: the header that such a file would have. A size that is not in the table is
scaled from its number of parameters, and whoever asks is told so. Shapes are those of the models' own configurations; the
recipes are what llama.cpp's quantiser does without an importance matrix, fallbacks for rows that are not whole blocks of 256
included.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from freehold.core.errors import InvalidRequest
from freehold.engine.gguf import DEFAULT_ALIGNMENT, GgufHeader, TensorInfo
from freehold.engine.tensor_types import TensorType

_CONTEXT_TOKENS: Final = 131_072  # of the models of 2024 and later; memory is set aside for what is configured
Q2, Q3, Q4, Q5, Q6 = TensorType.Q2_K, TensorType.Q3_K, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Of a dense decoder with grouped-query attention and a gated feed-forward part."""

    name: str
    layers: int
    embedding: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool  # the head is the embedding
    is_guess: bool = False  # scaled from a number of parameters

    def matrices(self) -> Iterator[tuple[str, int, int, int]]:
        """(kind, layer, row length, rows); the embedding and the head have layer 0."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield "token_embd", 0, self.embedding, self.vocabulary
        for layer in range(self.layers):
            yield "attn_q", layer, self.embedding, q
            yield "attn_k", layer, self.embedding, kv
            yield "attn_v", layer, self.embedding, kv
            yield "attn_output", layer, q, self.embedding
            yield "ffn_gate", layer, self.embedding, self.ffn
            yield "ffn_up", layer, self.embedding, self.ffn
            yield "ffn_down", layer, self.ffn, self.embedding
        if not self.tied:
            yield "output", 0, self.embedding, self.vocabulary

    @property
    def parameters(self) -> int:
        return sum(length * rows for _, _, length, rows in self.matrices())


# Where a bare "8B" has several readings, the first is taken.
KNOWN: Final[tuple[Dimensions, ...]] = (
    Dimensions("llama-3.2-1b", 16, 2048, 8192, 32, 8, 64, 128256, True),
    Dimensions("llama-3.2-3b", 28, 3072, 8192, 24, 8, 128, 128256, True),
    Dimensions("llama-3.1-8b", 32, 4096, 14336, 32, 8, 128, 128256, False),
    Dimensions("llama-3.1-70b", 80, 8192, 28672, 64, 8, 128, 128256, False),
    Dimensions("llama-3.1-405b", 126, 16384, 53248, 128, 8, 128, 128256, False),
    Dimensions("qwen2.5-0.5b", 24, 896, 4864, 14, 2, 64, 151936, True),
    Dimensions("qwen2.5-1.5b", 28, 1536, 8960, 12, 2, 128, 151936, True),
    Dimensions("qwen2.5-3b", 36, 2048, 11008, 16, 2, 128, 151936, True),
    Dimensions("qwen2.5-7b", 28, 3584, 18944, 28, 4, 128, 152064, False),
    Dimensions("qwen2.5-14b", 48, 5120, 13824, 40, 8, 128, 152064, False),
    Dimensions("qwen2.5-32b", 64, 5120, 27648, 40, 8, 128, 152064, False),
    Dimensions("qwen2.5-72b", 80, 8192, 29568, 64, 8, 128, 152064, False),
    Dimensions("qwen3-0.6b", 28, 1024, 3072, 16, 8, 128, 151936, True),
    Dimensions("qwen3-1.7b", 28, 2048, 6144, 16, 8, 128, 151936, True),
    Dimensions("qwen3-4b", 36, 2560, 9728, 32, 8, 128, 151936, True),
    Dimensions("qwen3-8b", 36, 4096, 12288, 32, 8, 128, 151936, False),
    Dimensions("qwen3-14b", 40, 5120, 17408, 40, 8, 128, 151936, False),
    Dimensions("qwen3-32b", 64, 5120, 25600, 64, 8, 128, 151936, False),
    Dimensions("mistral-7b", 32, 4096, 14336, 32, 8, 128, 32768, False),
)


def dimensions(asked: str) -> Dimensions:
    """Of "70B", "qwen2.5-7b" or "llama-3.1-8b". Raises InvalidRequest for what is neither a size nor a known name."""
    word = asked.strip().lower()
    for known in KNOWN:
        if word in (known.name, known.name.rpartition("-")[2]):
            return known
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bmt])", word)
    if not found or not float(found[1]):
        raise InvalidRequest(
            f"{asked!r:.60} is no size: say how many parameters, as in 70B or 500M, or one of "
            + ", ".join(known.name for known in KNOWN),
            param="params",
        )
    return _scaled(float(found[1]) * {"m": 1e6, "b": 1e9, "t": 1e12}[found[2]])


def _scaled(parameters: float) -> Dimensions:
    """The shape of a model between its neighbours: depth, width and feed-forward grow as they do from 1B to 405B."""
    if not 1e7 <= parameters <= 1e13:
        raise InvalidRequest(f"{parameters:.3g} parameters is no size of a language model we know of", param="params")
    ratio = parameters / 8.03e9  # to Llama 3.1 8B
    layers = max(4, round(32 * ratio**0.36))
    vocabulary = 128256 if parameters >= 1e9 else 32768
    tied = parameters < 6e9
    beside = vocabulary * (1 if tied else 2)
    # Of a layer: q and output 2 e^2, k and v e^2 / 2, gate, up and down 3 * 3.5 e^2. The rest is the embedding and the head.
    per_layer = 2 + 0.5 + 10.5
    embedding = (-beside + (beside**2 + 4 * per_layer * layers * parameters) ** 0.5) / (2 * per_layer * layers)
    heads = max(4, round(embedding / 128 / 4) * 4)
    width = heads * 128
    left = parameters - beside * width - layers * 2.5 * width**2
    ffn = max(256, round(left / (3 * layers * width) / 256) * 256)
    return Dimensions(
        name=f"{parameters / 1e9:.3g}B",
        layers=layers,
        embedding=width,
        ffn=ffn,
        heads=heads,
        kv_heads=heads // 4,
        head_dim=128,
        vocabulary=vocabulary,
        tied=tied,
        is_guess=True,
    )


# Which types rows that are not whole blocks of 256 get instead.
_FALLBACK: Final[Mapping[TensorType, TensorType]] = {
    Q2: TensorType.Q4_0,
    Q3: TensorType.Q4_0,
    TensorType.IQ4_XS: TensorType.IQ4_NL,
    Q4: TensorType.Q5_0,
    Q5: TensorType.Q5_1,
    Q6: TensorType.Q8_0,
}
_PLAIN: Final[Mapping[str, TensorType]] = {
    name: TensorType[name] for name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q6_K", "IQ4_NL", "IQ4_XS")
}
_MIXED: Final[Mapping[str, TensorType]] = {"Q2_K": Q2, "Q3_K_M": Q3, "Q4_K_S": Q4, "Q4_K_M": Q4, "Q5_K_S": Q5, "Q5_K_M": Q5}
QUANTISATIONS: Final = (*_MIXED, *_PLAIN)


def header_of(shape: Dimensions, quantisation: str) -> GgufHeader:
    """What a file of it would begin with, as far as sizes go. Raises InvalidRequest for a quantisation that is none."""
    tensors: dict[str, TensorInfo] = {}
    at = 0

    def add(name: str, type_: TensorType, dims: tuple[int, ...], size_bytes: int) -> None:
        nonlocal at
        tensors[name] = TensorInfo(name=name, type=type_, shape=dims, offset=at, size_bytes=size_bytes)
        at += -(-size_bytes // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT

    names = tensor_types(shape, quantisation)
    for (kind, layer, length, rows), (_, type_, size_bytes) in zip(shape.matrices(), names, strict=True):
        name = f"{kind}.weight" if kind in ("token_embd", "output") else f"blk.{layer}.{kind}.weight"
        add(name, type_, (length, rows), size_bytes)
    norms = [f"blk.{layer}.{part}_norm.weight" for layer in range(shape.layers) for part in ("attn", "ffn")]
    for name in (*norms, "output_norm.weight"):
        add(name, TensorType.F32, (shape.embedding,), 4 * shape.embedding)
    settings = {
        "block_count": shape.layers,
        "embedding_length": shape.embedding,
        "feed_forward_length": shape.ffn,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.head_dim,
        "rope.dimension_count": shape.head_dim,
        "context_length": _CONTEXT_TOKENS,
    }
    metadata = {"general.architecture": "llama"} | {f"llama.{key}": value for key, value in settings.items()}
    return GgufHeader(version=3, metadata=metadata, tensors=tensors, header_bytes=0, file_bytes=at)


def tensor_types(shape: Dimensions, quantisation: str) -> Iterator[tuple[str, TensorType, int]]:
    """(kind, type, bytes) of every matrix. Raises InvalidRequest for a quantisation that is none."""
    name = quantisation.strip().upper().replace("-", "_")
    if name not in QUANTISATIONS:
        raise InvalidRequest(f"{quantisation!r:.40} is no quantisation; known are {', '.join(QUANTISATIONS)}", param="quant")
    for kind, layer, length, rows in shape.matrices():
        type_ = _type_of(name, kind, layer, shape)
        if length % type_.block_elements:
            type_ = _FALLBACK[type_]
        yield kind, type_, rows * type_.row_bytes(length)


def _type_of(name: str, kind: str, layer: int, shape: Dimensions) -> TensorType:
    if name in _PLAIN:
        keeps = name in ("F32", "F16", "BF16", "Q8_0", "Q6_K") or not _is_head(kind, shape)
        return _PLAIN[name] if keeps else Q6
    if _is_head(kind, shape):
        return Q6
    base, grouped = _MIXED[name], shape.heads // shape.kv_heads
    special: TensorType | None = None
    match name, kind:
        case "Q4_K_M" | "Q5_K_M", "attn_v" | "ffn_down" if _gets_more(layer, shape.layers):
            special = Q6
        case "Q4_K_S", "attn_v" if layer < 4:
            special = Q5
        case "Q4_K_S", "ffn_down" if layer < shape.layers // 8:
            special = Q5
        case "Q3_K_M", "attn_v":
            special = Q5 if layer < 2 else Q4
        case "Q3_K_M", "ffn_down":
            special = Q5 if layer < shape.layers // 16 else Q4
        case "Q3_K_M", "attn_output":
            special = Q4
        case "Q2_K", "attn_v":
            special = Q4 if grouped >= 4 else Q3
        case "Q2_K", "ffn_down" | "attn_output":
            special = Q3
    found = special or base
    # 70B: its eight heads of values serve 64 of queries, so that they are worth a bit more.
    return Q5 if kind == "attn_v" and shape.layers == 80 and found in (Q3, Q4) else found


def _is_head(kind: str, shape: Dimensions) -> bool:
    return kind == "output" or (shape.tied and kind == "token_embd")


def _gets_more(layer: int, layers: int) -> bool:
    """The first and the last eighth, and every third between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
