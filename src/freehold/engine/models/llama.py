"""A loaded model: RMS norm, rotary grouped-query attention, a gated feed-forward part, and what `families` adds.

Decided here: how weights and a batch of tokens become the records that `kernels.step` computes from. Which files we run is
`shape`'s to say; which tokens to compute is the scheduler's, what the logits mean the sampler's.

A batch may mix sequences, and prompts with single tokens: a token's logits depend on its own sequence alone, bit for bit.
"""

import ctypes
import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import InternalError
from freehold.engine.kernels import records
from freehold.engine.kernels.attention import TILE
from freehold.engine.kernels.library import Kernels
from freehold.engine.kernels.matmul import HEADER_BYTES
from freehold.engine.kernels.records import BLOCK, Layer, Matrix, Step, Tile
from freehold.engine.kernels.team import Team
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.rotary import Rotation
from freehold.engine.models.shape import LlamaShape
from freehold.engine.ring import RingStats
from freehold.engine.streaming import Streaming
from freehold.engine.tensor_types import Tensor, TensorType
from freehold.engine.tile_table import TiledMatrix

_MATRICES: Final[Mapping[str, Layer]] = {
    "attn_q": Layer.Q,
    "attn_k": Layer.K,
    "attn_v": Layer.V,
    "attn_output": Layer.OUTPUT,
    "ffn_gate": Layer.GATE,
    "ffn_up": Layer.UP,
    "ffn_down": Layer.DOWN,
}
_SHARED: Final = (("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up"))  # matrices whose rows are cut in one phase
_SHARES_A_TILE: Final = 3  # of a streamed matrix: threads that work on neighbouring shares then need no more than two tiles
_INPUTS: Final = (  # of a pass: int32, a token, a tile or an output each
    Step.TOKEN_IDS,
    Step.POSITIONS,
    Step.SEQUENCES,
    Step.TILE_FIRST,
    Step.TILE_COUNT,
    Step.OUTPUT_TOKENS,
)
_ONE_TILE: Final = (np.zeros(1, np.int32), np.ones(1, np.int32))
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


def check_batch(batch: Batch, vocabulary: int, cache: KvCache) -> None:
    """Kernels trust their indices: they are checked here. Raises InternalError."""
    tokens, positions, sequences = batch.tokens.tolist(), batch.positions.tolist(), batch.sequences.tolist()
    if not tokens or not len(tokens) == len(positions) == len(sequences) == len(batch.wants_logits):
        raise InternalError("a batch needs tokens, positions, sequences and wants_logits of one length above 0")
    if min(tokens) < 0 or max(tokens) >= vocabulary:
        raise InternalError(f"a token id is outside the vocabulary of {vocabulary}")
    held = {}
    for sequence in set(sequences):
        if not 0 <= sequence < cache.max_sequences:
            raise InternalError(f"sequence {sequence} is not open")
        held[sequence] = cache.positions_held(sequence)
    for sequence, position in zip(sequences, positions, strict=True):
        if not 0 <= position < held[sequence]:
            raise InternalError(f"sequence {sequence} has no pages for position {position}; reserve them first")


class Llama:
    """A loaded model. Not thread-safe: one thread steps it."""

    def __init__(
        self,
        shape: LlamaShape,
        tensors: Mapping[str, Tensor],
        cache: KvCache,
        threads: int,
        kernels: str | None = None,
        *,
        streaming: Streaming | None = None,
        layers: range | None = None,
    ) -> None:
        """Matrices come from `streaming`, where there is one, else from `tensors`.

        With `layers` it computes those alone, for `run`: `cache` holds as many, and the embedding may be missing, as may the
        head and its norm.
        """
        self.layers = range(shape.layers) if layers is None else layers
        if (cache.layers, cache.kv_heads, cache.head_dim) != (len(self.layers), shape.kv_heads, shape.head_dim):
            raise InternalError("the KV cache was made for another model")
        self.shape, self.cache = shape, cache
        self.kernels = Kernels(kernels)
        self._tensors, self._streaming = tensors, streaming
        self._threads = threads
        self._passing = threading.Lock()
        self._kept: list[npt.NDArray[Any]] = []  # arrays that native code points into
        self._record = self._array(Step.LENGTH)
        self._inputs = {place: np.zeros(records.MAX_COLUMNS, np.int32) for place in _INPUTS}
        self._activations = _Activations(shape, self._buffer)
        self._fill_constants(threads)
        self._team = Team(threads, self.kernels.step(shape.graph))

    def step(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Logits (tokens that want them, vocabulary), in batch order. Writes keys and values of every token to the cache."""
        check_batch(batch, self.shape.vocabulary, self.cache)
        count = len(batch.tokens)
        if count <= records.MAX_COLUMNS:
            return self._pass(batch)
        return np.concatenate(
            [self._pass(batch.part(low, low + records.MAX_COLUMNS)) for low in range(0, count, records.MAX_COLUMNS)]
        )

    def run(
        self, batch: Batch, residual: npt.NDArray[np.float32] | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The layers that this model has, for one part of a model that others compute the rest of.

        Starts from `residual` (tokens, embedding), or from the tokens' embedding where it is None. Returns the residual after the
        last layer, and logits as `step` does: a model without a head must not be asked for any. At most MAX_COLUMNS tokens.
        """
        check_batch(batch, self.shape.vocabulary, self.cache)
        count = len(batch.tokens)
        if count > records.MAX_COLUMNS:
            raise InternalError(f"{count} tokens in one pass; {records.MAX_COLUMNS} is the most")
        if residual is not None:
            self._activations.residual[:count] = residual
        logits = self._pass(batch, embeds=residual is None)
        return self._activations.residual[:count].copy(), logits

    def stream_stats(self) -> RingStats | None:
        """What was read in passes; None where everything is in memory."""
        return None if self._streaming is None else self._streaming.stats()

    def close(self) -> None:
        """Stop the threads. The model computes no more; a pass that is running ends first, or early, if it waits for weights."""
        if self._streaming is not None:
            self._streaming.fail(InternalError("the model was closed while it computed"))
        with self._passing:
            self._team.close()
            if self._streaming is not None:
                self._streaming.close()

    # ---- a pass ---------------------------------------------------------------------------------------------

    def _pass(self, batch: Batch, *, embeds: bool = True) -> npt.NDArray[np.float32]:
        record, number = self._record, int(self._record[Step.PASS]) + 1
        first, counts = _tiles(batch.positions, batch.sequences)
        (outputs,) = batch.wants_logits.nonzero()
        logits = np.empty((len(outputs), int(record[Step.LOGITS_PITCH]) // 4), np.float32)
        with self._passing:
            self._sync[8:] = 0
            tokens = batch.tokens if embeds else batch.tokens[:0]
            if self._streaming is not None:
                tokens = self._streaming.begin(number, tokens, wants_logits=len(outputs) > 0)
            for place, values in (
                (Step.TOKEN_IDS, tokens),
                (Step.POSITIONS, batch.positions),
                (Step.SEQUENCES, batch.sequences),
                (Step.TILE_FIRST, first),
                (Step.TILE_COUNT, counts),
                (Step.OUTPUT_TOKENS, outputs),
            ):
                self._inputs[place][: len(values)] = values
            for place, value in (
                (Step.PASS, number),
                (Step.EMBEDS, embeds),
                (Step.TOKENS, len(batch.tokens)),
                (Step.TILES, len(first)),
                (Step.OUTPUTS, len(outputs)),
                (Step.LOGITS, logits.ctypes.data),
            ):
                record[place] = value
            self._compute()
            if self._streaming is not None:
                self._streaming.end()
        return logits[:, : self.shape.vocabulary]

    def _compute(self) -> None:
        """Run the pass that the record describes."""
        self._team.run(self._record.ctypes.data)

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
        size = records.sync_bytes(len(self.layers))
        address = self._buffer(size)
        raw = self._kept[-1]
        start = address - int(raw.ctypes.data)
        self._sync = raw[start : start + size].view(np.int64)
        self._sync[0] = records.CLOSED
        embedding, head = self._embedding(), self._head()
        self._kept += [embedding, head]
        heads = shape.heads + 2 * shape.kv_heads
        constants = {
            Step.THREADS: threads,
            Step.SYNC: address,
            Step.SCRATCH: self._buffer(threads * records.SCRATCH_BYTES),
            Step.LAYERS: len(self.layers),
            Step.LAYER_RECORDS: self._layers(),
            Step.EMBEDDING: embedding.ctypes.data,
            Step.HEAD: head.ctypes.data,
            Step.LOGITS_PITCH: 4 * (-(-shape.vocabulary // 16) * 16),  # the last panel writes whole vectors
            Step.FINAL_NORM: self._vector("output_norm.weight") if self._has_head else 0,
            Step.EPSILON: int(np.float32(shape.norm_epsilon).view(np.uint32)),
            Step.X: self._activations.residual.ctypes.data,
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
            Step.PLACE: self.kernels.place(replace(shape.graph, kv_type=cache.kv_type)),
            Step.ATTEND: self.kernels.attend(replace(shape.graph, kv_type=cache.kv_type)),
            Step.PASS: 0,
            Step.RING: self._streaming.ring_address if self._streaming else self._array(records.Ring.LENGTH).ctypes.data,
            Step.EMBEDS: 1,
        }
        for place, value in (constants | {place: array.ctypes.data for place, array in self._inputs.items()}).items():
            record[place] = value

    def _layers(self) -> int:
        shape, tables = self.shape, self._rope_tables()
        layers = np.zeros((len(self.layers), Layer.LENGTH), np.int64)
        for i, record in zip(self.layers, layers, strict=True):
            for place, name in self._norms():
                record[place] = self._vector(f"blk.{i}.{name}.weight")
            record[Layer.ROPE] = tables[shape.rotation_of(i)].ctypes.data
            record[Layer.WINDOW] = shape.window_of(i) or _NO_WINDOW
            if shape.family.bias:
                parts = [self._floats(f"blk.{i}.attn_{part}.bias") for part in "qkv"]
                bias = np.concatenate(parts)
                self._kept.append(bias)
                record[Layer.BIAS] = bias.ctypes.data
            for name, place in self._places().items():
                self._matrix(f"blk.{i}.{name}.weight", record[place : place + Matrix.LENGTH])
            for phase in _SHARED:  # its first matrix says how finely it is cut
                first, *others = (record[_MATRICES[name] + Matrix.SHARES] for name in phase)
                record[_MATRICES[phase[0]] + Matrix.SHARES] = max(first, *others)
        self._kept.append(layers)
        return int(layers.ctypes.data)

    def _places(self) -> Mapping[str, Layer]:
        """A layer's matrices by name, and where they lie in its record."""
        return _MATRICES

    @property
    def _has_head(self) -> bool:
        return "output_norm.weight" in self._tensors

    def _embedding(self) -> npt.NDArray[np.int64]:
        """A Matrix record of one tile: the whole table, or rows that each pass is given."""
        record, name = np.zeros(Matrix.LENGTH, np.int64), "token_embd.weight"
        record[Matrix.BLOCKS] = self.shape.embedding // BLOCK
        if self._streaming is not None:
            rows, type_ = self._streaming.embedding_rows, self._streaming.embedding_type
            self._describe(record, self._one_tile(type_, rows.shape[1], rows.reshape(-1)))
        elif name in self._tensors:
            type_ = self._tensors[name].type
            self._matrix(name, record)
        else:
            return record
        record[Matrix.EXPAND] = self.kernels.expand(type_, self.shape.graph.embedding_scale)
        return record

    def _head(self) -> npt.NDArray[np.int64]:
        record = np.zeros(Matrix.LENGTH, np.int64)
        if self._has_head:
            self._matrix("token_embd.weight" if self.shape.tied else "output.weight", record)
        return record

    def _matrix(self, name: str, record: npt.NDArray[np.int64]) -> None:
        if self._streaming is not None:
            self._describe(record, self._streaming.matrix(name))
            return
        tensor = self._rows(name)
        row_bytes = tensor.type.row_bytes(tensor.row_elements)
        if tensor.data.nbytes != row_bytes * tensor.rows or not tensor.data.flags.c_contiguous:
            raise InternalError(f"tensor {name} holds {tensor.data.nbytes} bytes, {row_bytes * tensor.rows} are expected")
        self._describe(record, self._one_tile(tensor.type, row_bytes, tensor.data))

    def _describe(self, record: npt.NDArray[np.int64], matrix: TiledMatrix) -> None:
        kernels, type_ = self.kernels, matrix.type
        shares = records.SHARES_A_THREAD * self._threads
        record[Matrix.TILES] = matrix.address
        record[Matrix.TILE_ROWS] = matrix.tile_rows
        record[Matrix.ROWS] = matrix.rows
        record[Matrix.ROW_BYTES] = matrix.row_bytes
        record[Matrix.BLOCKS] = matrix.row_bytes // type_.block_bytes * type_.block_elements // BLOCK
        record[Matrix.SHARES] = max(shares, _SHARES_A_TILE * matrix.tiles) if matrix.is_streamed else shares
        record[Matrix.PACK] = kernels.pack(type_)
        record[Matrix.DOTS] = kernels.dots(type_)
        record[Matrix.SINGLE] = kernels.single(type_)
        record[Matrix.FEW] = kernels.few(type_)

    def _one_tile(self, type_: TensorType, row_bytes: int, data: npt.NDArray[np.uint8]) -> TiledMatrix:
        """Rows that are all in memory, and stay where they are."""
        tile, rows = self._array(Tile.LENGTH), data.nbytes // row_bytes
        tile[Tile.BASE], tile[Tile.ARRIVED] = data.ctypes.data, records.ALWAYS
        self._kept.append(data)
        return TiledMatrix(address=int(tile.ctypes.data), type=type_, row_bytes=row_bytes, rows=rows, tile_rows=rows)

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
    residual: npt.NDArray[np.float32] = field(init=False)  # (MAX_COLUMNS, embedding)
    branch: int = 0  # 0 where the graph needs none
    hidden: npt.NDArray[np.int64] = field(init=False)
    attended: npt.NDArray[np.int64] = field(init=False)
    ffn: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.shape
        floats = records.MAX_COLUMNS * shape.embedding
        memory = (ctypes.c_float * floats).from_address(self.buffer(4 * floats))
        self.residual = np.ctypeslib.as_array(memory).reshape(records.MAX_COLUMNS, shape.embedding)
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
        return _ONE_TILE
    breaks = np.flatnonzero((np.diff(sequences) != 0) | (np.diff(positions) != 1)) + 1
    starts = [0, *breaks.tolist(), count]
    first = [i for low, high in itertools.pairwise(starts) for i in range(low, high, TILE)]
    ends = [*first[1:], count]
    return np.array(first, np.int32), np.array([end - i for i, end in zip(first, ends, strict=True)], np.int32)


def _positions_ever(cache: KvCache) -> int:
    """No sequence is longer than its block table, nor than all pages together."""
    return max(1, min(cache.max_pages_per_sequence, cache.pages)) * PAGE_POSITIONS
