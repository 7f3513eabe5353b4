"""`freehold meter`: what answers took, by which source, and what became of gains. One file per command."""

from collections.abc import Mapping

import click

from freehold.cli import Table

METERS: dict[str, str] = {
    "event": "freehold.cli.meter_event:event",
    "rebound": "freehold.cli.meter_rebound:rebound",
    "report": "freehold.cli.meter_report:report",
    "sources": "freehold.cli.meter_sources:sources",
}


class Meters(Table):
    table: Mapping[str, str] = METERS


@click.group(cls=Meters)
def meter() -> None:
    """Account for energy, carbon, water and cost: sources, report, events, rebound."""
