"""`freehold plan train`: how long, how much, and whether it fits."""

from collections.abc import Iterable
from pathlib import Path

import click

from freehold.cli.charts import Chart, bar_chart
from freehold.cli.plan_answer import Answer, Rows, answer_options, moved, spans, tell
from freehold.cli.plan_words import figure, precision_option, pue, simulated
from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import Precision, find
from freehold.plan.reliability import CHECKPOINT_S, CHIP_MTBF_H, RESTART_S
from freehold.plan.training import CHINCHILLA, LONG_SEQUENCE, Training, TrainingJob
from freehold.plan.training import train as work_out
from freehold.plan.training_memory import Memory, Shape

HOURS_PER_YEAR = 8760
_LAYOUT = ("tensor", "pipeline", "data", "ZeRO", "recomputed", "state", "activations", "fits")
RUNS_SOURCE = "MFU: published campaigns from GPT-3 on, each with its source in `freehold plan validate --cases`"


@click.command()
@click.option("--params", type=float, required=True, help="Parameters: 405e9.")
@click.option("--active", type=float, help="Parameters that one token goes through, of a mixture of experts. Default: all.")
@click.option("--tokens", type=float, required=True, help="Tokens: 15.6e12.")
@click.option("--chip", required=True, help="A name of the catalogue.")
@click.option("--n", "chips", type=int, help="How many chips. Without it: chip-hours alone.")
@precision_option("What is computed in: bf16 (the default) or fp8.")
@click.option("--sequence", type=int, default=LONG_SEQUENCE, show_default=True, help="Tokens of one sequence.")
@click.option("--layers", type=click.IntRange(min=1), help="Layers. With --hidden and --heads; default: scaled from --params.")
@click.option("--hidden", type=click.IntRange(min=1), help="Width of the residual stream.")
@click.option("--heads", type=click.IntRange(min=1), help="Heads of attention.")
@click.option("--mfu", type=float, help="Your own MFU, of the dense BF16 peak. Default: fitted to published runs.")
@click.option("--tuned", is_flag=True, help="As MLPerf's submitters tune: minutes at eight bits, and nothing but the run.")
@click.option(
    "--mtbf-years",
    type=float,
    default=round(CHIP_MTBF_H / HOURS_PER_YEAR, 2),
    show_default=True,
    help="Of one chip, between failures.",
)
@click.option(
    "--checkpoint-s", type=float, default=CHECKPOINT_S, show_default=True, help="Seconds that a checkpoint holds the run up."
)
@click.option("--restart-s", type=float, default=RESTART_S, show_default=True, help="Seconds from a failure to the next step.")
@pue
@answer_options
def train(
    params: float,
    active: float | None,
    tokens: float,
    chip: str,
    chips: int | None,
    precision: Precision | None,
    sequence: int,
    layers: int | None,
    hidden: int | None,
    heads: int | None,
    mfu: float | None,
    tuned: bool,
    mtbf_years: float,
    checkpoint_s: float,
    restart_s: float,
    pue: float,
    as_json: bool,
    html: Path | None,
) -> None:
    """Tell how long a training run takes, what it uses and costs, whether it fits, and what failures take.

    Chip-hours are 6 N D over what chips of this kind kept up in published runs, restarts included. Eight in ten draws lie
    between P10 and P90; the bars say which input moves them most.
    """
    job = TrainingJob(
        parameters=params,
        active_parameters=active,
        tokens=tokens,
        chip=find(chip),
        chips=chips,
        precision=precision or Precision.BF16,
        sequence=sequence,
        shape=_shape(layers, hidden, heads),
        mfu=mfu,
        chip_mtbf_h=mtbf_years * HOURS_PER_YEAR if mtbf_years != round(CHIP_MTBF_H / HOURS_PER_YEAR, 2) else CHIP_MTBF_H,
        checkpoint_s=checkpoint_s,
        restart_s=restart_s,
        pue=pue,
        is_tuned=tuned,
    )
    tell(_answer(work_out(job)), as_json, html)


def _answer(one: Training) -> Answer:
    chip = one.job.chip
    chips = "" if one.job.chips is None else f" on {one.job.chips:,} chips"
    return Answer(
        title=f"Training {figure(one.job.parameters / 1e9)}B on {figure(one.job.tokens / 1e12)}T tokens, {chip.name}{chips}",
        document=_document(one),
        facts=tuple(_facts(one)),
        tables=(
            Rows(
                title="memory by parallelism", header=_LAYOUT, rows=tuple(_layout(each) for each in one.layouts), is_detail=True
            ),
        )
        if one.layouts
        else (),
        spans=spans(
            ("chip-hours", one.chip_hours, ""),
            ("days", one.days, ""),
            ("energy", one.energy_mwh, "MWh"),
            ("rent", one.rent_usd, "USD"),
        ),
        moved=moved(("the chip-hours", one.chip_hours, "")),
        charts=tuple(_charts(one)),
        sources=(f"{chip.name}: {chip.source}", RUNS_SOURCE),
        caveats=(
            "The MFU is of whole published campaigns, restarts and idle hours included; not what a profiler shows on a good day.",
            *one.warnings,
        ),
    )


def _layout(one: Memory) -> tuple[str, ...]:
    layout = one.layout
    split = (str(layout.tensor), str(layout.pipeline), f"{layout.data:,}", str(layout.zero), one.recompute)
    sizes = (figure(one.state_gb, "GB"), figure(one.activation_gb, "GB"))
    return (*split, *sizes, "yes" if one.fits else "no")


def _charts(one: Training) -> Iterable[Chart]:
    if one.memory is not None:
        held, free = one.memory.total_gb, max(0.0, one.memory.chip_gb - one.memory.total_gb)
        parts = [("weights, gradients, Adam", one.memory.state_gb), ("activations", one.memory.activation_gb)]
        yield bar_chart(f"Memory of a chip: {figure(held)} of {figure(one.memory.chip_gb)} GB", [*parts, ("left", free)], "GB")


def _shape(layers: int | None, hidden: int | None, heads: int | None) -> Shape | None:
    given = (layers, hidden, heads)
    if given == (None, None, None):
        return None
    if layers is None or hidden is None or heads is None:
        raise InvalidRequest("a shape is --layers, --hidden and --heads: all three, or none", param="layers")
    return Shape(layers=layers, hidden=hidden, heads=heads, is_guess=False)


def _facts(one: Training) -> Iterable[tuple[str, str]]:
    job = one.job
    attention = f", {one.attention_flop / one.flop:.0%} of it attention" if one.attention_flop else ""
    yield "compute", f"{one.flop:.4g} FLOP{attention}"
    yield "MFU", f"{one.mfu:.1%} of the dense BF16 peak, all-in, {_basis(one)}"
    yield "chip-hours", simulated(one.chip_hours)
    if one.days is not None:
        yield "days", simulated(one.days)
    if one.reliability is not None:
        mtbf, interval = figure(one.reliability.job_mtbf_h, "h"), figure(one.reliability.interval_s, "s")
        failures = f"a failure every {mtbf}, a checkpoint every {interval}"
        yield "of it work", f"{one.reliability.goodput:.1%}: {failures}"
        yield "loss beyond published runs", f"{one.loss_at_scale - 1:+.1%} chip-hours"
    yield "memory of a chip", _memory(one.memory) if one.memory else "unknown" if job.chips is None else "does not fit"
    guess = ", scaled from the size" if one.shape.is_guess else ""
    yield "shape", f"{one.shape.layers} layers, {one.shape.hidden:,} wide, {one.shape.heads} heads{guess}"
    yield "a checkpoint", f"{figure(one.checkpoint_tb, 'TB')}: weights, master copy and moments"
    yield "energy", simulated(one.energy_mwh, "MWh")
    yield "rent", simulated(one.rent_usd, "USD")
    yield "tokens to a parameter", f"{figure(one.tokens_per_parameter)} (compute is best spent at about {CHINCHILLA:g})"
    for warning in one.warnings:
        yield "note", warning


def _basis(one: Training) -> str:
    if one.job.mfu is not None:
        return "given"
    if one.job.is_tuned:
        return "as tuned for MLPerf at eight bits"
    return f"as published runs on {'this chip' if one.is_own_level else 'all chips'}"


def _memory(one: Memory) -> str:
    layout = one.layout
    split = f"tensor {layout.tensor} x pipeline {layout.pipeline} x data {layout.data:,}, ZeRO {layout.zero}"
    parts = f"{figure(one.state_gb, 'GB')} state and {figure(one.activation_gb, 'GB')} activations of {figure(one.chip_gb, 'GB')}"
    return f"{parts}: {split}, {one.recompute} recomputed"


def _document(one: Training) -> dict[str, object]:
    return {
        "chip": one.job.chip.name,
        "chips": one.job.chips,
        "flop": one.flop,
        "attention_flop": one.attention_flop,
        "mfu_of_dense_bf16": one.mfu,
        "mfu_is_of_this_chip": one.is_own_level,
        "chip_hours": one.chip_hours,
        "days": one.days,
        "goodput": one.reliability and one.reliability.goodput,
        "job_mtbf_h": one.reliability and one.reliability.job_mtbf_h,
        "checkpoint_interval_s": one.reliability and one.reliability.interval_s,
        "loss_at_scale": one.loss_at_scale,
        "memory": one.memory,
        "layouts": one.layouts,
        "fits": None if one.job.chips is None else one.memory is not None,
        "shape": one.shape,
        "checkpoint_tb": one.checkpoint_tb,
        "energy_mwh": one.energy_mwh,
        "rent_usd": one.rent_usd,
        "tokens_per_parameter": one.tokens_per_parameter,
        "warnings": one.warnings,
    }
