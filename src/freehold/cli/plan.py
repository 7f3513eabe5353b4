"""`freehold plan`: what if, from one card to a site. One file per command; the working out is in the room `plan`."""

from collections.abc import Mapping

import click

from freehold.cli import Table

PLANS: dict[str, str] = {
    "chips": "freehold.cli.plan_chips:chips",
    "claim": "freehold.cli.plan_claim:claim",
    "dispatch": "freehold.cli.plan_dispatch:dispatch",
    "exaflops": "freehold.cli.plan_exaflops:exaflops",
    "export": "freehold.cli.plan_export:export",
    "own": "freehold.cli.plan_own:own",
    "serve": "freehold.cli.plan_serve:serve",
    "site": "freehold.cli.plan_site:site",
    "train": "freehold.cli.plan_train:train",
    "validate": "freehold.cli.plan_validate:validate",
}


class Plans(Table):
    table: Mapping[str, str] = PLANS


@click.group(cls=Plans)
def plan() -> None:
    """Plan capacity: chips, power, training, serving, sites, export rules, and what public claims amount to."""
