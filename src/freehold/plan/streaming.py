"""A model larger than its card: how fast a token can come at most, when the rest is read for every one of them.

A bound by bandwidth and nothing else: no engine is faster, most are slower. With W bytes a token, of which V lie in the card's
memory, R in the machine's and D on its disk, it is the better of two ways, each as slow as its slowest link (`core/links.py`):

    computed where they lie   max(D / disk, V / card + (R + D) / memory)
    all on the card           max(D / disk, (R + D) / link, W / card)

It is the same law, and on the same rates gives the same figure, as `freehold fit`, which measures them and adds what checks and
system calls take.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from freehold.core.errors import InvalidRequest
from freehold.core.links import PCIE4_X16_BYTES_PER_S, slowest
from freehold.plan.catalogue import Accelerator
from freehold.plan.uncertainty import Array, LogNormal, Simulation, Spread, Triangular, simulate

# Bits for a weight in GGUF files. Q4_K_M mixes types: 42.5 GB for the 70.6e9 weights of Llama 3.1 70B.
QUANTISATIONS: Mapping[str, float] = {"F16": 16.0, "Q8_0": 8.5, "Q6_K": 6.5625, "Q4_K_M": 4.82}
# xaskasdf/ntransformer's README keeps 26 layers of 80 in Q6_K, or 36 in Q4_K_M, in an RTX 3090: four fifths of 24 GB.
USABLE = 0.8
LINK_GB_PER_S = PCIE4_X16_BYTES_PER_S / 1e9
# What engines reach of the bound: ours 0.81 to 1.03 (docs/benchmarks.md); assumed around it.
OF_BOUND = Triangular(low=0.7, mode=0.9, high=1.0)
RATE_SIGMA = 0.15  # of a link between machines and hours: assumed
MOST_GB_PER_S = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine around the card. `memory_gb` None: it holds all that the card does not.

    `memory_gb_per_s` is what its processors multiply at; None: they do not, and all is computed on the card.
    """

    link_gb_per_s: float = LINK_GB_PER_S
    memory_gb: float | None = None
    memory_gb_per_s: float | None = None
    disk_gb_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Gigabytes (1e9) of weights where they lie; `tokens_per_s` at most."""

    weights_gb: float
    resident_gb: float
    memory_gb: float
    disk_gb: float
    tokens_per_s: float
    bound: str

    @property
    def streamed_gb(self) -> float:
        return self.memory_gb + self.disk_gb


def stream(
    parameters: float, quantisation: str, chip: Accelerator, host: Host | None = None, active_parameters: float | None = None
) -> Stream:
    """For one token at a time. Raises InvalidRequest and UnknownFigure."""
    host = Host() if host is None else host
    _check(parameters, quantisation, host)
    weights_gb = parameters * QUANTISATIONS[quantisation] / 8 / 1e9
    resident_gb = min(weights_gb, USABLE * chip.need("memory_gb"))
    rest_gb = weights_gb - resident_gb
    memory_gb = rest_gb if host.memory_gb is None else min(rest_gb, host.memory_gb)
    disk_gb = rest_gb - memory_gb
    if disk_gb > 0 and host.disk_gb_per_s is None:
        raise InvalidRequest(
            f"{disk_gb:.3g} GB fit neither the card nor {memory_gb:.3g} GB of memory: say what the disk reads a second, in GB",
            param="disk-gb-per-s",
        )
    used = 1.0 if active_parameters is None else active_parameters / parameters  # of a mixture, the experts of one token
    seconds, bound = bound_s(used * resident_gb, used * memory_gb, used * disk_gb, chip.need("memory_gb_per_s"), host)
    return Stream(
        weights_gb=weights_gb,
        resident_gb=resident_gb,
        memory_gb=memory_gb,
        disk_gb=disk_gb,
        tokens_per_s=1 / seconds,
        bound=bound,
    )


def bound_s(card_gb: float, memory_gb: float, disk_gb: float, card_gb_per_s: float | None, host: Host) -> tuple[float, str]:
    """Seconds a token, and what holds it up; of the gigabytes that a token reads in each place. No card's rate: no card."""
    rest_gb, ways = memory_gb + disk_gb, []
    feeding = {"the disk": disk_gb / host.disk_gb_per_s} if disk_gb and host.disk_gb_per_s else {}
    if card_gb_per_s is not None:
        across = {"the link": rest_gb / host.link_gb_per_s} if rest_gb else {}
        ways.append(slowest({**feeding, **across}, {"the card's memory": (card_gb + rest_gb) / card_gb_per_s}))
    if rest_gb and host.memory_gb_per_s is not None:
        on_card = {} if card_gb_per_s is None else {"the card's memory": card_gb / card_gb_per_s}
        ways.append(slowest(feeding, {**on_card, "the machine's memory": rest_gb / host.memory_gb_per_s}))
    return min(ways)


def stream_range(found: Stream, chip: Accelerator, host: Host, used: float = 1.0) -> Simulation:
    """Tokens a second that an engine may reach."""
    rates = {
        "the card's memory": chip.need("memory_gb_per_s"),
        "the link": host.link_gb_per_s,
        "the machine's memory": host.memory_gb_per_s,
        "the disk": host.disk_gb_per_s,
    }
    spreads: dict[str, Spread] = {name: LogNormal(median=rate, sigma=RATE_SIGMA) for name, rate in rates.items() if rate}
    if not found.disk_gb:
        spreads.pop("the disk", None)
    sizes = (used * found.resident_gb, used * found.memory_gb, used * found.disk_gb)

    def tokens(inputs: Mapping[str, Array]) -> Array:
        results = []
        for at, share in enumerate(inputs["of the bound"]):
            drawn = {name: float(values[at]) for name, values in inputs.items()}
            there = Host(
                link_gb_per_s=drawn["the link"],
                memory_gb_per_s=drawn.get("the machine's memory"),
                disk_gb_per_s=drawn.get("the disk"),
            )
            results.append(share / bound_s(*sizes, drawn["the card's memory"], there)[0])
        return np.array(results)

    return simulate(tokens, {**spreads, "of the bound": OF_BOUND}, draws=2000)


def _check(parameters: float, quantisation: str, host: Host) -> None:
    if not 0 < parameters < 1e16:
        raise InvalidRequest(f"parameters lie between 0 and 1e16, got {parameters:g}", param="params")
    if quantisation not in QUANTISATIONS:
        raise InvalidRequest(f"no quantisation {quantisation[:20]!r}; known: {', '.join(QUANTISATIONS)}", param="quant")
    rates = {"link": host.link_gb_per_s, "memory": host.memory_gb_per_s, "disk": host.disk_gb_per_s}
    for name, rate in rates.items():
        if rate is not None and not 0 < rate <= MOST_GB_PER_S:
            raise InvalidRequest(f"the {name}'s rate lies between 0 and {MOST_GB_PER_S:g} GB/s, got {rate:g}", param=name)
    if host.memory_gb is not None and not (math.isfinite(host.memory_gb) and host.memory_gb >= 0):
        raise InvalidRequest(f"memory is 0 GB or more, got {host.memory_gb:g}", param="ram-gb")
