"""What a provider's answer may have taken: a range, from the model's size and coefficients fitted to measurements.

The method is EcoLogits' (genai-impact/ecologits, docs "LLM inference", version 0.9 and after, impacts/llm.py). Of one card, for a
token of output, with B requests at once:

    Wh = A exp(B_ b) P_active + G        seconds = L1 P_active + L2 b + L3          parameters P in billions

A request takes the cards that hold the model in 16 bits with a fifth to spare, a power of two of 80 GB each, its share of an
eight-card server's other 1.2 kW, and the centre's PUE of 1.2. The sizes of closed models are guesses: nobody outside knows them,
so their range is wide. To both ends comes a quarter for how the model is served, which nobody outside knows either: as wide as
joules a token of one model spread on H100 in ML.ENERGY's measurements (2026-02). Prompts cost nothing in this method.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Final

from freehold.core.measurement import Grade, Measurement
from freehold.meter.config import RemoteModelConfig

SOURCE: Final = "ecologits"
BATCH: Final = 64
PUE: Final = 1.2
SPREAD: Final = 0.25
_ENERGY: Final = (1.1665273170451914e-06, -0.011205921025579175, 4.052928146734005e-05)  # A, B_, G; Wh a token
_LATENCY: Final = (0.0006785088094353663, 0.0003119310311688259, 0.019473717579473387)  # L1, L2, L3; s a token
_CARD_GB: Final = 80
_SERVER_CARDS: Final = 8
_SERVER_W: Final = 1200.0  # without its cards
_CARD_KG: Final = 273.0  # CO2e of making one
_SERVER_KG: Final = 5700.0  # of making the rest
_LIFE_S: Final = 3 * 365 * 86_400
_WH_J: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Billions of parameters, from and to."""

    model: str  # a glob
    total_b: tuple[float, float]
    active_b: tuple[float, float]
    is_guess: bool
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteUse:
    """Energy with the centre's PUE, and the CO2e of its hardware; the middle is half-way."""

    energy: Measurement
    embodied_g: float


def _known() -> tuple[Size, ...]:
    text = (files("freehold.meter") / "data" / "remote_models.csv").read_text(encoding="utf-8")
    return tuple(
        Size(
            model=row["model"],
            total_b=(float(row["total_low_b"]), float(row["total_high_b"])),
            active_b=(float(row["active_low_b"]), float(row["active_high_b"])),
            is_guess=row["is_guess"] == "1",
            source=row["source"],
        )
        for row in csv.DictReader(io.StringIO(text))
    )


SIZES: Final[tuple[Size, ...]] = _known()


class RemoteModels:
    """The operator's sizes go before those that come with the package."""

    def __init__(self, configured: Sequence[RemoteModelConfig] = ()) -> None:
        own = (
            Size(model=one.model, total_b=one.total_b, active_b=one.active_b, is_guess=False, source="[[meter.models]]")
            for one in configured
        )
        self._sizes = (*own, *SIZES)
        self._found: dict[str, Size | None] = {}

    def size(self, model: str) -> Size | None:
        """Remembered: the models that are served are few."""
        if model not in self._found:
            word = model.lower()
            self._found[model] = next((size for size in self._sizes if fnmatchcase(word, size.model.lower())), None)
        return self._found[model]

    def use(self, model: str, output_tokens: int | None, request_s: float) -> RemoteUse | None:
        """None where the size or the tokens are unknown, or none came out: the method knows output alone."""
        size = self.size(model)
        if size is None or not output_tokens:
            return None
        low, high = (_use(size.active_b[end], size.total_b[end], output_tokens, request_s) for end in (0, 1))
        energy = Measurement(
            grade=Grade.REMOTE_MODEL,
            source=SOURCE,
            energy_j=(low[0] + high[0]) / 2,
            low_j=low[0] * (1 - SPREAD),
            high_j=high[0] * (1 + SPREAD),
        )
        return RemoteUse(energy=energy, embodied_g=(low[1] + high[1]) / 2)


def _use(active_b: float, total_b: float, tokens: int, request_s: float) -> tuple[float, float]:
    """Joules, and grams of CO2e of the hardware."""
    cards = 2 ** math.ceil(math.log2(max(1, math.ceil(1.2 * total_b * 2 / _CARD_GB))))  # 2 bytes a parameter
    slope, curve, floor = _ENERGY
    card_j = tokens * (slope * math.exp(curve * BATCH) * active_b + floor) * _WH_J
    by_size, by_batch, constant = _LATENCY
    seconds = min(request_s, tokens * (by_size * active_b + by_batch * BATCH + constant))
    server_j = seconds * _SERVER_W * cards / _SERVER_CARDS / BATCH
    embodied_kg = cards * _CARD_KG + cards / _SERVER_CARDS * _SERVER_KG
    return PUE * (server_j + cards * card_j), seconds / (_LIFE_S * BATCH) * embodied_kg * 1000
