"""`freehold plan chips`: the catalogue."""

from collections.abc import Iterable

import click

from freehold.cli.plan_words import as_json, echo_json, figure, known_by, money, show_facts, show_rows
from freehold.plan.catalogue import CATALOGUE, Accelerator, Precision, Scope, find


@click.command()
@click.argument("chip", required=False)
@as_json
def chips(chip: str | None, as_json: bool) -> None:
    """List the accelerators of the catalogue, or tell all that is known of CHIP, and what is not.

    Rates are dense. What nobody published is unknown, and no plan guesses it.
    """
    found = [find(chip)] if chip else list(CATALOGUE.values())
    if as_json:
        echo_json([_document(one) for one in found])
    elif chip:
        show_facts(_facts(found[0]))
    else:
        show_rows(("chip", "kind", *(f"{one} TFLOPS" for one in Precision), "memory", "TDP"), (_row(one) for one in found))


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
