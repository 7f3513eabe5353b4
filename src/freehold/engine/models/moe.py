"""Mixtures of experts: Mixtral and Qwen 3 MoE. Each token takes a few of a layer's many feed-forward parts.

Decided here: who takes whom, and in which pieces a pass runs. A pass returns from native code in each layer, between the router's
scores and the experts, so that experts which are not in memory can be fetched before they are computed (`Experts`).

A token's weights are the softmax of its router's scores, cut to the experts it takes and scaled to add up to 1, which is the
softmax of their scores alone. Of equal scores the expert of the lower number is taken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from freehold.core.errors import FreeholdError
from freehold.engine.expert_cache import ExpertCache, ExpertStats
from freehold.engine.kernels import records
from freehold.engine.kernels.matmul import HEADER_BYTES
from freehold.engine.kernels.records import BLOCK, Expert, Layer, Matrix, Mixture, Step, Tile
from freehold.engine.kv_cache import KvCache
from freehold.engine.models.llama import Llama
from freehold.engine.models.shape import LlamaShape
from freehold.engine.streaming import Streaming
from freehold.engine.tensor_types import Tensor, TensorType
from freehold.engine.tile_table import TiledMatrix

Indices = npt.NDArray[np.int64]

_PLACES: Final[Mapping[str, Layer]] = {
    "attn_q": Layer.Q,
    "attn_k": Layer.K,
    "attn_v": Layer.V,
    "attn_output": Layer.OUTPUT,
    "ffn_gate_inp": Layer.ROUTER,
}
PARTS: Final[Mapping[str, Expert]] = {"ffn_gate": Expert.GATE, "ffn_up": Expert.UP, "ffn_down": Expert.DOWN}
_FLOATS: Final = frozenset({TensorType.F32, TensorType.F16, TensorType.BF16})


class Experts(Protocol):
    """The experts of all layers."""

    def groups(self, layer: int, wanted: Indices) -> Iterable[tuple[Indices, Indices, bool]]:
        """(places in `wanted`, their Expert records, whether they are the last) until every one of `wanted` had its turn.

        `layer` counts from the model's first one. The records have their matrices filled in, and these stay where they are until
        the next group is asked for, the last one's until the next call. Raises DeviceError or VerificationError for one that
        cannot be had.
        """


@dataclass(frozen=True, slots=True)
class Routing:
    """Who takes whom in one layer. A slot is one choice of one token; slots of one expert lie side by side."""

    wanted: Indices  # experts that some token takes, in order
    firsts: Indices  # the first slot of each
    counts: Indices  # slots of each
    token_of_slot: npt.NDArray[np.int32]
    slot_of_pick: npt.NDArray[np.int32]  # (tokens, used), best first
    weights: npt.NDArray[np.float32]  # (tokens, used), best first


def route(scores: npt.NDArray[np.float32], used: int) -> Routing:
    """The `used` best of each token's scores (tokens, experts).

    In few calls of NumPy: between two layers each costs some 10 us, its code and data being out of every near cache by then.
    """
    tokens, experts = scores.shape
    picks = (-scores).argsort(1, kind="stable")[:, :used]
    best = scores.reshape(-1)[picks + experts * np.arange(tokens)[:, None]].astype(np.float64)
    weights = np.exp(best - best[:, :1])
    weights /= weights.sum(1, keepdims=True)
    flat = picks.reshape(-1)
    by_expert = flat.argsort(kind="stable")  # pick of each slot
    slot_of_pick = np.empty(flat.size, np.int32)
    slot_of_pick[by_expert] = np.arange(flat.size, dtype=np.int32)
    taken = flat[by_expert]
    firsts = np.arange(used) if tokens == 1 else np.flatnonzero(np.diff(taken, prepend=-1))
    return Routing(
        wanted=taken[firsts],
        firsts=firsts,
        counts=np.diff(firsts, append=flat.size),
        token_of_slot=(by_expert // used).astype(np.int32),
        slot_of_pick=slot_of_pick.reshape(picks.shape),
        weights=weights.astype(np.float32),
    )


class MixtureModel(Llama):
    """Not thread-safe, as `Llama`."""

    def __init__(
        self,
        shape: LlamaShape,
        tensors: Mapping[str, Tensor],
        cache: KvCache,
        threads: int,
        kernels: str | None = None,
        *,
        streaming: Streaming | None = None,
        experts: ExpertCache | None = None,
    ) -> None:
        """Experts come from `experts`, which is closed with the model, where there is one, else from `tensors`."""
        self._expert_cache = experts
        super().__init__(shape, tensors, cache, threads, kernels, streaming=streaming)

    def expert_stats(self) -> ExpertStats | None:
        """What experts were taken and read; None where all are in memory."""
        return None if self._expert_cache is None else self._expert_cache.stats()

    def close(self) -> None:
        if self._expert_cache is not None:
            self._expert_cache.close()
        super().close()

    def _fill_constants(self, threads: int) -> None:
        super()._fill_constants(threads)
        shape, slots = self.shape, records.MAX_COLUMNS * self.shape.experts_used
        self._experts = self._open_experts()
        self._padded = -(-shape.experts // 16) * 16  # the last panel writes whole vectors
        self._scores = self._floats_buffer((records.MAX_COLUMNS, self._padded))
        self._gathered = self._columns(slots, shape.embedding)
        self._ffn = self._columns(slots, shape.ffn)
        self._out = self._buffer(slots * 4 * shape.embedding)
        self._first_slot, self._each_slot = np.zeros(Expert.GATE, np.int64), np.zeros(Expert.GATE, np.int64)
        self._first_slot[Expert.OUT], self._each_slot[Expert.OUT] = self._out, 4 * shape.embedding
        for place, columns in ((Expert.HIDDEN, self._gathered), (Expert.FFN, self._ffn)):
            self._first_slot[place : place + 6] = columns
            self._each_slot[place : place + 6 : 2] = columns[1::2]  # addresses move on, pitches do not
        mixture = self._mixture = self._array(Mixture.LENGTH)
        for field, value in {
            Mixture.GATHERED: self._gathered.ctypes.data,
            Mixture.GATHERS_FLOATS: self._has_float_experts(),
            Mixture.OUT: self._out,
            Mixture.OUT_PITCH: 4 * shape.embedding,
            Mixture.USED: shape.experts_used,
            Mixture.SCORES: self._scores.ctypes.data,
            Mixture.SCORES_PITCH: 4 * self._padded,
        }.items():
            mixture[field] = value
        self._record[Step.MIXTURE] = mixture.ctypes.data

    def _places(self) -> Mapping[str, Layer]:
        return _PLACES

    def _open_experts(self) -> Experts:
        if self._expert_cache is not None:
            return CachedExperts(self, self._expert_cache)
        return ResidentExperts(
            self, [{name: self._tensors[f"blk.{i}.{name}_exps.weight"] for name in PARTS} for i in self.layers]
        )

    def _has_float_experts(self) -> bool:
        if self._expert_cache is not None:
            return any(type_ in _FLOATS for types in self._expert_cache.types for type_ in types)
        return any(tensor.type in _FLOATS for name, tensor in self._tensors.items() if "_exps." in name)

    # ---- a pass ---------------------------------------------------------------------------------------------

    def _compute(self) -> None:
        record, mixture, layers = self._record, self._mixture, len(self.layers)
        tokens, kept = int(record[Step.TOKENS]), record.copy()
        mixture[Mixture.EXPERTS] = mixture[Mixture.SLOTS] = mixture[Mixture.JOINS] = 0
        record[Step.LAYERS], record[Step.OUTPUTS] = 1, 0
        try:
            for i in range(layers):
                record[Step.LAYER_RECORDS] = kept[Step.LAYER_RECORDS] + i * 8 * Layer.LENGTH
                record[Step.CACHE] = kept[Step.CACHE] + i * kept[Step.CACHE_LAYER_BYTES]
                self._call()
                record[Step.EMBEDS] = 0
                routing = route(self._scores[:tokens, : self.shape.experts], self.shape.experts_used)
                self._take(i, routing)
            record[Step.LAYERS], record[Step.OUTPUTS] = 0, kept[Step.OUTPUTS]
            self._call()
        except FreeholdError as exc:
            if self._streaming is not None:
                self._streaming.fail(exc)
            raise
        finally:
            record[:] = kept

    def _take(self, layer: int, routing: Routing) -> None:
        """Compute the experts group by group; the last group, and adding up, are left for the next call."""
        record, mixture = self._record, self._mixture
        self._held: list[npt.NDArray[Any]] = [routing.token_of_slot, routing.slot_of_pick, routing.weights]
        for field, array in zip((Mixture.TOKEN_OF_SLOT, Mixture.SLOT_OF_PICK, Mixture.WEIGHTS), self._held, strict=True):
            mixture[field] = array.ctypes.data
        mixture[Mixture.SLOTS], mixture[Mixture.JOINS] = len(routing.token_of_slot), 0
        for places, experts, is_last in self._experts.groups(layer, routing.wanted):
            self._describe_slots(experts, routing.firsts[places], routing.counts[places])
            if not is_last:
                record[Step.LAYERS] = 0
                self._call()
                record[Step.LAYERS], mixture[Mixture.SLOTS] = 1, 0  # gathered once
        mixture[Mixture.JOINS] = 1

    def _describe_slots(self, experts: Indices, firsts: Indices, counts: Indices) -> None:
        """The group's experts, with the columns of their slots."""
        mixture = self._mixture
        experts[:, : Expert.GATE] = self._first_slot + firsts[:, None] * self._each_slot
        experts[:, Expert.SLOTS] = counts
        mixture[Mixture.EXPERT_RECORDS], mixture[Mixture.EXPERTS] = experts.ctypes.data, len(experts)
        mixture[Mixture.SHARES] = max(1, -(-records.SHARES_A_THREAD * self._team.size // len(experts)))
        self._held = [*self._held[:3], experts]

    def _call(self) -> None:
        self._sync[8:] = 0
        self._team.run(self._record.ctypes.data)

    # ---- building -------------------------------------------------------------------------------------------

    def _columns(self, count: int, length: int) -> npt.NDArray[np.int64]:
        pitches = (length, length // BLOCK * HEADER_BYTES, 4 * length)  # q, headers, x
        pairs = [(self._buffer(count * pitch), pitch) for pitch in pitches]
        columns = np.array([value for pair in pairs for value in pair], np.int64)
        self._kept.append(columns)
        return columns

    def _floats_buffer(self, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
        array = np.zeros(shape, np.float32)
        self._kept.append(array)
        return array

    def expert_record(self, types: Sequence[TensorType]) -> npt.NDArray[np.int64]:
        """An Expert record with what is the same for all experts whose gate, up and down have these types."""
        record = np.zeros(Expert.LENGTH, np.int64)
        for (name, place), type_ in zip(PARTS.items(), types, strict=True):
            length, rows = self.shape.ffn_matrices()[name]
            matrix = TiledMatrix(address=0, type=type_, row_bytes=type_.row_bytes(length), rows=rows, tile_rows=rows)
            self._describe(record[place : place + Matrix.LENGTH], matrix)
        return record


class ResidentExperts:
    """All of them in memory: one Expert record and three Tile records each, made once."""

    def __init__(self, model: MixtureModel, layers: Sequence[Mapping[str, Tensor]]) -> None:
        count, self._tensors = model.shape.experts, layers
        self._tiles = np.zeros((len(layers), len(PARTS), count, Tile.LENGTH), np.int64)
        self._tiles[..., Tile.ARRIVED] = records.ALWAYS
        self._records = np.empty((len(layers), count, Expert.LENGTH), np.int64)
        for i, tensors in enumerate(layers):
            self._records[i] = model.expert_record([tensors[name].type for name in PARTS])
            for part, (name, place) in enumerate(PARTS.items()):
                tiles, each = self._tiles[i, part], tensors[name].data.nbytes // count
                tiles[:, Tile.BASE] = tensors[name].data.ctypes.data + np.arange(count) * each
                self._records[i, :, place + Matrix.TILES] = tiles.ctypes.data + np.arange(count) * tiles.strides[0]

    def groups(self, layer: int, wanted: Indices) -> Iterable[tuple[Indices, Indices, bool]]:
        yield np.arange(len(wanted)), self._records[layer][wanted], True


class CachedExperts:
    """Those in memory that an `ExpertCache` holds: three Tile records a slot, whatever layer its expert is of."""

    def __init__(self, model: MixtureModel, cache: ExpertCache) -> None:
        self._cache, self._first = cache, model.layers.start
        self._tiles = np.zeros((cache.slots, len(PARTS), Tile.LENGTH), np.int64)
        self._tiles[..., Tile.ARRIVED] = records.ALWAYS
        self._layers = [model.expert_record(cache.types[i]) for i in model.layers]
        self._places = [place + Matrix.TILES for place in PARTS.values()]
        slots, parts = np.ogrid[: cache.slots, : len(PARTS)]
        self._addresses = self._tiles.ctypes.data + slots * self._tiles.strides[0] + parts * self._tiles.strides[1]

    def groups(self, layer: int, wanted: Indices) -> Iterable[tuple[Indices, Indices, bool]]:
        for places, slots, is_last in self._cache.groups(self._first + layer, wanted):
            self._tiles[slots, :, Tile.BASE] = self._cache.addresses[slots]
            experts = np.repeat(self._layers[layer][None], len(slots), 0)
            experts[:, self._places] = self._addresses[slots]
            yield places, experts, is_last


def model_class(shape: LlamaShape) -> type[Llama]:
    """The forward pass of a model of this shape."""
    return MixtureModel if shape.experts else Llama
