"""A loaded model: RMS norm, rotary grouped-query attention, a gated feed-forward part, and what `families` adds.

Decided here: how weights and a batch of tokens become the records that `kernels.step` computes from. Which files we run is
`shape`'s to say; which tokens to compute is the scheduler's, what the logits mean the sampler's.

A batch may mix sequences, and prompts with single tokens: a token's logits depend on its own sequence alone, bit for bit.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import InternalError
from freehold.engine.kernels import records
from freehold.engine.kernels.attention import TILE
from freehold.engine.kernels.library import Kernels
from freehold.engine.kernels.matmul import BLOCK, HEADER_BYTES
from freehold.engine.kernels.records import Layer, Matrix, Step, Tile
from freehold.engine.kernels.team import Team
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.rotary import Rotation
from freehold.engine.models.shape import LlamaShape
from freehold.engine.tensor_types import Tensor

_MATRICES: Final[Mapping[str, Layer]] = {
    "attn_q": Layer.Q,
    "attn_k": Layer.K,
    "attn_v": Layer.V,
    "attn_output": Layer.OUTPUT,
    "ffn_gate": Layer.GATE,
    "ffn_up": Layer.UP,
    "ffn_down": Layer.DOWN,
}
_NO_WINDOW: Final = 1 << 40  # longer than any context


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
        self._threads = threads
        self._kept: list[npt.NDArray[Any]] = []  # arrays that native code points into
        self._record = self._array(Step.LENGTH)
        self._activations = _Activations(shape, self._buffer)
        self._fill_constants(threads)
        self._team = Team(threads, self.kernels.step(shape.graph))

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
        record[Step.PASS] += 1
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
        self._kept += [embedding, head]
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
            Step.BRANCH: self._activations.branch,
            Step.CACHE: cache.store.ctypes.data,
            Step.CACHE_LAYER_BYTES: cache.store.strides[1],
            Step.CACHE_PAGE_BYTES: cache.store.strides[0],
            Step.TABLES: cache.block_tables.ctypes.data,
            Step.TABLES_PITCH: cache.block_tables.strides[0],
            Step.PLACE: self.kernels.place(shape.graph),
            Step.ATTEND: self.kernels.attend(shape.graph),
            Step.PASS: 0,
            Step.RING: self._array(records.Ring.LENGTH).ctypes.data,
            Step.EMBEDS: 1,
        }
        for field_, value in constants.items():
            record[field_] = value

    def _layers(self) -> int:
        shape, tables = self.shape, self._rope_tables()
        layers = np.zeros((shape.layers, Layer.LENGTH), np.int64)
        for i, record in enumerate(layers):
            for place, name in self._norms():
                record[place] = self._vector(f"blk.{i}.{name}.weight")
            record[Layer.ROPE] = tables[shape.rotation_of(i)].ctypes.data
            record[Layer.WINDOW] = shape.window_of(i) or _NO_WINDOW
            if shape.family.bias:
                parts = [self._floats(f"blk.{i}.attn_{part}.bias") for part in "qkv"]
                bias = np.concatenate(parts)
                self._kept.append(bias)
                record[Layer.BIAS] = bias.ctypes.data
            for name, place in _MATRICES.items():
                self._matrix(f"blk.{i}.{name}.weight", record[place : place + Matrix.LENGTH])
        self._kept.append(layers)
        return int(layers.ctypes.data)

    def _matrix(self, name: str, record: npt.NDArray[np.int64], *, embeds: bool = False) -> npt.NDArray[np.int64]:
        tensor, kernels = self._rows(name), self.kernels
        row_bytes = tensor.type.row_bytes(tensor.row_elements)
        if tensor.data.nbytes != row_bytes * tensor.rows or not tensor.data.flags.c_contiguous:
            raise InternalError(f"tensor {name} holds {tensor.data.nbytes} bytes, {row_bytes * tensor.rows} are expected")
        record[Matrix.TILES] = self._resident_tile(tensor.data)
        record[Matrix.TILE_ROWS] = record[Matrix.ROWS] = tensor.rows
        record[Matrix.SHARES] = records.SHARES_A_THREAD * self._threads
        record[Matrix.ROW_BYTES] = row_bytes
        record[Matrix.BLOCKS] = tensor.row_elements // BLOCK
        record[Matrix.PACK] = kernels.pack(tensor.type)
        record[Matrix.DOTS] = kernels.dots(tensor.type)
        record[Matrix.SINGLE] = kernels.single(tensor.type)
        record[Matrix.EXPAND] = kernels.expand(tensor.type, self.shape.graph.embedding_scale) if embeds else 0
        return record

    def _resident_tile(self, data: npt.NDArray[np.uint8]) -> int:
        """Address of a Tile record over rows that stay in memory."""
        tile = self._array(Tile.LENGTH)
        tile[Tile.BASE], tile[Tile.ARRIVED] = data.ctypes.data, records.ALWAYS
        self._kept.append(data)
        return int(tile.ctypes.data)

    def _rows(self, name: str) -> Tensor:
        """A matrix by its name: a tensor of the file, or some rows of one."""
        source, first = self.shape.source(name)
        tensor, matrix = self._tensors[source], name.removesuffix(".weight").rpartition(".")[2]
        length, rows = self.shape.layer_matrices().get(matrix, (tensor.row_elements, tensor.rows))
        if rows == tensor.rows:
            return tensor
        row_bytes = tensor.type.row_bytes(length)
        data = tensor.data[first * row_bytes : (first + rows) * row_bytes]
        return Tensor(name=name, type=tensor.type, shape=(length, rows), data=data)

    def _floats(self, name: str) -> npt.NDArray[np.float32]:
        return self._tensors[name].data.view(np.float32)

    def _vector(self, name: str) -> int:
        vector = self._floats(name)
        self._kept.append(vector)
        return int(vector.ctypes.data)

    def _norms(self) -> Iterator[tuple[Layer, str]]:
        graph = self.shape.graph
        yield from ((Layer.ATTENTION_NORM, "attn_norm"), (Layer.FFN_NORM, "ffn_norm"))
        if graph.qk_norm:
            yield from ((Layer.Q_NORM, "attn_q_norm"), (Layer.K_NORM, "attn_k_norm"))
        if graph.post_norms:
            yield from ((Layer.ATTENTION_POST_NORM, "post_attention_norm"), (Layer.FFN_POST_NORM, "post_ffw_norm"))

    def _rope_tables(self) -> Mapping[Rotation, npt.NDArray[np.float32]]:
        rope, positions = self.shape.graph.rope, _positions_ever(self.cache)
        tables = {rotation: rotation.table(rope, positions, self._floats) for rotation in self.shape.rotations}
        self._kept += tables.values()
        return tables


@dataclass(slots=True)
class _Activations:
    """Buffers for one pass, and the Columns records that describe them."""

    shape: LlamaShape
    buffer: Any = field(repr=False)
    residual: int = 0
    branch: int = 0  # 0 where the graph needs none
    hidden: npt.NDArray[np.int64] = field(init=False)
    attended: npt.NDArray[np.int64] = field(init=False)
    ffn: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.shape
        self.residual = self.buffer(records.MAX_COLUMNS * 4 * shape.embedding)
        self.branch = self.buffer(records.MAX_COLUMNS * 4 * shape.embedding) if shape.graph.post_norms else 0
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
