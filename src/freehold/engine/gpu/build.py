"""Loads a verified model for the card: shares out its memory, chooses what is computed where, and reads the weights once.

Decided here: what of the card's memory is left for weights. Which models are not the card's is `suited`'s to say.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from freehold.core.errors import DeviceError
from freehold.engine import tiers
from freehold.engine.budget import BESIDE_BYTES, Plan
from freehold.engine.config import EngineConfig
from freehold.engine.fit import Machine, Prediction
from freehold.engine.gguf import TensorInfo
from freehold.engine.gpu import card as cards
from freehold.engine.gpu import soundness
from freehold.engine.gpu.card import Card
from freehold.engine.gpu.llama import GpuLlama
from freehold.engine.gpu.matrices import TILE_BYTES, CardLoader, matrices_of
from freehold.engine.gpu.placement import MAX_TOKENS, CardPlacement, LinkRates, fixed_bytes, place
from freehold.engine.gpu.prediction import predicted
from freehold.engine.gpu.sender import CARD_SLOTS, Sender
from freehold.engine.kernels.records import MAX_COLUMNS
from freehold.engine.kv_cache import KvCache
from freehold.engine.machine import calibrate
from freehold.engine.memory import megabytes
from freehold.engine.models.llama import Llama
from freehold.engine.models.shape import LlamaShape
from freehold.engine.streaming import Streaming
from freehold.engine.tensor_types import TensorType
from freehold.engine.weights import Weights

_PLENTY: Final = 1 << 62
_SLOW: Final = 1e9


def card_rates(card: Card) -> tuple[float, float]:
    """(bytes a second in its own memory, from pinned memory to it)."""
    return cards.copy_rate(card), cards.link_rate(card)


def planned(
    card: Card, weights: Weights, shape: LlamaShape, cache: KvCache, config: EngineConfig, plan: Plan, threads: int, file: Path
) -> tuple[CardPlacement, int, str, Prediction]:
    """(where the weights go, what host memory they may take, what is said of it and of its speed). Reads no weights.

    Raises DeviceError where the card has not even room for what every pass needs.
    """
    usable = card.usable_bytes(config.vram_mb)
    if config.vram_mb:  # what is said holds for everything the process allocates there
        torch.cuda.set_per_process_memory_fraction(min(1.0, usable / torch.cuda.mem_get_info(card.device)[1]), card.device)
    tensors = weights.header.tensors
    matrices = matrices_of(shape, tensors)
    total, beside = sum(matrix.size_bytes for matrix in matrices), fixed_bytes(shape, cache.pages)
    room = usable - beside
    if room <= 0:
        raise DeviceError(
            f"{card.name} has {megabytes(usable)} to take; keys, values and activations need {megabytes(beside)}: "
            "raise engine.vram_mb, or lower engine.kv_memory_mb"
        )
    host_bytes = max(0, plan.usable_bytes - plan.activation_bytes - BESIDE_BYTES - plan.kv_bytes)
    host = Machine(threads=threads)
    if total > room:  # else the host has nothing to do, and there is nothing to choose
        room = max(0, room - CARD_SLOTS * TILE_BYTES)
        host = host_machine(tensors.values(), file, threads, None if config.kernels == "auto" else config.kernels)
    on_card, link = card_rates(card)
    machine = replace(host, vram_bytes_per_s=on_card, pcie_bytes_per_s=link)
    placement = place(matrices, room, host_bytes, link_rates(machine, tensors.values()))
    prediction = predicted(machine, placement, matrices, tensors, shape, plan.context_tokens, MAX_TOKENS)
    return placement, host_bytes, line(card, placement, total), prediction


def load(
    card: Card,
    weights: Weights,
    shape: LlamaShape,
    cache: KvCache,
    placement: CardPlacement,
    threads: int,
    kernels: str,
    host_bytes: int,
    progress: Callable[[int, int], None],
) -> GpuLlama:
    """Raises what `Weights.load` does, and DeviceError where the card has too little memory or computes wrongly."""
    tensors = weights.header.tensors
    groups = [group for group in shape.order() if _layer(group[0].name) in range(placement.cpu_layers)]
    loader = CardLoader(card, shape, tensors, placement)
    loaded = weights.load(progress, tiers.place(groups, tensors, host_bytes if groups else _PLENTY), beside=loader)
    assert loaded.streaming is not None
    vectors = {name: tensor.data.view(np.float32) for name, tensor in loaded.tensors.items() if tensor.type is TensorType.F32}
    found = loader.finish()
    soundness.check(card, (piece.matrix for pieces in found.sites.values() for piece in pieces if piece.matrix is not None))
    sender = Sender(card, loaded.streaming.files, found.sent, loaded.streaming.sealer) if found.sent else None
    first: Llama | None = None
    if placement.cpu_layers:
        # Its tensors name no norm of the output: a model without a head.
        own = {name: tensor for name, tensor in loaded.tensors.items() if name != "output_norm.weight"}
        part = LayersCache(cache, placement.cpu_layers)
        chosen = None if kernels == "auto" else kernels
        layers = range(placement.cpu_layers)
        first = Llama(shape, own, part, threads, chosen, streaming=loaded.streaming, layers=layers)
    rows = None if first is not None else StreamedRows(loaded.streaming)
    return GpuLlama(card, shape, vectors, found, cache, rows, sender, first, placement.cpu_layers)


class StreamedRows:
    """Embedding rows as they come from the host's memory or disk, checked."""

    def __init__(self, streaming: Streaming) -> None:
        self._streaming, self._passes = streaming, 0
        self.type = streaming.embedding_type

    def gather(self, tokens: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
        """(rows, which of them each token has). Raises VerificationError or DeviceError."""
        rows: list[npt.NDArray[np.uint8]] = []
        which: list[npt.NDArray[np.int32]] = []
        for low in range(0, len(tokens), MAX_COLUMNS):
            self._passes += 1
            mine = self._streaming.begin(self._passes, tokens[low : low + MAX_COLUMNS], wants_logits=False)
            which.append(mine + sum(map(len, rows)))
            rows.append(self._streaming.embedding_rows[: int(mine.max()) + 1].copy())
        return np.concatenate(rows), np.concatenate(which)

    def close(self) -> None:
        self._streaming.close()


class LayersCache(KvCache):
    """The keys and values of some layers, on the pages that another cache hands out."""

    def __init__(self, pages_of: KvCache, layers: int) -> None:
        of = pages_of
        super().__init__(layers, of.kv_heads, of.head_dim, of.pages, of.max_sequences, of.max_pages_per_sequence, of.kv_type)
        self.block_tables, self._held, self._open = of.block_tables, of._held, of._open


def line(card: Card, placement: CardPlacement, total_bytes: int) -> str:
    """What lies and is computed where, and how fast that is at best."""
    pace = f"at best {placement.token_s:.2g} s a token"
    if placement.is_whole:
        return f"{card.name}: all {megabytes(total_bytes)} of the weights are in its memory"
    stays = f"{card.name}: {megabytes(placement.resident_bytes)} of {megabytes(total_bytes)} of the weights are in its memory"
    if placement.cpu_layers:
        return f"{stays}, the CPU computes layers 0 to {placement.cpu_layers - 1}: {pace}"
    read = max(0, placement.sent_bytes - placement.ram_bytes)
    return f"{stays}, {megabytes(placement.sent_bytes)} are sent each pass, {megabytes(read)} of them from disk: {pace}"


def _layer(name: str) -> int:
    return int(name.split(".")[1]) if name.startswith("blk.") else -1


def measured(card: Card, tensors: Iterable[TensorInfo], file: Path, threads: int, kernels: str | None) -> LinkRates:
    """Measured, the host's once a machine."""
    infos = tuple(tensors)
    on_card, link = card_rates(card)
    host = host_machine(infos, file, threads, kernels)
    return link_rates(replace(host, vram_bytes_per_s=on_card, pcie_bytes_per_s=link), infos)


def host_machine(tensors: Iterable[TensorInfo], file: Path, threads: int, kernels: str | None) -> Machine:
    return calibrate({info.type for info in tensors if len(info.shape) > 1}, file, threads, kernels=kernels).machine()


def link_rates(machine: Machine, tensors: Iterable[TensorInfo]) -> LinkRates:
    """The few that a placement is chosen by. What is not known is taken to be slow."""
    infos = [info for info in tensors if len(info.shape) > 1]
    size_bytes = sum(info.size_bytes for info in infos)
    cpu_s = sum(info.size_bytes / kernel.bytes_per_s for info in infos if (kernel := machine.kernel(info.type.name)))
    return LinkRates(
        card=machine.vram_bytes_per_s or _SLOW,
        link=machine.pcie_bytes_per_s or _SLOW,
        disk=machine.disk_bytes_per_s or _SLOW,
        cpu=size_bytes / cpu_s if cpu_s else _SLOW,
    )
