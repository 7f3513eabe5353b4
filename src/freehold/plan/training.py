"""How long a training run takes, what it uses and costs, with what is uncertain in it.

    hours = 6 N D / (chips * peak * MFU) / goodput, relative to what the published runs already lost

N are the parameters that one token goes through, D tokens; attention adds 12 L h s a token where sequences are long. MFU
comes from published campaigns (`training_fit.py`) and has their restarts in it, so only what a run loses more than they did
is added: the exact form of failures and checkpoints against that of the same number of chips, at most `REFERENCE_CHIPS`, with
the usual times.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import Accelerator, Density, Precision
from freehold.plan.power import PUE, ChipPower, chip_power
from freehold.plan.reliability import CHECKPOINT_S, CHIP_MTBF_H, RESTART_S, Reliability, best_interval_s, goodput, reliability
from freehold.plan.training_fit import MfuFit, stored_fit
from freehold.plan.training_memory import CHECKPOINT_BYTES, Memory, Shape, by_parallelism, guessed_shape, least_layout
from freehold.plan.uncertainty import Array, LogNormal, Simulation, Spread, Triangular, simulate

LONG_SEQUENCE = 8192  # below it attention's own share is under a tenth for the models that matter
REFERENCE_CHIPS = 16_384  # the largest of the runs that MFU was fitted to
# MLPerf Training v4.1 and v5.0, same model on more chips: MFU falls with n^-0.05 (GB200) to n^-0.12 (H100 to 11,616).
SCALE_EXPONENT = 0.065
# The same rows at 512 chips, of the peak at eight bits: 0.39 for all together (H100 0.39 to 0.42, GB200 0.34, TPU v6e 0.22).
TUNED_MFU, TUNED_CHIPS, TUNED_SIGMA = 0.39, 512, 0.15
# Eight bits are twice the peak, and less of it is reached. Assumed, no public pair of campaigns measures it.
EIGHT_BIT_GAIN = Triangular(low=1.15, mode=1.4, high=1.7)
LOAD = Triangular(low=0.6, mode=0.8, high=0.95)  # drawn over provisioned
CHINCHILLA = 20.0  # tokens to a parameter that compute is best spent on (Hoffmann et al., arXiv 2203.15556)
LEAST, MOST = 1e6, 1e18  # of parameters and of tokens; who writes less means billions
LEAST_GOODPUT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """`parameters` in all and `active_parameters` for one token: the same for a dense model."""

    parameters: float
    tokens: float
    chip: Accelerator
    chips: int | None = None
    active_parameters: float | None = None
    precision: Precision = Precision.BF16
    sequence: int = LONG_SEQUENCE
    shape: Shape | None = None
    mfu: float | None = None  # of the dense BF16 peak, all-in: instead of the fitted one
    chip_mtbf_h: float = CHIP_MTBF_H
    checkpoint_s: float = CHECKPOINT_S
    restart_s: float = RESTART_S
    pue: float = PUE
    is_tuned: bool = False  # as MLPerf's submitters tune theirs: minutes at eight bits, on nothing but the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is None is unknown, or has no number of chips to be worked out for."""

    job: TrainingJob
    flop: float
    attention_flop: float
    mfu: float  # of dense BF16, all-in, before what more chips lose
    is_own_level: bool  # runs on this chip were among the data
    chip_hours: Simulation
    days: Simulation | None
    reliability: Reliability | None
    loss_at_scale: float  # chip-hours over those of the published scale, at least about 1
    memory: Memory | None
    layouts: tuple[Memory, ...]  # by parallelism, those that do not fit too
    shape: Shape
    checkpoint_tb: float
    energy_mwh: Simulation | None
    rent_usd: Simulation | None
    tokens_per_parameter: float
    warnings: tuple[str, ...]


def train(job: TrainingJob, fit: MfuFit | None = None) -> Training:
    """Raises InvalidRequest for numbers that are none, UnknownFigure for what the chip's makers never said."""
    _check(job)
    fit = stored_fit() if fit is None else fit
    active = job.active_parameters or job.parameters
    shape = job.shape or guessed_shape(job.parameters)
    peak = job.chip.flop_per_s(Precision.BF16)
    family = next((name for name in fit.levels if name == job.chip.name.split()[0] or name == job.chip.name), None)
    if job.is_tuned:
        mfu = tuned_mfu(job.chip, job.chips or TUNED_CHIPS)
    else:
        mfu = job.mfu or fit.mfu(family or job.chip.name, active, peak / 1e12)
    attention = 12 * shape.layers * shape.hidden * job.sequence * job.tokens if job.sequence > LONG_SEQUENCE else 0.0
    flop = 6 * active * job.tokens + attention

    found = _reliability(job)
    spreads = _spreads(job, mfu, fit)

    def hours(inputs: Mapping[str, Array]) -> Array:
        return flop / (peak * inputs["mfu"] * inputs.get("eight bits", np.ones(1)) * 3600) * _loss(job, inputs)

    chip_hours = simulate(hours, spreads)
    power = _power(job)
    rent = job.chip.rent_usd_per_h
    medians = {name: spread.at(np.array([0.5])) for name, spread in spreads.items()}
    held: Memory | None = None
    layouts: tuple[Memory, ...] = ()
    if job.chips is not None and job.chip.memory_gb is not None:
        asked = (job.parameters, shape, job.chip, job.chips, job.sequence)
        held, layouts = least_layout(*asked), by_parallelism(*asked)
    return Training(
        job=job,
        flop=flop,
        attention_flop=attention,
        mfu=mfu,
        is_own_level=family is not None,
        chip_hours=chip_hours,
        days=None if job.chips is None else chip_hours.scaled(1 / job.chips / 24),
        reliability=found,
        loss_at_scale=float(_loss(job, medians)[0]),
        memory=held,
        layouts=layouts,
        shape=shape,
        checkpoint_tb=job.parameters * CHECKPOINT_BYTES / 1e12,
        energy_mwh=None
        if power is None
        else simulate(lambda inputs: hours(inputs) * power.site_w * inputs["load"] / 1e6, {**spreads, "load": LOAD}),
        rent_usd=None if rent is None else chip_hours.scaled(rent),
        tokens_per_parameter=job.tokens / active,
        warnings=tuple(_warnings(job, family, found, held)),
    )


def tuned_mfu(chip: Accelerator, chips: int) -> float:
    """Of the dense BF16 peak, at eight bits. Raises UnknownFigure where the chip has no rate at eight bits."""
    rates = [chip.dense_tera_ops[one] for one in (Precision.FP8, Precision.INT8) if one in chip.dense_tera_ops]
    eight = rates[0] if rates else chip.flop_per_s(Precision.FP8) / 1e12  # says which figure is missing
    lost: float = (chips / TUNED_CHIPS) ** SCALE_EXPONENT
    return TUNED_MFU * eight * 1e12 / chip.flop_per_s(Precision.BF16) / lost


def _check(job: TrainingJob) -> None:
    for name, value in (("parameters", job.parameters), ("tokens", job.tokens)):
        if not (math.isfinite(value) and LEAST <= value <= MOST):
            raise InvalidRequest(f"{name} lie between {LEAST:g} and {MOST:g} (7 billion are 7e9), got {value:g}", param=name)
    if job.active_parameters is not None and not 0 < job.active_parameters <= job.parameters:
        raise InvalidRequest(
            f"active parameters are at most all {job.parameters:g}, got {job.active_parameters:g}", param="active"
        )
    if job.mfu is not None and not 0 < job.mfu <= 1:
        raise InvalidRequest(f"an MFU is above 0 and at most 1, got {job.mfu:g}", param="mfu")
    if job.chips is not None and not 1 <= job.chips <= 10**8:
        raise InvalidRequest(f"a run has between 1 and 100,000,000 chips, got {job.chips:,}", param="n")
    if not 1 <= job.sequence <= 10**8:
        raise InvalidRequest(f"a sequence has between 1 and 100,000,000 tokens, got {job.sequence:,}", param="sequence")
    reliability(job.chips or 1, chip_mtbf_h=job.chip_mtbf_h, checkpoint_s=job.checkpoint_s, restart_s=job.restart_s)
    if job.shape is not None and job.shape.hidden % job.shape.heads:
        raise InvalidRequest(f"{job.shape.hidden:,} of width can't be shared out among {job.shape.heads:,} heads", param="heads")
    job.chip.flop_per_s(job.precision, Density.DENSE)  # trains at this precision at all
    if job.precision not in (Precision.BF16, Precision.FP8):
        raise InvalidRequest(f"no published campaign was computed in {job.precision}: plan bf16 or fp8", param="precision")
    if job.is_tuned and job.mfu is not None:
        raise InvalidRequest("tuned, or an MFU of your own: one of the two", param="mfu")


def _reliability(job: TrainingJob) -> Reliability | None:
    """None where no number of chips is given."""
    if job.chips is None:
        return None
    found = reliability(job.chips, chip_mtbf_h=job.chip_mtbf_h, checkpoint_s=job.checkpoint_s, restart_s=job.restart_s)
    if found.goodput < LEAST_GOODPUT:
        raise InvalidRequest(
            f"this run would hardly end: a failure every {found.job_mtbf_h * 3600:.3g} s against {job.checkpoint_s:g} s for a "
            f"checkpoint and {job.restart_s:g} s to restart; fewer chips, or restart only what failed",
            param="n",
        )
    return found


def _spreads(job: TrainingJob, mfu: float, fit: MfuFit) -> dict[str, Spread]:
    """What is uncertain."""
    spreads: dict[str, Spread] = {"mfu": LogNormal(median=mfu, sigma=_sigma(job, fit))}
    if job.precision is not Precision.BF16 and not job.is_tuned:
        spreads["eight bits"] = EIGHT_BIT_GAIN
    if job.chips is not None:
        spreads["time between failures"] = LogNormal(median=job.chip_mtbf_h, sigma=0.4)
        spreads["checkpoint"] = LogNormal(median=job.checkpoint_s, sigma=0.4)
        spreads["restart"] = LogNormal(median=job.restart_s, sigma=0.4)
    return spreads


def _sigma(job: TrainingJob, fit: MfuFit) -> float:
    """A given MFU still varies a little from week to week."""
    return TUNED_SIGMA if job.is_tuned else 0.05 if job.mfu is not None else fit.sigma


def _loss(job: TrainingJob, inputs: Mapping[str, Array]) -> Array:
    """Chip-hours over those at the published scale."""
    if job.chips is None or job.is_tuned:
        return np.ones(1)
    usual_mtbf_s = CHIP_MTBF_H * 3600 / min(job.chips, REFERENCE_CHIPS)
    usual = goodput(usual_mtbf_s, best_interval_s(usual_mtbf_s, CHECKPOINT_S), CHECKPOINT_S, RESTART_S)
    mtbf_s, checkpoint_s = inputs["time between failures"] * 3600 / job.chips, inputs["checkpoint"]
    own = goodput(mtbf_s, best_interval_s(mtbf_s, checkpoint_s), checkpoint_s, inputs["restart"])
    scale = (max(job.chips, REFERENCE_CHIPS) / REFERENCE_CHIPS) ** SCALE_EXPONENT
    return np.asarray(usual / np.asarray(own) * scale)


def _power(job: TrainingJob) -> ChipPower | None:
    if job.chip.all_in_w is None and job.chip.tdp_w is None:
        return None
    return chip_power(job.chip, job.pue)


def _warnings(job: TrainingJob, family: str | None, found: Reliability | None, held: Memory | None) -> list[str]:
    said = []
    if family is None and job.mfu is None and not job.is_tuned:
        said.append(f"no published run on {job.chip.name} is in the data: its MFU is that of all chips")
    if found is not None and found.goodput < 0.7:
        said.append(f"only {found.goodput:.0%} of the time is work: restart only what failed, or keep spare chips")
    if job.chips is not None and job.chips > REFERENCE_CHIPS:
        said.append(f"more chips than any run of the data ({REFERENCE_CHIPS:,}): scaling is extrapolated")
    if job.chips is not None and held is None and job.chip.memory_gb is not None:
        said.append(f"no parallelism of {job.chips:,} chips holds the model, its optimizer and activations")
    return said
