"""`freehold plan chips`: the catalogue."""

from collections.abc import Iterable
from pathlib import Path

import click

from freehold.cli.plan_answer import Answer, Rows, answer_options, tell
from freehold.cli.plan_words import figure, known_by, money
from freehold.plan.catalogue import CATALOGUE, Accelerator, Precision, Scope, find


@click.command()
@click.argument("chip", required=False)
@answer_options
def chips(chip: str | None, as_json: bool, html: Path | None) -> None:
    """List the accelerators of the catalogue, or tell all that is known of CHIP, and what is not.

    Rates are dense. What nobody published is unknown, and no plan guesses it.
    """
    found = [find(chip)] if chip else list(CATALOGUE.values())
    header = ("chip", "kind", *(f"{one} TFLOPS" for one in Precision), "memory", "TDP")
    answer = Answer(
        title=found[0].name if chip else "Accelerators",
        document=[_document(one) for one in found],
        tables=() if chip else (Rows(header=header, rows=tuple(_row(one) for one in found)),),
        facts=tuple(_facts(found[0])) if chip else (),
        sources=() if chip else tuple(f"{one.name}: {one.source}" for one in found),
    )
    tell(answer, as_json, html)


def _row(chip: Accelerator) -> tuple[str, ...]:
    rates = (f"{figure(chip.dense_tera_ops.get(one))}{known_by(chip, one)}" for one in Precision)
    return (chip.name, chip.kind, *rates, figure(chip.memory_gb, "GB"), figure(chip.tdp_w, "W"))


def _facts(chip: Accelerator) -> Iterable[tuple[str, str]]:
    yield "chip", f"{chip.name}, {chip.vendor}, {chip.kind}, {chip.released}, {chip.status}"
    for precision, density in chip.readings():
        rate = figure(chip.flop_per_s(precision, density) / 1e12, "TFLOPS")
        yield f"{precision} {density}", f"{rate}{known_by(chip, precision, density)}"
    if chip.memory_gb is not None:
        yield "memory", f"{figure(chip.memory_gb, 'GB')} {chip.memory_type}, {figure(chip.memory_gb_per_s, 'GB/s')}"
    for name, value, unit in (("TDP", chip.tdp_w, "W"), ("link", chip.link_gb_per_s, "GB/s"), ("die", chip.die_mm2, "mm²")):
        if value is not None:
            yield name, figure(value, unit)
    if chip.all_in_w is not None:
        where = "at the site's meter" if chip.all_in_scope is Scope.SITE else "before cooling"
        yield "with its share of the rest", f"{figure(chip.all_in_w, 'W')} {where}"
    if chip.price_low_usd is not None:
        yield "price", money(chip.price_low_usd, chip.price_high_usd)
    yield "unknown", ", ".join(chip.unknown()) or "nothing that is asked here"
    yield "source", chip.source
    if chip.notes:
        yield "note", chip.notes


def _document(chip: Accelerator) -> dict[str, object]:
    fields = {name: getattr(chip, name) for name in chip.__slots__}
    fields["sparse_precisions"] = sorted(chip.sparse_precisions)
    fields["inferred"] = sorted(chip.inferred)
    return fields | {"unknown": chip.unknown()}
