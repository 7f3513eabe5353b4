"""`freehold plan exaflops`: from a rate to chips, megawatts, memory and money, or from chips to rates."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from freehold.cli.charts import bar_chart
from freehold.cli.plan_answer import Answer, Rows, answer_options, moved, spans, tell
from freehold.cli.plan_words import density_option, figure, known_by, money, precision_option, pue, simulated
from freehold.core.errors import InvalidRequest, UnknownFigure
from freehold.plan.catalogue import Accelerator, Density, Precision, find
from freehold.plan.fleet import EXA, Fleet, chips_for, fleet
from freehold.plan.practice import practice

Kind = tuple[Precision, Density]


@click.command()
@click.argument("rate", type=float, required=False, metavar="[EXAFLOPS]")
@click.option("--chip", required=True, help="A name of the catalogue: H100, GB200, CS-3.")
@precision_option("What the rate is of. Needed where the chip has more than one.")
@density_option("Count dense arithmetic, or a sparse headline. Default: both are shown.")
@click.option("--count", type=click.IntRange(min=1), help="Instead of a rate: so many chips, and what they give.")
@pue
@answer_options
def exaflops(
    rate: float | None,
    chip: str,
    precision: Precision | None,
    is_dense: Density | None,
    count: int | None,
    pue: float,
    as_json: bool,
    html: Path | None,
) -> None:
    """Tell what EXAFLOPS at peak take: chips, megawatts, memory, money. Or, with --count, what so many chips give.

    A rate without a precision is no figure, and neither is one that does not say whether sparsity counts.
    """
    found = find(chip)
    if (rate is None) == (count is None):
        raise InvalidRequest("give a number of exaflops, or --count chips: one of the two", param="rate")
    if not found.dense_tera_ops:
        raise UnknownFigure(f"cannot compute: nothing is published of {found.name}; unknown: {', '.join(found.unknown())}")
    if rate is not None and precision is None and len(found.dense_tera_ops) > 1:
        raise InvalidRequest(_which(rate, found), param="precision")
    kinds = [(one, how) for one, how in found.readings() if precision in (None, one) and is_dense in (None, how)]
    if not kinds:  # one of the two is unknown of this chip: this says which
        found.flop_per_s(precision or next(iter(found.dense_tera_ops)), is_dense or Density.DENSE)
    counts = [count if rate is None else chips_for(rate * EXA, found, *kind) for kind in kinds]
    rows = [(kind, fleet(found, chips, pue)) for kind, chips in zip(kinds, counts, strict=True) if chips is not None]
    tell(_answer(found, rows, f"{rate:g} exaflops" if rate is not None else f"{count:,} chips"), as_json, html)


def _answer(chip: Accelerator, rows: Sequence[tuple[Kind, Fleet]], asked: str) -> Answer:
    kind, first = rows[0]
    in_practice = practice([first])
    sustained = in_practice.sustained_flop_per_s and in_practice.sustained_flop_per_s.scaled(1 / EXA)
    named = f"of {first.chips:,} chips ({kind[0]} {kind[1]})" if len(rows) > 1 else ""
    header = ("reading", "chips", "exaflops", "dense BF16", "IT power", "site power", "memory", "chips cost")
    basis = "unknown" if first.power is None else first.power.basis
    return Answer(
        title=f"{asked} of {chip.name}",
        document={"chip": chip.name, "source": chip.source, "readings": [_document(*row) for row in rows]},
        tables=(Rows(header=header, rows=tuple(_row(*row) for row in rows)),),
        facts=(
            (f"training keeps up {named}".rstrip(), simulated(sustained, "EF")),
            (f"power drawn {named}".rstrip(), simulated(in_practice.drawn_mw, "MW")),
            ("power", f"{basis}. Rates of the table are peaks."),
        ),
        spans=spans(
            ("training keeps up", sustained, "EF"),
            ("power drawn", in_practice.drawn_mw, "MW"),
            ("chips cost", in_practice.price_usd and in_practice.price_usd.scaled(1e-6), "M USD"),
        ),
        moved=moved(("the rate of training", sustained, "EF"), ("the power drawn", in_practice.drawn_mw, "MW")),
        charts=(
            bar_chart(f"Chips by reading, for {asked}", [(f"{one} {how}", fleet.chips) for (one, how), fleet in rows], "chips"),
        ),
        sources=(f"{chip.name}: {chip.source}",),
        caveats=tuple(_caveats(chip, rows)),
    )


def _caveats(chip: Accelerator, rows: Sequence[tuple[Kind, Fleet]]) -> Iterable[str]:
    if len(rows) > 1:
        yield "The same words are several figures, by precision and by whether sparsity counts: they are side by side."
    if chip.inferred:
        yield f"Worked out from other figures, not published: {', '.join(sorted(chip.inferred))}."
    if chip.notes:
        yield chip.notes
    yield "Peaks are what no job reaches; power is provisioned, not drawn."


def _which(rate: float, chip: Accelerator) -> str:
    kinds = (f"{one} {how} {chips_for(rate * EXA, chip, one, how):,}" for one, how in chip.readings())
    return f"{rate:g} exaflops of what? Chips of {chip.name} it takes: {', '.join(kinds)}. Say --precision"


def _row(kind: Kind, one: Fleet) -> Sequence[str]:
    bf16 = one.rate(Precision.BF16)
    inferred = known_by(one.chip, Precision.BF16)
    return (
        f"{kind[0]} {kind[1]}",
        f"{one.chips:,}",
        figure((one.rate(*kind) or 0.0) / EXA, "EF"),
        "unknown" if bf16 is None else f"{figure(bf16 / EXA, 'EF')}{inferred}",
        figure(one.it_mw, "MW"),
        figure(one.site_mw, "MW"),
        f"{figure(one.memory_tb, 'TB')} {one.chip.memory_type or ''}",
        money(one.price_low_usd, one.price_high_usd),
    )


def _document(kind: Kind, one: Fleet) -> dict[str, object]:
    bf16 = one.rate(Precision.BF16)
    return {
        "precision": kind[0],
        "density": kind[1],
        "chips": one.chips,
        "exaflops": (one.rate(*kind) or 0.0) / EXA,
        "dense_bf16_exaflops": None if bf16 is None else bf16 / EXA,
        "is_inferred": one.chip.is_inferred(*kind),
        "it_mw": one.it_mw,
        "site_mw": one.site_mw,
        "power_basis": None if one.power is None else one.power.basis,
        "memory_tb": one.memory_tb,
        "memory_type": one.chip.memory_type,
        "price_low_usd": one.price_low_usd,
        "price_high_usd": one.price_high_usd,
        "in_practice": practice([one]),
    }
