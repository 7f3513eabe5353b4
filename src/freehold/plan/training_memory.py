"""What a chip must hold to train a model, and the least parallelism that makes it fit.

Adam in mixed precision keeps 16 bytes for a parameter: weights 2, gradients 2, a master copy 4, two moments 8 (Rajbhandari et
al., ZeRO, arXiv 1910.02054). Tensor and pipeline parallelism divide all of it; ZeRO divides parts of it over the replicas.
Activations of a layer are s b h (34 + 5 a s / h) / t bytes, without the second term where attention is recomputed or never
written down (FlashAttention), and 2 s b h where a whole layer is recomputed (Korthikanti et al., arXiv 2205.05198). With the
1F1B schedule a first pipeline stage keeps the microbatches of all stages, so it holds as much as all layers of one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import Accelerator

WEIGHT_BYTES, GRADIENT_BYTES, OPTIMIZER_BYTES = 2, 2, 12
CHECKPOINT_BYTES = 14  # a parameter without its gradient
USABLE = 0.9  # of a chip's memory; the rest is the runtime, buffers of collectives and fragments
MOST_TENSOR = 8  # chips that one fast domain has at least, in all of the catalogue's servers


class Recompute(StrEnum):
    NONE = "none"
    ATTENTION = "attention"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Of a transformer. `is_guess`: scaled from the number of parameters alone."""

    layers: int
    hidden: int
    heads: int
    is_guess: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`zero` is ZeRO's stage: 1 divides the optimizer's state over `data` replicas, 2 gradients too, 3 weights too."""

    tensor: int
    pipeline: int
    data: int
    zero: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Gigabytes (1e9) on one chip."""

    layout: Layout
    recompute: Recompute
    state_gb: float
    activation_gb: float
    chip_gb: float

    @property
    def total_gb(self) -> float:
        return self.state_gb + self.activation_gb

    @property
    def fits(self) -> bool:
        return self.total_gb <= USABLE * self.chip_gb


def guessed_shape(parameters: float) -> Shape:
    """Layers about a hundredth of the width, heads of 128: as Llama's. 12 L h^2 parameters in all."""
    hidden = 128 * max(4, round((parameters * 110 / 12) ** (1 / 3) / 128))
    layers = max(1, round(parameters / (12 * hidden * hidden)))
    return Shape(layers=layers, hidden=hidden, heads=hidden // 128, is_guess=True)


def state_gb(parameters: float, layout: Layout) -> float:
    share = parameters / (layout.tensor * layout.pipeline)
    weights = WEIGHT_BYTES / (layout.data if layout.zero >= 3 else 1)
    gradients = GRADIENT_BYTES / (layout.data if layout.zero >= 2 else 1)
    optimizer = OPTIMIZER_BYTES / (layout.data if layout.zero >= 1 else 1)
    return share * (weights + gradients + optimizer) / 1e9


def activation_gb(shape: Shape, layout: Layout, recompute: Recompute, sequence: int, microbatch: int) -> float:
    unit = sequence * microbatch * shape.hidden * shape.layers / 1e9
    if recompute is Recompute.FULL:
        return 2 * unit
    attention = 5 * shape.heads * sequence / shape.hidden if recompute is Recompute.NONE else 0.0
    return unit * (34 + attention) / layout.tensor


def memory(
    parameters: float, shape: Shape, chip: Accelerator, layout: Layout, recompute: Recompute, sequence: int, microbatch: int = 1
) -> Memory:
    """Raises UnknownFigure where the chip's memory is unknown, InvalidRequest for parallelism that cannot be."""
    if min(layout.tensor, layout.pipeline, layout.data) < 1 or layout.zero not in range(4):
        raise InvalidRequest("tensor, pipeline and data parallelism are at least 1, and ZeRO's stage is 0 to 3")
    # ZeRO 3 gathers a layer's weights where they are computed with.
    gathered_gb = parameters * WEIGHT_BYTES / shape.layers / layout.tensor / 1e9 if layout.zero == 3 else 0.0
    return Memory(
        layout=layout,
        recompute=recompute,
        state_gb=state_gb(parameters, layout) + gathered_gb,
        activation_gb=activation_gb(shape, layout, recompute, sequence, microbatch),
        chip_gb=chip.need("memory_gb"),
    )


def least_layout(parameters: float, shape: Shape, chip: Accelerator, chips: int, sequence: int) -> Memory | None:
    """The fewest chips to one replica, optimizer divided over replicas (ZeRO 1); attention recomputed, else whole layers.

    None: no layout of so many chips fits.
    """
    for tensor, pipeline in _splits(shape, chips):
        layout = Layout(tensor=tensor, pipeline=pipeline, data=chips // (tensor * pipeline), zero=1)
        for recompute in (Recompute.ATTENTION, Recompute.FULL):
            found = memory(parameters, shape, chip, layout, recompute, sequence)
            if found.fits:
                return found
    return None


def by_parallelism(parameters: float, shape: Shape, chip: Accelerator, chips: int, sequence: int) -> tuple[Memory, ...]:
    """For each width of tensor parallelism, and ZeRO 1 and 3: the shortest pipeline that fits, else the longest there can be."""
    return tuple(
        _shortest(parameters, shape, chip, chips, sequence, tensor=1 << power, zero=zero)
        for zero in (1, 3)
        for power in range(MOST_TENSOR.bit_length())
        if 1 << power <= chips
    )


def _shortest(parameters: float, shape: Shape, chip: Accelerator, chips: int, sequence: int, *, tensor: int, zero: int) -> Memory:
    for pipeline in range(1, min(shape.layers, chips // tensor) + 1):
        layout = Layout(tensor=tensor, pipeline=pipeline, data=chips // (tensor * pipeline), zero=zero)
        for recompute in Recompute:
            found = memory(parameters, shape, chip, layout, recompute, sequence)
            if found.fits:
                return found
    return found


def _splits(shape: Shape, chips: int) -> Iterator[tuple[int, int]]:
    """Tensor parallelism inside a server first, whose links are the fast ones; then pipelines of servers."""
    pairs = [(1 << power, 1) for power in range(MOST_TENSOR.bit_length())]
    pairs += [(MOST_TENSOR, pipeline) for pipeline in range(2, shape.layers + 1)]
    yield from (pair for pair in pairs if math.prod(pair) <= chips)
