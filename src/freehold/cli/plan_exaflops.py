"""`freehold plan exaflops`: from a rate to chips, megawatts, memory and money, or from chips to rates."""

from collections.abc import Iterable, Sequence

import click

from freehold.cli.plan_words import (
    as_json,
    density_option,
    echo_json,
    figure,
    known_by,
    money,
    precision_option,
    pue,
    show_facts,
    show_rows,
    simulated,
)
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
@as_json
def exaflops(
    rate: float | None,
    chip: str,
    precision: Precision | None,
    is_dense: Density | None,
    count: int | None,
    pue: float,
    as_json: bool,
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
    if as_json:
        echo_json({"chip": found.name, "source": found.source, "readings": [_document(kind, one) for kind, one in rows]})
        return
    header = ("reading", "chips", "exaflops", "dense BF16", "IT power", "site power", "memory", "chips cost")
    show_rows(header, (_row(kind, one) for kind, one in rows))
    click.echo()
    show_facts(fact for kind, one in rows[:1] for fact in _practice(kind, one, len(rows) > 1))
    power = rows[0][1].power
    click.echo(f"\npower: {'unknown' if power is None else power.basis}; PUE {pue:g}. Rates of the table are peaks.")


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


def _practice(kind: Kind, one: Fleet, is_one_of_many: bool) -> Iterable[tuple[str, str]]:
    """Of the first reading, where there are several: the others are in --json."""
    found = practice(one)
    chips = f" of {one.chips:,} chips ({kind[0]} {kind[1]})" if is_one_of_many else ""
    sustained = found.sustained_flop_per_s
    yield f"training keeps up{chips}", simulated(sustained and sustained.scaled(1 / EXA), "EF")
    yield f"power drawn{chips}", simulated(found.drawn_mw, "MW")


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
        "in_practice": practice(one),
    }
