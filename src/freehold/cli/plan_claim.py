"""`freehold plan claim`: what a public claim amounts to."""

from datetime import datetime
from pathlib import Path

import click

from freehold.cli.plan_answer import Answer, Rows, answer_options, tell
from freehold.cli.plan_words import figure, pue
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
@answer_options
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
    html: Path | None,
) -> None:
    """Take the claim TEXT at its word: what it may mean, what that would take, and what stands against it.

    TEXT holds a rate ("8 exaflops"), power ("1 GW"), money ('$200bn'), stored energy ("63 MWh"), a model on a chip ("70B on one
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
    tell(_answer(found), as_json, html)


def _answer(one: claims.Claim) -> Answer:
    notes = (("what stands against it", tuple(one.against)), ("what it does not say", tuple(one.unsaid)))
    return Answer(
        title=f"The claim {one.text!r}",
        lead=one.about,
        document=one,
        tables=tuple(
            Rows(title=reading.name, rows=tuple((fact.name, _words(fact)) for fact in reading.facts)) for reading in one.readings
        ),
        notes=tuple((title, lines) for title, lines in notes if lines),
        caveats=("Nothing here says that somebody lied: most claims leave out the words that would make them one figure.",),
    )


def _words(fact: claims.Fact) -> str:
    value = fact.value if isinstance(fact.value, str) else figure(fact.value)
    note = f" ({fact.note})" if fact.note else ""
    return f"{value} {fact.unit}".rstrip() + note
