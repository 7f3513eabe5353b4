"""`freehold teams`: what all keys of a team may use together."""

import json
import time
from typing import Any

import click
from rich.table import Table

from freehold.cli.allowance import allowance_options, changed, document, month_start_ns, summary, used, used_lines
from freehold.cli.keys import open_ring, recorded_usage
from freehold.cli.terminal import print_table
from freehold.core.errors import NotFound
from freehold.store.keys import Team


@click.group()
def teams() -> None:
    """Limit what the keys of a team use together."""


@teams.command("set")
@click.argument("name")
@allowance_options
@click.option("--json", "as_json", is_flag=True, help="The team as one JSON object.")
def set_team(name: str, as_json: bool, **options: Any) -> None:
    """Set what the keys of team NAME may use together, at once. What is not named stays; none takes a limit away."""
    with open_ring(changes=True) as ring:
        team = ring.set_team(name, changed(ring.team(name).allowance, options))
    click.echo(json.dumps(_document(team)) if as_json else f"team {name} may use: {summary(team.allowance) or 'everything'}")


@teams.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_teams(as_json: bool) -> None:
    """List the teams that have limits."""
    with open_ring() as ring:
        found = ring.teams()
    if as_json:
        click.echo(json.dumps([_document(team) for team in found], indent=2))
        return
    table = Table("name", "may use", box=None, pad_edge=False)
    for team in found:
        table.add_row(team.name, summary(team.allowance))
    print_table(table)


@teams.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for a program.")
def show(name: str, as_json: bool) -> None:
    """Show team NAME: its keys, what they may use together, and what they have used."""
    with open_ring() as ring:
        team = ring.team(name)
        keys = [key for key in ring.list() if key.team == name]
        if not keys and not any(known.name == name for known in ring.teams()):
            raise NotFound(f"no key is in a team {name[:100]!r}, and it has no limits; see: freehold keys list")
    members = [key.key_id for key in keys if key.revoked_at_ns is None]
    now_ns = time.time_ns()
    use = used([row for row in recorded_usage().since(month_start_ns(now_ns)) if row.team == name], now_ns)
    if as_json:
        click.echo(json.dumps(_document(team) | {"keys": members, "used": use}, indent=2))
        return
    click.echo(f"team {name} may use: {summary(team.allowance) or 'everything'}")
    click.echo(f"keys: {' '.join(members) or 'none'}")
    for line in used_lines(use):
        click.echo(line)


@teams.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take all limits off team NAME. Its keys keep their own."""
    with open_ring(changes=True) as ring:
        ring.remove_team(name)
    click.echo(f"team {name} has no limits of its own any more")


def _document(team: Team) -> dict[str, Any]:
    return {"name": team.name, **document(team.allowance)}
