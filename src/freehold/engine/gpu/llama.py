"""A model's pass on the card, for all families that `models.shape` knows but mixtures of experts.

Decided here: which kernel computes what, and for which of the batch's tokens. A token's logits depend on its own sequence alone.
A prompt's tokens come in long runs and go through the matrix units; all others go 16 at a time through products of bytes, where a
column's bits depend on nothing beside it. So an answer is the same to the bit in any company, and with drafts or without; a
prompt read in with other cuts may differ from itself in the last bits.

Where everything is on the card, passes of up to 16 tokens are recorded once for each size and then replayed: some 300 launches
cost the CPU more than the card.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch

from freehold.core.errors import InternalError
from freehold.engine.gpu import attention, elementwise, multiply
from freehold.engine.gpu.attention import Partials, Tiles
from freehold.engine.gpu.card import Card
from freehold.engine.gpu.matrices import CardMatrices, Piece
from freehold.engine.gpu.multiply import Columns, DeviceMatrix, as_landed
from freehold.engine.gpu.placement import HEAD_LAYER, MAX_TOKENS
from freehold.engine.gpu.sender import Sender
from freehold.engine.kernels.records import MAX_COLUMNS
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.llama import Batch, check_batch
from freehold.engine.models.shape import LlamaShape
from freehold.engine.tensor_types import TensorType

LONG_RUN: Final = 32  # tokens of one sequence from which on they are read in as a prompt; drafts are fewer
_MOST_SHARES: Final = 32
_LEAST_SHARE_PAGES: Final = 8
_EXPANDED_ELEMENTS: Final = 1 << 26  # weights as bf16 at a time: 128 MB


class Embedding(Protocol):
    """Rows of the embedding table, wherever it lies."""

    @property
    def type(self) -> TensorType: ...

    def gather(self, tokens: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
        """(rows of blocks, which of them each token has)."""

    def close(self) -> None: ...


class FirstLayers(Protocol):
    """What computes the layers before the card's: `models.llama.Llama` with `layers`."""

    def run(
        self, batch: Batch, residual: npt.NDArray[np.float32] | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Layer:
    attn_norm: torch.Tensor
    ffn_norm: torch.Tensor
    attn_post: torch.Tensor | None
    ffn_post: torch.Tensor | None
    bias: torch.Tensor | None
    qk_norms: tuple[torch.Tensor, torch.Tensor] | None
    table: torch.Tensor
    window: int


@dataclass(slots=True)
class _Work:
    """One pass: how many tokens, of which the first `prompt` are prompts', where they are, and which attend together."""

    tokens: int
    prompt: int
    where: tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # positions, sequences, block tables
    tiles: Tiles | None  # of prompts
    singles: Tiles


class GpuLlama:
    """One thread steps it."""

    def __init__(
        self,
        card: Card,
        shape: LlamaShape,
        vectors: Mapping[str, npt.NDArray[np.float32]],
        matrices: CardMatrices,
        cache: KvCache,
        embedding: Embedding | None,
        sender: Sender | None,
        first_layers: FirstLayers | None = None,
        cpu_layers: int = 0,
    ) -> None:
        """`vectors` are norms, biases and rotation factors. Layers below `cpu_layers` are computed by `first_layers`."""
        self.shape, self.cache, self.card = shape, cache, card
        self._matrices, self._embedding, self._sender = matrices, embedding, sender
        self._first, self._cpu_layers = first_layers, cpu_layers
        self._on_card = range(cpu_layers, shape.layers)
        self._vectors = vectors
        self._heads = (shape.heads, shape.kv_heads)
        self._layers = self._load_layers()
        self._output_norm = self._vector("output_norm.weight")
        graph = shape.graph
        # (layers, pages, KV, 2, 64, D): a key's or value's elements lie together
        self._store = card.zeros(
            (len(self._on_card), cache.pages, shape.kv_heads, 2, PAGE_POSITIONS, graph.head_dim), torch.float16
        )
        self._share_pages = max(_LEAST_SHARE_PAGES, -(-cache.max_pages_per_sequence // _MOST_SHARES))
        self._shares = -(-cache.max_pages_per_sequence // self._share_pages)
        q, kv = shape.heads * graph.head_dim, shape.kv_heads * graph.head_dim

        def floats(width: int) -> torch.Tensor:
            return card.zeros((MAX_TOKENS, width), torch.float32)

        def columns(width: int) -> Columns:
            return Columns(MAX_TOKENS, width, card.device, card.half)

        self._stream, self._delta = floats(shape.embedding), floats(shape.embedding)
        self._qkv, self._gate_up = floats(q + 2 * kv), floats(2 * shape.ffn)
        self._hidden, self._attended, self._opened = columns(shape.embedding), columns(q), columns(shape.ffn)
        self._expanded: torch.Tensor | None = None  # only prompts need it
        self._prompt_partials: Partials | None = None
        # Recorded passes point into the first, which is therefore never replaced.
        self._few_partials = self._partials(multiply.MAX_COLUMNS, self._shares)
        self._many_partials: Partials | None = None
        self._tables = torch.zeros(cache.block_tables.shape, dtype=torch.int32, device=card.device)
        self._replays: dict[int, _Replay] = {}

    # ---- steps ----------------------------------------------------------------------------------------------

    def step(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Logits (tokens that want them, vocabulary), in batch order. Writes keys and values of every token to the cache."""
        check_batch(batch, self.shape.vocabulary, self.cache)
        count = len(batch.tokens)
        outs = [self._pass(batch.part(low, low + MAX_TOKENS)) for low in range(0, count, MAX_TOKENS)]
        return outs[0] if len(outs) == 1 else np.concatenate(outs)

    def close(self) -> None:
        """Ends the threads, and lets go of host memory and files. The model computes no more."""
        if self._sender is not None:
            self._sender.close()
        for part in (self._first, self._embedding):
            if part is not None:
                part.close()
        self._replays.clear()
        self.card.unpin(self._matrices.pinned)

    def _pass(self, batch: Batch) -> npt.NDArray[np.float32]:
        order, prompt, firsts, counts = arrange(batch.positions, batch.sequences, self._prompt_tile)
        count = len(order)
        if self._sender is not None:
            self._sender.begin()
        self._tables.copy_(torch.from_numpy(self.cache.block_tables))
        residual = None
        if self._first is not None:  # it takes the batch as it is
            silent = Batch(
                tokens=batch.tokens, positions=batch.positions, sequences=batch.sequences, wants_logits=np.zeros(count, np.bool_)
            )
            parts = [self._first.run(silent.part(low, low + MAX_COLUMNS))[0] for low in range(0, count, MAX_COLUMNS)]
            residual = np.concatenate(parts)[order]
        wanted = batch.wants_logits[order]
        if self._replayable and not prompt and count <= multiply.MAX_COLUMNS:
            logits = self._replay(batch, order, residual)[torch.from_numpy(np.flatnonzero(wanted)).to(self.card.device)]
        else:
            self._fill_stream(self._stream[:count], batch.tokens[order], residual)
            work = self._work(batch, order, prompt, firsts, counts)
            self._compute(work)
            logits = self._logits(np.flatnonzero(wanted))
        out = np.empty((int(batch.wants_logits.sum()), self.shape.vocabulary), np.float32)
        out[np.argsort(order[wanted], kind="stable").argsort()] = logits.cpu().numpy()
        return out

    def _fill_stream(self, stream: torch.Tensor, tokens: npt.NDArray[np.int32], residual: npt.NDArray[np.float32] | None) -> None:
        if residual is not None:
            stream.copy_(torch.from_numpy(residual))
            return
        if self._embedding is None:
            raise InternalError("a model without embedding rows must be given a residual stream")
        rows, which = self._embedding.gather(tokens)
        raw = torch.from_numpy(np.ascontiguousarray(rows)).to(self.card.device)
        table = as_landed(self._embedding.type, self.shape.embedding, len(rows), raw.reshape(-1))
        expanded = torch.empty((len(rows), self.shape.embedding), dtype=torch.float32, device=self.card.device)
        multiply.expand(table, 0, len(rows), expanded)
        picked = expanded[torch.from_numpy(which.astype(np.int64)).to(self.card.device)]
        scale = self.shape.graph.embedding_scale
        stream.copy_(picked if scale == 1.0 else picked * scale)

    def _work(
        self,
        batch: Batch,
        order: npt.NDArray[np.int64],
        prompt: int,
        firsts: npt.NDArray[np.int32],
        counts: npt.NDArray[np.int32],
    ) -> _Work:
        count = len(order)
        ints = np.concatenate([batch.positions[order], batch.sequences[order], firsts, counts, np.arange(count - prompt)]).astype(
            np.int32
        )
        on_card = torch.from_numpy(ints).to(self.card.device)
        positions, sequences, first, of, single = torch.split(on_card, [count, count, len(firsts), len(counts), count - prompt])
        tiles = Tiles(first, of, self._prompt_tile, 1, 1 << 20) if prompt else None
        return _Work(count, prompt, (positions, sequences, self._tables), tiles, self._singles(single))

    def _singles(self, firsts: torch.Tensor) -> Tiles:
        return Tiles(firsts, torch.ones_like(firsts), 1, self._shares, self._share_pages)

    @property
    def _prompt_tile(self) -> int:
        """Tokens of a prompt that attend together."""
        group = 1 << (self.shape.heads // self.shape.kv_heads - 1).bit_length()
        return max(1, attention.PROMPT_ROWS // group)

    def _partials(self, tokens: int, shares: int) -> Partials:
        return Partials(tokens, self.shape.heads, shares, self.shape.graph.head_dim, self.card.device)

    # ---- replays --------------------------------------------------------------------------------------------

    @property
    def _replayable(self) -> bool:
        return self.card.is_cuda and self._sender is None

    def _replay(self, batch: Batch, order: npt.NDArray[np.int64], residual: npt.NDArray[np.float32] | None) -> torch.Tensor:
        """Logits of all tokens, (size, vocabulary)."""
        count = len(order)
        size = multiply.bucket(count)
        replay = self._replays.get(size)
        if replay is None:
            replay = self._replays[size] = _Replay(self, size)
        replay.where.copy_(torch.from_numpy(_padded(batch.positions[order], batch.sequences[order], size)))
        self._fill_stream(self._stream[:count], batch.tokens[order], residual)
        return replay()

    def _recorded(self, size: int, where: torch.Tensor, firsts: torch.Tensor) -> torch.Tensor:
        self._compute(_Work(size, 0, (where[0], where[1], self._tables), None, self._singles(firsts)))
        return self._logits(None, size)

    # ---- layers ---------------------------------------------------------------------------------------------

    def _compute(self, work: _Work) -> None:
        """All the card's layers, over the residual stream. The last branch stays in `_delta`, for the next norm to add."""
        graph, epsilon, count, prompt = self.shape.graph, self.shape.norm_epsilon, work.tokens, work.prompt
        stream, delta = self._stream[:count], self._delta[:count]
        qkv, gate_up = self._qkv[:count], self._gate_up[:count]
        hidden, attended, opened = self._hidden.part(0, count), self._attended.part(0, count), self._opened.part(0, count)
        post: torch.Tensor | None = None
        for i, layer in zip(self._on_card, self._layers, strict=True):
            is_first = i == self._on_card[0]
            elementwise.normalise(stream, layer.attn_norm, epsilon, hidden, None if is_first else delta, post)
            self._apply(i, "qkv", hidden, prompt, qkv)
            store = self._store[i - self._cpu_layers]
            elementwise.place(
                qkv, graph, self._heads, layer.table, work.where, store, epsilon=epsilon, bias=layer.bias, norms=layer.qk_norms
            )
            self._attend(work, qkv, store, attended, layer.window)
            self._apply(i, "output", attended, prompt, delta)
            elementwise.normalise(stream, layer.ffn_norm, epsilon, hidden, delta, layer.attn_post)
            self._apply(i, "gate_up", hidden, prompt, gate_up)
            elementwise.gate(gate_up, graph.activation, opened)
            self._apply(i, "down", opened, prompt, delta)
            post = layer.ffn_post

    def _attend(self, work: _Work, qkv: torch.Tensor, store: torch.Tensor, out: Columns, window: int) -> None:
        graph, prompt, count = self.shape.graph, work.prompt, work.tokens
        positions, sequences, tables = work.where
        if work.tiles is not None:
            if self._prompt_partials is None:
                self._prompt_partials = self._partials(MAX_TOKENS, 1)
            where = (positions[:prompt], sequences[:prompt], tables)
            attention.attend(
                qkv[:prompt], graph, self._heads, work.tiles, where, store, self._prompt_partials, out.part(0, prompt), window
            )
        if count > prompt:
            partials = self._partials_of(count - prompt)
            where = (positions[prompt:], sequences[prompt:], tables)
            attention.attend(
                qkv[prompt:], graph, self._heads, work.singles, where, store, partials, out.part(prompt, count), window
            )

    def _partials_of(self, singles: int) -> Partials:
        if singles <= multiply.MAX_COLUMNS:
            return self._few_partials
        if self._many_partials is None or len(self._many_partials.out) < singles:
            self._many_partials = self._partials(singles, self._shares)
        return self._many_partials

    def _apply(self, layer: int, site: str, columns: Columns, prompt: int, out: torch.Tensor) -> None:
        """out (T, rows of the place) = columns (T, K) by the place's matrices."""
        for piece in self._matrices.sites[layer, site]:
            matrix = piece.matrix if piece.matrix is not None else self._landed(piece)
            self._apply_piece(matrix, columns, prompt, out[:, piece.first : piece.first + piece.rows])
            if piece.matrix is None:
                assert self._sender is not None
                self._sender.give()

    def _landed(self, piece: Piece) -> DeviceMatrix:
        assert self._sender is not None
        assert piece.tile is not None
        return as_landed(piece.tile.type, piece.elements, piece.rows, self._sender.take())

    def _apply_piece(self, matrix: DeviceMatrix, columns: Columns, prompt: int, out: torch.Tensor) -> None:
        if prompt:
            if self._expanded is None:
                self._expanded = self.card.zeros((_EXPANDED_ELEMENTS,), self.card.half)
            step = max(1, _EXPANDED_ELEMENTS // matrix.elements)
            for first in range(0, matrix.rows, step):
                rows = min(step, matrix.rows - first)
                weights = self._expanded[: rows * matrix.elements].view(rows, matrix.elements)
                multiply.expand(matrix, first, rows, weights)
                multiply.product(columns.half[:prompt], weights, out[:prompt, first : first + rows])
        for first in range(prompt, len(out), multiply.MAX_COLUMNS):
            count = min(multiply.MAX_COLUMNS, len(out) - first)
            multiply.multiply(matrix, columns, first, count, out[first:])

    def _logits(self, wanted: npt.NDArray[np.int64] | None, count: int = 0) -> torch.Tensor:
        """(wanted, vocabulary), or of the first `count` tokens. A head that is sent comes whether it is wanted or not."""
        if wanted is None:
            stream, delta = self._stream[:count], self._delta[:count]
        else:
            picked = torch.from_numpy(wanted).to(self.card.device)
            stream, delta, count = self._stream[picked], self._delta[picked], len(wanted)
        shape = self.shape
        out = torch.empty((count, shape.vocabulary), dtype=torch.float32, device=self.card.device)
        hidden = self._hidden.part(0, count)
        if count:
            post = self._layers[-1].ffn_post if self._layers else None
            elementwise.normalise(stream, self._output_norm, shape.norm_epsilon, hidden, delta if self._layers else None, post)
        self._apply(HEAD_LAYER, "head", hidden, 0, out)
        cap = shape.graph.logit_cap
        return out if not cap else cap * torch.tanh(out / cap)

    # ---- building -------------------------------------------------------------------------------------------

    def _vector(self, name: str) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._vectors[name])).to(self.card.device)

    def _load_layers(self) -> Sequence[_Layer]:
        shape, graph = self.shape, self.shape.graph
        positions = max(1, min(self.cache.max_pages_per_sequence, self.cache.pages)) * PAGE_POSITIONS
        tables = {
            rotation: torch.from_numpy(rotation.table(graph.rope, positions, lambda name: self._vectors[name])).to(
                self.card.device
            )
            for rotation in shape.rotations
        }
        layers = []
        for i in self._on_card:
            names = {key: f"blk.{i}.{key}" for key in ("attn_q", "attn_k", "attn_v")}
            bias = [self._vector(f"{name}.bias") for name in names.values()] if shape.family.bias else None
            qk = (
                (self._vector(f"blk.{i}.attn_q_norm.weight"), self._vector(f"blk.{i}.attn_k_norm.weight"))
                if graph.qk_norm
                else None
            )
            layers.append(
                _Layer(
                    attn_norm=self._vector(f"blk.{i}.attn_norm.weight"),
                    ffn_norm=self._vector(f"blk.{i}.ffn_norm.weight"),
                    attn_post=self._vector(f"blk.{i}.post_attention_norm.weight") if graph.post_norms else None,
                    ffn_post=self._vector(f"blk.{i}.post_ffw_norm.weight") if graph.post_norms else None,
                    bias=None if bias is None else torch.cat(bias),
                    qk_norms=qk,
                    table=tables[shape.rotation_of(i)],
                    window=shape.window_of(i),
                )
            )
        return layers


class _Replay:
    """A pass of one size, recorded."""

    def __init__(self, model: GpuLlama, size: int) -> None:
        device = model.card.device
        self.where = torch.zeros((2, size), dtype=torch.int32, device=device)
        self.where[0] = -1  # padding writes nothing
        self._firsts = torch.arange(size, dtype=torch.int32, device=device)  # kept: the recording points to it
        model._recorded(size, self.where, self._firsts)  # compiles; the second time nothing does
        torch.cuda.synchronize(device)
        self._graph: Any = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._out = model._recorded(size, self.where, self._firsts)

    def __call__(self) -> torch.Tensor:
        self._graph.replay()
        return self._out


def arrange(
    positions: npt.NDArray[np.int32], sequences: npt.NDArray[np.int32], tile: int
) -> tuple[npt.NDArray[np.int64], int, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(order, prompt tokens, firsts, counts): long runs of one sequence first, cut into tiles; then all other tokens."""
    count = len(positions)
    breaks = np.flatnonzero((np.diff(sequences) != 0) | (np.diff(positions) != 1)) + 1
    starts, ends = np.concatenate([[0], breaks]), np.concatenate([breaks, [count]])
    is_long = ends - starts > LONG_RUN
    order = [
        np.arange(low, high)
        for wanted in (True, False)
        for low, high in zip(starts[is_long == wanted], ends[is_long == wanted], strict=True)
    ]
    lengths = (ends - starts)[is_long]
    firsts: list[int] = []
    counts: list[int] = []
    at = 0
    for length in lengths.tolist():
        firsts += range(at, at + length, tile)
        counts += [min(tile, length - within) for within in range(0, length, tile)]
        at += length
    return np.concatenate(order), at, np.array(firsts, np.int32), np.array(counts, np.int32)


def _padded(positions: npt.NDArray[np.int32], sequences: npt.NDArray[np.int32], size: int) -> npt.NDArray[np.int32]:
    """(2, size): padding is at position -1."""
    out = np.zeros((2, size), np.int32)
    out[0] = -1
    out[0, : len(positions)], out[1, : len(sequences)] = positions, sequences
    return out
