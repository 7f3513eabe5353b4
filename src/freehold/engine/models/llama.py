"""The Llama family: RMS norm, rotary grouped-query attention, SwiGLU. Covers `llama` and `qwen2`.

Decided here: which files we run (anything else is refused by name before weights are read), and how a batch of tokens becomes the
records that `kernels.step` computes from. Which tokens to compute is the scheduler's, what the logits mean the sampler's.

A batch may mix sequences, and prompts with single tokens: a token's logits depend on its own sequence alone, bit for bit.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from freehold.core.errors import InternalError, MalformedArtefact, UnsupportedArtefact
from freehold.engine.kernels import records
from freehold.engine.kernels.attention import TILE, Rope
from freehold.engine.kernels.formats import FORMATS
from freehold.engine.kernels.library import Kernels
from freehold.engine.kernels.matmul import BLOCK, HEADER_BYTES
from freehold.engine.kernels.records import Layer, Matrix, Step
from freehold.engine.kernels.team import Team
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.tensor_types import Tensor, TensorType

_ROPE: Final[Mapping[str, Rope]] = {"llama": Rope.INTERLEAVED, "qwen2": Rope.HALVES}
_HAS_BIAS: Final = frozenset({"qwen2"})
_MATRICES: Final[Mapping[str, Layer]] = {
    "attn_q": Layer.Q,
    "attn_k": Layer.K,
    "attn_v": Layer.V,
    "attn_output": Layer.OUTPUT,
    "ffn_gate": Layer.GATE,
    "ffn_up": Layer.UP,
    "ffn_down": Layer.DOWN,
}


class HasShape(Protocol):
    """A tensor, or what a header says of one."""

    @property
    def type(self) -> TensorType: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaShape:
    architecture: str
    layers: int
    embedding: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    context: int  # positions the model was trained for
    rope_base: float
    norm_epsilon: float
    tied: bool  # the head is the embedding
    rope_factors: bool  # rope_freqs.weight divides the frequencies
    rope_scale: float = 1.0  # positions are divided by it

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], tensors: Mapping[str, HasShape]) -> "LlamaShape":
        """Raises MalformedArtefact for what contradicts itself, UnsupportedArtefact for what we don't run."""
        return _Reader(metadata, tensors).read()

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """(name, row length, rows) of every matrix."""
        yield "token_embd.weight", self.embedding, self.vocabulary
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        sizes = {
            "attn_q": (self.embedding, q),
            "attn_k": (self.embedding, kv),
            "attn_v": (self.embedding, kv),
            "attn_output": (q, self.embedding),
            "ffn_gate": (self.embedding, self.ffn),
            "ffn_up": (self.embedding, self.ffn),
            "ffn_down": (self.ffn, self.embedding),
        }
        for layer in range(self.layers):
            for name, (length, rows) in sizes.items():
                yield f"blk.{layer}.{name}.weight", length, rows
        if not self.tied:
            yield "output.weight", self.embedding, self.vocabulary

    def vectors(self) -> Iterator[tuple[str, int]]:
        """(name, length) of every f32 vector."""
        for layer in range(self.layers):
            yield f"blk.{layer}.attn_norm.weight", self.embedding
            yield f"blk.{layer}.ffn_norm.weight", self.embedding
            if self.architecture in _HAS_BIAS:
                for part, heads in (("q", self.heads), ("k", self.kv_heads), ("v", self.kv_heads)):
                    yield f"blk.{layer}.attn_{part}.bias", heads * self.head_dim
        yield "output_norm.weight", self.embedding
        if self.rope_factors:
            yield "rope_freqs.weight", self.head_dim // 2


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a shape out of metadata, refusing what does not fit."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, HasShape]

    def read(self) -> LlamaShape:
        architecture = self.metadata.get("general.architecture")
        if not isinstance(architecture, str) or architecture not in _ROPE:
            raise UnsupportedArtefact(f"architecture {architecture!r} is not supported; supported are {', '.join(_ROPE)}")
        embedding, heads = self._count("embedding_length"), self._count("attention.head_count")
        if "token_embd.weight" not in self.tensors:
            raise MalformedArtefact("the model has no tensor token_embd.weight")
        shape = LlamaShape(
            architecture=architecture,
            layers=self._count("block_count"),
            embedding=embedding,
            heads=heads,
            kv_heads=self._count("attention.head_count_kv", heads),
            head_dim=self._count("attention.key_length", embedding // heads),
            ffn=self._count("feed_forward_length"),
            vocabulary=self.tensors["token_embd.weight"].shape[-1],
            context=self._count("context_length"),
            rope_base=self._number("rope.freq_base", 10000.0),
            norm_epsilon=self._number("attention.layer_norm_rms_epsilon", 1e-5),
            tied="output.weight" not in self.tensors,
            rope_factors="rope_freqs.weight" in self.tensors,
            rope_scale=self._rope_scale(),
        )
        self._check_dimensions(shape)
        self._check_tensors(shape)
        return shape

    def _key(self, name: str) -> str:
        return f"{self.metadata['general.architecture']}.{name}"

    def _count(self, name: str, default: int | None = None) -> int:
        value = self.metadata.get(self._key(name), default)
        if value is None:
            raise MalformedArtefact(f"the model's metadata has no {self._key(name)}")
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise UnsupportedArtefact(f"{self._key(name)} is {type(value).__name__}; one number for all layers is supported")
        if not 0 < int(value) < 1 << 31:
            raise MalformedArtefact(f"{self._key(name)} is {value}; it must be a positive number")
        return int(value)

    def _number(self, name: str, default: float) -> float:
        value = self.metadata.get(self._key(name), default)
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < float(value) < math.inf:
            raise MalformedArtefact(f"{self._key(name)} is not a positive number")
        return float(value)

    def _rope_scale(self) -> float:
        kind = self.metadata.get(self._key("rope.scaling.type"), "none")
        if not isinstance(kind, str) or kind not in ("none", "linear"):
            raise UnsupportedArtefact(f"rope scaling {kind!r:.40} is not supported; supported are none and linear")
        # Files from before rope.scaling.* say it so.
        old = self._number("rope.scale_linear", 1.0)
        return self._number("rope.scaling.factor", old) if kind == "linear" else old

    def _check_dimensions(self, s: LlamaShape) -> None:
        for name, value, multiple in (
            ("embedding length", s.embedding, BLOCK),
            ("feed-forward length", s.ffn, BLOCK),
            ("head size", s.head_dim, BLOCK),
            ("head count", s.heads, s.kv_heads),
        ):
            if value % multiple:
                raise UnsupportedArtefact(f"{name} {value} is not a multiple of {multiple}")
        if s.head_dim > 256:
            raise UnsupportedArtefact(f"head size {s.head_dim} is above 256")
        for name, default in (("attention.value_length", s.head_dim), ("rope.dimension_count", s.head_dim)):
            if self._count(name, default) != s.head_dim:
                raise UnsupportedArtefact(f"{self._key(name)} {self._count(name)} differs from the head size {s.head_dim}")
        for name in ("expert_count", "attention.sliding_window"):
            if not isinstance(value := self.metadata.get(self._key(name), 0), int) or value:
                raise UnsupportedArtefact(f"{self._key(name)} {value!r:.40} is not supported")

    def _check_tensors(self, shape: LlamaShape) -> None:
        if shape.layers > len(self.tensors):  # before any list as long as a hostile header says
            raise MalformedArtefact(f"the metadata says {shape.layers} layers, the file has {len(self.tensors)} tensors in all")
        expected: dict[str, tuple[int, ...]] = {name: (length,) for name, length in shape.vectors()}
        expected |= {name: (length, rows) for name, length, rows in shape.matrices()}
        for name, dimensions in expected.items():
            if name not in self.tensors:
                raise MalformedArtefact(f"the model has no tensor {name}")
            tensor = self.tensors[name]
            if tuple(tensor.shape) != dimensions:
                raise MalformedArtefact(f"tensor {name} has shape {tuple(tensor.shape)}, {dimensions} is expected")
            if len(dimensions) == 1 and tensor.type is not TensorType.F32:
                raise UnsupportedArtefact(f"tensor {name} has type {tensor.type.name}; F32 is supported for it")
            if tensor.type not in FORMATS:
                known = ", ".join(type_.name for type_ in FORMATS)
                raise UnsupportedArtefact(f"tensor {name} has type {tensor.type.name}; supported are {known}")
            tensor.type.row_bytes(dimensions[0])
        if extra := sorted(set(self.tensors) - set(expected)):
            raise UnsupportedArtefact(
                f"{len(extra)} tensors of a kind that {shape.architecture} does not have here, first {extra[0]}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tokens to compute in one pass; all arrays have one length. Tokens of one sequence come in order of position."""

    tokens: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32]
    sequences: npt.NDArray[np.int32]  # KV slot of each token
    wants_logits: npt.NDArray[np.bool_]

    def part(self, low: int, high: int) -> "Batch":
        return Batch(
            tokens=self.tokens[low:high],
            positions=self.positions[low:high],
            sequences=self.sequences[low:high],
            wants_logits=self.wants_logits[low:high],
        )


class Llama:
    """A loaded model. Not thread-safe: one thread steps it."""

    def __init__(
        self, shape: LlamaShape, tensors: Mapping[str, Tensor], cache: KvCache, threads: int, kernels: str | None = None
    ) -> None:
        if (cache.layers, cache.kv_heads, cache.head_dim) != (shape.layers, shape.kv_heads, shape.head_dim):
            raise InternalError("the KV cache was made for another model")
        self.shape, self.cache = shape, cache
        self.kernels = Kernels(kernels)
        self._tensors = tensors
        self._kept: list[npt.NDArray[Any]] = []  # arrays that native code points into
        self._record = self._array(Step.LENGTH)
        self._activations = _Activations(shape, self._buffer)
        self._fill_constants(threads)
        self._team = Team(threads, self.kernels.step())

    def step(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Logits (tokens that want them, vocabulary), in batch order. Writes keys and values of every token to the cache."""
        self._check(batch)
        count = len(batch.tokens)
        parts = [batch.part(low, low + records.MAX_COLUMNS) for low in range(0, count, records.MAX_COLUMNS)]
        outs = [self._pass(part) for part in parts]
        return outs[0] if len(outs) == 1 else np.concatenate([*outs, np.empty((0, self.shape.vocabulary), np.float32)])

    def close(self) -> None:
        """Stop the threads. The model computes no more."""
        self._team.close()

    # ---- a pass ---------------------------------------------------------------------------------------------

    def _pass(self, batch: Batch) -> npt.NDArray[np.float32]:
        record = self._record
        tokens, positions, sequences = (
            np.ascontiguousarray(a, dtype=np.int32) for a in (batch.tokens, batch.positions, batch.sequences)
        )
        first, counts = _tiles(positions, sequences)
        outputs = np.flatnonzero(batch.wants_logits).astype(np.int32)
        padded = -(-self.shape.vocabulary // 16) * 16  # the last panel writes whole vectors
        logits = np.empty((len(outputs), padded), np.float32)
        self._sync[8:] = 0
        for field_, value in (
            (Step.TOKENS, len(tokens)),
            (Step.TOKEN_IDS, tokens.ctypes.data),
            (Step.POSITIONS, positions.ctypes.data),
            (Step.SEQUENCES, sequences.ctypes.data),
            (Step.TILES, len(first)),
            (Step.TILE_FIRST, first.ctypes.data),
            (Step.TILE_COUNT, counts.ctypes.data),
            (Step.OUTPUTS, len(outputs)),
            (Step.OUTPUT_TOKENS, outputs.ctypes.data),
            (Step.LOGITS, logits.ctypes.data),
            (Step.LOGITS_PITCH, 4 * padded),
        ):
            record[field_] = value
        self._team.run(record.ctypes.data)
        return logits[:, : self.shape.vocabulary]

    def _check(self, batch: Batch) -> None:
        """Native code trusts its indices: they are checked here."""
        lengths = {len(batch.tokens), len(batch.positions), len(batch.sequences), len(batch.wants_logits)}
        if len(lengths) != 1 or not lengths.pop():
            raise InternalError("a batch needs tokens, positions, sequences and wants_logits of one length above 0")
        if batch.tokens.min() < 0 or batch.tokens.max() >= self.shape.vocabulary:
            raise InternalError(f"a token id is outside the vocabulary of {self.shape.vocabulary}")
        for sequence in np.unique(batch.sequences):
            positions = batch.positions[batch.sequences == sequence]
            if not 0 <= sequence < self.cache.max_sequences:
                raise InternalError(f"sequence {sequence} is not open")
            if positions.min() < 0 or positions.max() >= self.cache.positions_held(int(sequence)):
                raise InternalError(f"sequence {sequence} has no pages for position {positions.max()}; reserve them first")

    # ---- building -------------------------------------------------------------------------------------------

    def _array(self, length: int) -> npt.NDArray[np.int64]:
        array = np.zeros(length, np.int64)
        self._kept.append(array)
        return array

    def _buffer(self, size_bytes: int) -> int:
        """Address of zeroed memory at a 64-byte boundary, touched now so that the first request need not wait for it."""
        raw = np.full(size_bytes + 64, 0, np.uint8)
        self._kept.append(raw)
        return int(raw.ctypes.data) + -int(raw.ctypes.data) % 64

    def _fill_constants(self, threads: int) -> None:
        shape, cache, record = self.shape, self.cache, self._record
        size = records.sync_bytes(shape.layers)
        address = self._buffer(size)
        raw = self._kept[-1]
        start = address - int(raw.ctypes.data)
        self._sync = raw[start : start + size].view(np.int64)
        self._sync[0] = records.CLOSED
        embedding = self._matrix("token_embd.weight", np.zeros(Matrix.LENGTH, np.int64), embeds=True)
        head = embedding if shape.tied else self._matrix("output.weight", np.zeros(Matrix.LENGTH, np.int64))
        table = _rope_table(shape, self._rope_factors(), _positions_ever(cache))
        self._kept += [embedding, head, table]
        heads = shape.heads + 2 * shape.kv_heads
        constants = {
            Step.THREADS: threads,
            Step.SYNC: address,
            Step.SCRATCH: self._buffer(threads * records.SCRATCH_BYTES),
            Step.LAYERS: shape.layers,
            Step.LAYER_RECORDS: self._layers(),
            Step.EMBEDDING: embedding.ctypes.data,
            Step.HEAD: head.ctypes.data,
            Step.FINAL_NORM: self._vector("output_norm.weight"),
            Step.EPSILON: int(np.float32(shape.norm_epsilon).view(np.uint32)),
            Step.X: self._activations.residual,
            Step.X_PITCH: 4 * shape.embedding,
            Step.QKV: self._buffer(records.MAX_COLUMNS * 4 * heads * shape.head_dim),
            Step.QKV_PITCH: 4 * heads * shape.head_dim,
            Step.HIDDEN: self._activations.hidden.ctypes.data,
            Step.ATTENDED: self._activations.attended.ctypes.data,
            Step.FFN: self._activations.ffn.ctypes.data,
            Step.HEADS: shape.heads,
            Step.KV_HEADS: shape.kv_heads,
            Step.HEAD_DIM: shape.head_dim,
            Step.FFN_GROUPS: shape.ffn // BLOCK,
            Step.ROPE: table.ctypes.data,
            Step.CACHE: cache.store.ctypes.data,
            Step.CACHE_LAYER_BYTES: cache.store.strides[1],
            Step.CACHE_PAGE_BYTES: cache.store.strides[0],
            Step.TABLES: cache.block_tables.ctypes.data,
            Step.TABLES_PITCH: cache.block_tables.strides[0],
            Step.PLACE: self.kernels.place(shape.head_dim, _ROPE[shape.architecture]),
            Step.ATTEND: self.kernels.attend(shape.head_dim),
        }
        for field_, value in constants.items():
            record[field_] = value

    def _layers(self) -> int:
        layers = np.zeros((self.shape.layers, Layer.LENGTH), np.int64)
        for i, record in enumerate(layers):
            record[Layer.ATTENTION_NORM] = self._vector(f"blk.{i}.attn_norm.weight")
            record[Layer.FFN_NORM] = self._vector(f"blk.{i}.ffn_norm.weight")
            if self.shape.architecture in _HAS_BIAS:
                parts = [self._floats(f"blk.{i}.attn_{part}.bias") for part in "qkv"]
                bias = np.concatenate(parts)
                self._kept.append(bias)
                record[Layer.BIAS] = bias.ctypes.data
            for name, place in _MATRICES.items():
                self._matrix(f"blk.{i}.{name}.weight", record[place : place + Matrix.LENGTH])
        self._kept.append(layers)
        return int(layers.ctypes.data)

    def _matrix(self, name: str, record: npt.NDArray[np.int64], *, embeds: bool = False) -> npt.NDArray[np.int64]:
        tensor, kernels = self._tensors[name], self.kernels
        row_bytes = tensor.type.row_bytes(tensor.row_elements)
        if tensor.data.nbytes != row_bytes * tensor.rows or not tensor.data.flags.c_contiguous:
            raise InternalError(f"tensor {name} holds {tensor.data.nbytes} bytes, {row_bytes * tensor.rows} are expected")
        self._kept.append(tensor.data)
        record[Matrix.DATA] = tensor.data.ctypes.data
        record[Matrix.ROWS] = tensor.rows
        record[Matrix.ROW_BYTES] = row_bytes
        record[Matrix.BLOCKS] = tensor.row_elements // BLOCK
        record[Matrix.PACK] = kernels.pack(tensor.type)
        record[Matrix.DOTS] = kernels.dots(tensor.type)
        record[Matrix.SINGLE] = kernels.single(tensor.type)
        record[Matrix.EXPAND] = kernels.expand(tensor.type) if embeds else 0
        return record

    def _floats(self, name: str) -> npt.NDArray[np.float32]:
        return self._tensors[name].data.view(np.float32)

    def _vector(self, name: str) -> int:
        vector = self._floats(name)
        self._kept.append(vector)
        return int(vector.ctypes.data)

    def _rope_factors(self) -> npt.NDArray[np.float32] | None:
        return self._floats("rope_freqs.weight") if self.shape.rope_factors else None


@dataclass(slots=True)
class _Activations:
    """Buffers for one pass, and the Columns records that describe them."""

    shape: LlamaShape
    buffer: Any = field(repr=False)
    residual: int = 0
    hidden: npt.NDArray[np.int64] = field(init=False)
    attended: npt.NDArray[np.int64] = field(init=False)
    ffn: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.shape
        self.residual = self.buffer(records.MAX_COLUMNS * 4 * shape.embedding)
        self.hidden = self._columns(shape.embedding)
        self.attended = self._columns(shape.heads * shape.head_dim)
        self.ffn = self._columns(shape.ffn)

    def _columns(self, length: int) -> npt.NDArray[np.int64]:
        pitches = (length, length // BLOCK * HEADER_BYTES, 4 * length)  # q, headers, x
        pairs = [(self.buffer(records.MAX_COLUMNS * pitch), pitch) for pitch in pitches]
        return np.array([value for pair in pairs for value in pair], np.int64)


def _tiles(
    positions: npt.NDArray[np.int32], sequences: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(first token, tokens) of runs of up to TILE neighbours: one sequence, consecutive positions."""
    count = len(positions)
    if count == 1:
        return np.zeros(1, np.int32), np.ones(1, np.int32)
    breaks = np.flatnonzero((np.diff(sequences) != 0) | (np.diff(positions) != 1)) + 1
    starts = [0, *breaks.tolist(), count]
    first = [i for low, high in itertools.pairwise(starts) for i in range(low, high, TILE)]
    ends = [*first[1:], count]
    return np.array(first, np.int32), np.array([end - i for i, end in zip(first, ends, strict=True)], np.int32)


def _positions_ever(cache: KvCache) -> int:
    """No sequence is longer than its block table, nor than all pages together."""
    return max(1, min(cache.max_pages_per_sequence, cache.pages)) * PAGE_POSITIONS


def _rope_table(shape: LlamaShape, factors: npt.NDArray[np.float32] | None, positions: int) -> npt.NDArray[np.float32]:
    """(positions, 2, head_dim): cos, and sin with the sign that the rotation gives its partner."""
    half = shape.head_dim // 2
    frequencies = shape.rope_base ** (-np.arange(half, dtype=np.float64) / half) / shape.rope_scale
    if factors is not None:
        frequencies = frequencies / factors.astype(np.float64)
    angles = np.arange(positions, dtype=np.float64)[:, None] * frequencies
    cos, sin = np.cos(angles), np.sin(angles)
    table = np.empty((positions, 2, shape.head_dim), np.float32)
    if _ROPE[shape.architecture] is Rope.INTERLEAVED:
        table[:, 0, 0::2] = table[:, 0, 1::2] = cos
        table[:, 1, 0::2], table[:, 1, 1::2] = -sin, sin
    else:
        table[:, 0, :half] = table[:, 0, half:] = cos
        table[:, 1, :half], table[:, 1, half:] = -sin, sin
    return table
