"""`freehold engine`: the engine's own process. The node starts it and it ends with the node; people have no need of it."""

from pathlib import Path

import click
import msgspec

from freehold import config as configuration
from freehold.cli.log import log_events
from freehold.core.errors import ConfigError
from freehold.core.models import VerifiedModel
from freehold.engine.config import EngineConfig
from freehold.engine.device import has_driver
from freehold.engine.process import Opened, serve_engine
from freehold.meter.config import MeterConfig
from freehold.meter.opening import open_meter
from freehold.provenance.local import refuse_unsigned
from freehold.provenance.pull import open_model
from freehold.provenance.scan.gate import refuse_unsafe_model


@click.command(hidden=True)
@click.option("--socket", "socket_path", type=click.Path(path_type=Path), required=True)
@click.option("--settings", required=True, help="The [engine] table as the node has it, as JSON.")
@click.option("--meter", "meter_settings", default="{}", help="The [meter] table, as JSON.")
@click.option("--log", "level", default="WARNING", help="The least that is logged.")
def engine(socket_path: Path, settings: str, meter_settings: str, level: str) -> None:
    """Load the model and compute answers for the node at the other end of SOCKET."""
    log_events(level)
    try:
        config = msgspec.json.decode(settings, type=EngineConfig)
        meter_config = msgspec.json.decode(meter_settings, type=MeterConfig)
    except msgspec.DecodeError as exc:
        raise ConfigError(f"--settings or --meter is no table of the configuration: {exc}") from exc

    def opened() -> Opened:
        meter = open_meter(meter_config, expects_card=config.device != "cpu" and has_driver())  # first: it counts the loading
        home = configuration.home()
        draft = _admitted(home, config.draft_model, config) if config.draft_model else None
        return Opened(model=_admitted(home, config.model, config), config=config, draft=draft, meter=meter)

    serve_engine(opened, socket_path)


def _admitted(home: Path, name: str, config: EngineConfig) -> VerifiedModel:
    model = open_model(home, name)
    refuse_unsigned(model, config.unsigned)
    refuse_unsafe_model(model)
    return model
