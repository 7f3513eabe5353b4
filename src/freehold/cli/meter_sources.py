"""`freehold meter sources`: what can tell joules on this machine, how well, and why others can't."""

from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from freehold import config as configuration
from freehold.cli.plan_words import as_json, echo_json
from freehold.cli.terminal import print_table
from freehold.config import Config
from freehold.core.errors import DeviceError
from freehold.engine.device import has_driver
from freehold.meter.opening import Found, Machine, NoSource, choose, look
from freehold.metering import exchange_meter


@click.command()
@click.option("--config", "path", type=click.Path(path_type=Path), help="The configuration. Default: as for `serve`.")
@as_json
def sources(path: Path | None, as_json: bool) -> None:
    """Show the sources of joules: which are there, of what grade, why the others are not, and which one answers will have."""
    config = configuration.load(path)
    found_at = configuration.find(path)
    folder = found_at.parent if found_at is not None else configuration.home()
    exchange_meter(config, folder)  # a country or a file of factors that is not one is told here, too
    found = look(config.meter, Machine(folder=folder))
    chosen = choices(found, config)
    for one in found:
        if one.source is not None:
            one.source.close()
    if as_json:
        listed = [{name: value for name, value in asdict(one).items() if name != "source"} for one in found]
        for line, one in zip(listed, found, strict=True):
            line["is_there"] = one.source is not None
        echo_json({"sources": listed, "chosen": chosen})
        return
    table = Table("source", "of", "grade", "", "", box=None, pad_edge=False)
    for one in found:
        table.add_row(one.kind, one.device, one.grade, "there" if one.source is not None else "not there", one.detail)
    print_table(table)
    for where, name in chosen.items():
        click.echo(f"a model on {where}: {name}")


def choices(found: list[Found], config: Config) -> dict[str, str]:
    """Which source a model on processors gets, and one on a card where there is one."""
    chosen = {}
    for where, on_card in (("processors", False), ("a card", True)):
        if on_card and not has_driver():
            continue
        try:
            source = choose(found, config.meter, on_card=on_card)
            unknown = ": its energy is unknown" if isinstance(source, NoSource) else ""
            chosen[where] = f"{source.name} ({source.grade}){unknown}"
        except DeviceError as error:
            chosen[where] = error.message
    return chosen
