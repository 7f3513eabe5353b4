"""Serving a model: whether it fits, how fast it answers, how many sequences at a time, and how many replicas a load takes.

Decoding is a fit to measured systems (`serving_fit.py`), prefill a share of peak. In continuous batching the two take turns,
so a replica that decodes B sequences at a time ends a request every `prefill + output * step / B` seconds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from freehold.core.errors import InvalidRequest, UnknownFigure
from freehold.plan.catalogue import Accelerator, Precision
from freehold.plan.models import Decoder, Weights
from freehold.plan.queueing import Engine, Played, fewest
from freehold.plan.serving_fit import DecodeFit, Step, stored_fit
from freehold.plan.trace import Arrival
from freehold.plan.uncertainty import Array, LogNormal, Simulation, Spread, Triangular, simulate

MEMORY_FRACTION = 0.9  # vLLM's gpu_memory_utilization: of all the card has, weights and activations in it
ACTIVATIONS_GB = 2.0  # and CUDA graphs, on every card
# MLPerf Inference v5.1, offline: prompts and outputs together use 0.36 to 0.62 of the listed peak.
PREFILL_OF_PEAK = Triangular(low=0.35, mode=0.5, high=0.65)
BUSY = 0.8  # of a replica's most; beyond it queues grow faster than the load
MOST_BATCH = 4096
MOST = 1e9  # requests a second, milliseconds: beyond it somebody mistook the unit
# ML.ENERGY's rows: a card draws 0.57 to 0.90 of its TDP while decoding (H100, P10 to P90), 0.74 in the middle.
DRAW_OF_TDP = Triangular(low=0.55, mode=0.75, high=0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One replica: `chips` in tensor parallelism, experts spread over the same chips."""

    model: Decoder
    chip: Accelerator
    chips: int
    weights: Weights
    kv_bytes_each: float = 2.0

    def step(self, batch: float, context: float) -> Step:
        return Step(
            model=self.model,
            weights=self.weights,
            chip=self.chip,
            chips=self.chips,
            tensor=self.chips,
            batch=batch,
            context=context,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests as they come: tokens of the prompt and of the answer, on average; what a user may have to wait."""

    prompt_tokens: int
    output_tokens: int
    requests_per_s: float | None = None
    itl_ms: float | None = None
    ttft_ms: float | None = None

    @property
    def context(self) -> float:
        """Behind the token that is made, on average over an answer."""
        return self.prompt_tokens + self.output_tokens / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Gigabytes on one chip. `sequences` at a time that the KV cache holds whole."""

    weights_gb: float
    kv_gb: float  # left for keys and values
    kv_bytes_per_sequence: float
    sequences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    deployment: Deployment
    load: Load
    fit: Fit
    batch: int
    bound: str  # what keeps the batch from being larger
    itl_ms: Simulation
    ttft_ms: Simulation
    tokens_per_s: Simulation  # of one replica: output tokens, prefill taken off
    requests_per_s: float
    joules_per_token: Simulation | None
    replicas: int | None
    decode_fit: DecodeFit
    warnings: tuple[str, ...]


def memory_fit(deployment: Deployment, load: Load) -> Fit:
    """Raises InvalidRequest where not even one sequence fits, with the numbers; UnknownFigure."""
    weights_gb = deployment.model.parameters * deployment.weights.value / deployment.chips / 1e9
    chip_gb = deployment.chip.need("memory_gb") * MEMORY_FRACTION
    kv_gb = chip_gb - ACTIVATIONS_GB - weights_gb
    each = deployment.model.kv_bytes(load.prompt_tokens + load.output_tokens, deployment.kv_bytes_each)
    sequences = math.floor(kv_gb * 1e9 * deployment.chips / each) if kv_gb > 0 else 0
    if sequences < 1:
        raise InvalidRequest(
            f"{deployment.model.name} does not fit {deployment.chips} {deployment.chip.name}: each would hold "
            f"{weights_gb:.1f} GB of weights and {each / deployment.chips / 1e9:.1f} GB for one sequence, and "
            f"{chip_gb - ACTIVATIONS_GB:.1f} GB may be used. More chips, smaller weights, a shorter context, or --stream",
            param="tp",
        )
    return Fit(weights_gb=weights_gb, kv_gb=kv_gb, kv_bytes_per_sequence=each, sequences=sequences)


def prefill_s(deployment: Deployment, tokens: float, of_peak: float) -> float:
    """2 N operations a token, and attention to what is before it. At eight bits where weights and chip have them."""
    chip = deployment.chip
    has_eight = deployment.weights is Weights.FP8 and Precision.FP8 in chip.dense_tera_ops
    peak = chip.flop_per_s(Precision.FP8 if has_eight else Precision.BF16)
    model = deployment.model
    flop = 2 * model.active_parameters * tokens + 2 * model.hidden * model.layers * tokens * tokens
    return flop / (deployment.chips * peak * of_peak)


def serve(deployment: Deployment, load: Load, batch: int | None = None) -> Serving:
    """At `batch`, or at the largest that memory and the time between tokens allow. Raises InvalidRequest and UnknownFigure."""
    _check(deployment, load, batch)
    decode, held = stored_fit(), memory_fit(deployment, load)
    chosen, bound = (batch, "as asked") if batch is not None else _largest(deployment, load, held, decode)
    if chosen > held.sequences:
        raise InvalidRequest(
            f"a batch of {chosen:,} does not fit: the KV cache holds {held.sequences:,} such sequences", param="batch"
        )
    step_s = decode.seconds(deployment.step(chosen, load.context))

    def prefill(inputs: Mapping[str, Array]) -> Array:
        return np.asarray(prefill_s(deployment, load.prompt_tokens, 1.0) / inputs["prefill"])

    def rate(inputs: Mapping[str, Array]) -> Array:
        return load.output_tokens / (prefill(inputs) + load.output_tokens * step_s * inputs["step"] / chosen)

    spreads: dict[str, Spread] = {"step": LogNormal(median=1.0, sigma=decode.sigma), "prefill": PREFILL_OF_PEAK}
    ttft = simulate(lambda inputs: (prefill(inputs) + step_s * inputs["step"]) * 1e3, spreads)
    tokens_per_s = simulate(rate, spreads)
    requests_per_s = tokens_per_s.p50 / load.output_tokens
    replicas = None if load.requests_per_s is None else max(1, math.ceil(load.requests_per_s / (requests_per_s * BUSY)))
    return Serving(
        deployment=deployment,
        load=load,
        fit=held,
        batch=chosen,
        bound=bound,
        itl_ms=simulate(lambda inputs: step_s * 1e3 * inputs["step"], {"step": spreads["step"]}),
        ttft_ms=ttft,
        tokens_per_s=tokens_per_s,
        requests_per_s=requests_per_s,
        joules_per_token=_energy(deployment, rate, spreads),
        replicas=replicas,
        decode_fit=decode,
        warnings=tuple(_warnings(deployment, load, ttft)),
    )


def load_of(arrivals: Sequence[Arrival], itl_ms: float | None, ttft_ms: float | None) -> Load:
    """What a trace asks on average."""
    count = len(arrivals)
    return Load(
        prompt_tokens=max(1, round(sum(one.prompt_tokens for one in arrivals) / count)),
        output_tokens=max(1, round(sum(one.output_tokens for one in arrivals) / count)),
        itl_ms=itl_ms,
        ttft_ms=ttft_ms,
    )


def replay(found: Serving, arrivals: Sequence[Arrival]) -> Played:
    """The fewest replicas that keep the load's limits for 95 of 100 requests of the trace. Raises InvalidRequest."""
    load, deployment, decode = found.load, found.deployment, found.decode_fit
    if load.itl_ms is None and load.ttft_ms is None:
        raise InvalidRequest("a trace needs a limit to keep: --ttft-ms, --itl-ms or both", param="trace")
    engine = Engine(
        prefill_s=lambda tokens: prefill_s(deployment, tokens, PREFILL_OF_PEAK.mode),
        step_s=lambda batch: decode.seconds(deployment.step(batch, load.context)),
        sequences=found.batch,
    )
    return fewest(arrivals, engine, load.ttft_ms, load.itl_ms)


def _energy(
    deployment: Deployment, rate: Callable[[Mapping[str, Array]], Array], spreads: Mapping[str, Spread]
) -> Simulation | None:
    """Of the cards alone, without hosts and cooling."""
    tdp = deployment.chip.tdp_w
    if tdp is None:
        return None
    return simulate(lambda inputs: tdp * deployment.chips * inputs["draw"] / rate(inputs), {**spreads, "draw": DRAW_OF_TDP})


def _largest(deployment: Deployment, load: Load, held: Fit, decode: DecodeFit) -> tuple[int, str]:
    """The time of a step only grows with the batch, so halving finds the last that is quick enough."""
    most, bound = min(held.sequences, MOST_BATCH), "memory" if held.sequences <= MOST_BATCH else "the most that is planned"
    if load.itl_ms is None:
        return most, bound

    def is_quick(batch: int) -> bool:
        return decode.seconds(deployment.step(batch, load.context)) * 1e3 <= (load.itl_ms or 0.0)

    if is_quick(most):
        return most, bound
    if not is_quick(1):
        alone = decode.seconds(deployment.step(1, load.context)) * 1e3
        raise InvalidRequest(
            f"{load.itl_ms:g} ms between tokens cannot be kept: one sequence alone takes {alone:.1f} ms; more chips, or smaller "
            "weights",
            param="itl",
        )
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_quick(middle) else (low, middle)
    return low, "the time between tokens"


def _check(deployment: Deployment, load: Load, batch: int | None) -> None:
    if not 1 <= deployment.chips <= 1024:
        raise InvalidRequest(f"a replica has between 1 and 1,024 chips, got {deployment.chips:,}", param="tp")
    for name, value in (("prompt", load.prompt_tokens), ("output", load.output_tokens)):
        if not 1 <= value <= 10_000_000:
            raise InvalidRequest(f"{name} tokens lie between 1 and 10,000,000, got {value:,}", param=name)
    for name, limit in (("rate", load.requests_per_s), ("itl", load.itl_ms), ("ttft", load.ttft_ms)):
        if limit is not None and not 0 < limit <= MOST:
            raise InvalidRequest(f"{name} must be above zero and at most {MOST:g}, got {limit:g}", param=name)
    if batch is not None and not 1 <= batch <= 1_000_000:
        raise InvalidRequest(f"a batch has between 1 and 1,000,000 sequences, got {batch:,}", param="batch")
    if deployment.weights is Weights.FP8 and Precision.FP8 not in deployment.chip.dense_tera_ops:
        raise UnknownFigure(f"cannot compute: fp8_dense_tflops of {deployment.chip.name} is unknown")


def _warnings(deployment: Deployment, load: Load, ttft: Simulation) -> list[str]:
    said = []
    if not deployment.chip.name.startswith(("H100", "B200")):
        said.append(f"the decode fit saw H100 and B200, not {deployment.chip.name}")
    if load.ttft_ms is not None and ttft.p50 > load.ttft_ms:
        said.append(f"the first token takes {ttft.p50:.0f} ms without any queue: {load.ttft_ms:g} ms cannot be kept")
    if deployment.model.experts is not None:
        said.append("mixtures of experts are predicted less well than dense models: by up to a quarter off at 200B and more")
    return said
