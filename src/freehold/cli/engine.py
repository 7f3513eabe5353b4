"""`freehold engine`: the engine's own process. The node starts it and it ends with the node; people have no need of it."""

from pathlib import Path

import click

from freehold import config as configuration
from freehold.cli.log import log_events
from freehold.engine.process import serve_engine
from freehold.provenance.pull import open_model


@click.command(hidden=True)
@click.option("--socket", "socket_path", type=click.Path(path_type=Path), required=True)
@click.option("--config", "config_path", type=click.Path(path_type=Path))
def engine(socket_path: Path, config_path: Path | None) -> None:
    """Load the model and compute answers for the node at the other end of SOCKET."""
    log_events()
    config = configuration.load(config_path).engine
    serve_engine(open_model(configuration.home(), config.model), socket_path, config)
