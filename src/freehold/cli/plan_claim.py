"""`freehold plan claim`: what a public claim amounts to."""

from datetime import datetime

import click

from freehold.cli.plan_words import as_json, echo_json, figure, pue, show_facts
from freehold.plan import claim as claims
from freehold.plan.catalogue import find
from freehold.plan.grid import grid


@click.command()
@click.argument("text")
@click.option("--chip", help="Which chip the claim is of, where it does not say.")
@click.option("--count", type=click.IntRange(min=1), help="How many chips are known to be meant.")
@click.option("--mw", type=float, help="How many megawatts are known to be meant.")
@click.option("--country", help="Whose grid: three letters (ISO 3166) or a name.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Whose rules, for an export.")
@click.option("--link-gb-per-s", type=float, help="What the link to the card carries, for a model larger than the card.")
@pue
@as_json
def claim(
    text: str,
    chip: str | None,
    count: int | None,
    mw: float | None,
    country: str | None,
    day: datetime | None,
    link_gb_per_s: float | None,
    pue: float,
    as_json: bool,
) -> None:
    """Take the claim TEXT at its word: what it may mean, what that would take, and what stands against it.

    TEXT holds a rate ("8 exaflops"), power ("1 GW"), money ("$200bn"), stored energy ("63 MWh"), a model on a chip ("70B on one
    RTX 3090 at 2 tokens/s"), or an export ("H200 to CN").
    """
    setting = claims.Setting(
        chip=find(chip) if chip else None,
        chips=count,
        site_mw=mw,
        grid=grid(country) if country else None,
        day=day.date() if day else None,
        link_gb_per_s=link_gb_per_s,
        pue=pue,
    )
    found = claims.examine(text, setting)
    if as_json:
        echo_json(found)
        return
    click.echo(found.about)
    for reading in found.readings:
        click.echo(f"\n{reading.name}")
        show_facts((f"  {fact.name}", _words(fact)) for fact in reading.facts)
    for title, lines in (("what stands against it", found.against), ("what it does not say", found.unsaid)):
        if lines:
            click.echo(f"\n{title}")
            for line in lines:
                click.echo(f"  {line}")


def _words(fact: claims.Fact) -> str:
    value = fact.value if isinstance(fact.value, str) else figure(fact.value)
    note = f" ({fact.note})" if fact.note else ""
    return f"{value} {fact.unit}".rstrip() + note
