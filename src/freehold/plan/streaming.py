"""A model larger than its card: how fast a token can come at most, when the rest is read for every one of them.

A bound by bandwidth and nothing else: no engine is faster, most are slower. Ours predicts itself with measured rates instead
(`freehold fit`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import Accelerator

# Bits for a weight in GGUF files. Q4_K_M mixes types: 42.5 GB for the 70.6e9 weights of Llama 3.1 70B.
QUANTISATIONS: Mapping[str, float] = {"F16": 16.0, "Q8_0": 8.5, "Q6_K": 6.5625, "Q4_K_M": 4.82}
# xaskasdf/ntransformer's README keeps 26 layers of 80 in Q6_K, or 36 in Q4_K_M, in an RTX 3090: four fifths of 24 GB.
USABLE = 0.8
# PCIe 4.0 x16 carries 31.5 GB/s in one direction by its encoding; copies reach about four fifths of it.
LINK_GB_PER_S = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    weights_gb: float
    resident_gb: float
    streamed_gb: float
    tokens_per_s: float  # at most
    bound: str


def stream(parameters: float, quantisation: str, chip: Accelerator, link_gb_per_s: float | None = None) -> Stream:
    """For one token at a time of a dense model. Raises InvalidRequest and UnknownFigure."""
    link = LINK_GB_PER_S if link_gb_per_s is None else link_gb_per_s
    if not (math.isfinite(link) and link > 0 and 0 < parameters < 1e16):
        raise InvalidRequest(f"parameters and the link's rate must be above zero, got {parameters:g} and {link:g} GB/s")
    weights_gb = parameters * QUANTISATIONS[quantisation] / 8 / 1e9
    resident_gb = min(weights_gb, USABLE * chip.need("memory_gb"))
    streamed_gb = weights_gb - resident_gb
    memory_s, link_s = resident_gb / chip.need("memory_gb_per_s"), streamed_gb / link
    bound = "the link" if link_s > memory_s else "the card's memory"
    return Stream(
        weights_gb=weights_gb,
        resident_gb=resident_gb,
        streamed_gb=streamed_gb,
        tokens_per_s=1 / max(memory_s, link_s),
        bound=bound,
    )
