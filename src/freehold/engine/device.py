"""Whether a model is computed on a card. Nothing of PyTorch is imported where it is not: it costs seconds and 200 MB.

device = "cpu"    never
device = "auto"   where there is a card's driver, the extra `gpu`, a card that its kernels run on, and a model that they compute
device = "cuda"   else a model that cannot be computed there is not run at all
"""

import importlib
import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from freehold.core.errors import DeviceError, UnsupportedArtefact
from freehold.engine.budget import Plan
from freehold.engine.config import EngineConfig
from freehold.engine.fit import Prediction
from freehold.engine.gpu.suited import why_not
from freehold.engine.kv_cache import KvCache
from freehold.engine.models.shape import LlamaShape

if TYPE_CHECKING:  # with these comes the compiler of kernels
    from freehold.engine.models.llama import Batch
    from freehold.engine.weights import Weights

log = logging.getLogger("freehold.engine")

_DRIVERS: Final = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # of Linux, and of Linux inside Windows
_NEEDED: Final = ("torch", "triton")


class CardModel(Protocol):
    """A model on a card: `gpu.llama.GpuLlama`."""

    def step(self, batch: "Batch") -> npt.NDArray[np.float32]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCard:
    """A model that is to be loaded for a card. `line` says what will lie and be computed where."""

    name: str
    line: str
    prediction: Prediction
    load: Callable[[Callable[[int, int], None]], CardModel]


def has_driver() -> bool:
    return any(path.exists() for path in _DRIVERS)


def find_card(device: str) -> Any:
    """A `gpu.card.Card`, or None. Raises DeviceError where "cuda" is asked for and is not to be had."""
    if device == "cpu" or (device == "auto" and not has_driver()):
        return None
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        if device == "cuda":
            raise DeviceError(f"engine.device is cuda, and {' and '.join(missing)} is not installed: pip install 'freehold[gpu]'")
        log.info("engine_card_unused", extra={"reason": "the extra `gpu` is not installed"})
        return None
    found = importlib.import_module("freehold.engine.gpu.card").find_card()
    if found is None and device == "cuda":
        raise DeviceError("engine.device is cuda, and there is no CUDA card of compute capability 8.0 or later here")
    return found


def on_card(
    weights: "Weights", shape: LlamaShape, cache: KvCache, config: EngineConfig, plan: Plan, threads: int, file: Path
) -> OnCard | None:
    """How to load the model for a card, or None for the CPU; why is said in the log.

    Raises DeviceError or UnsupportedArtefact where `config` asks for a card that is not there, or does not compute this model.
    """
    card = find_card(config.device)
    if card is None:
        return None
    build = importlib.import_module("freehold.engine.gpu.build")
    if reason := why_not(shape, weights.header.tensors):
        if config.device == "cuda":
            raise UnsupportedArtefact(f"engine.device is cuda, and the card does not compute {reason}: set it to auto")
        log.info("engine_card_unused", extra={"reason": f"the card does not compute {reason}"})
        return None
    try:
        placement, host_bytes, line, prediction = build.planned(card, weights, shape, cache, config, plan, threads, file)
    except DeviceError as exc:
        if config.device == "cuda":
            raise
        log.warning("engine_card_unused", extra={"reason": exc.message})
        return None
    log.info("engine_card", extra={"line": line})

    def load(progress: Callable[[int, int], None]) -> CardModel:
        model: CardModel = build.load(card, weights, shape, cache, placement, threads, config.kernels, host_bytes, progress)
        return model

    return OnCard(name=card.name, line=line, prediction=prediction, load=load)
