"""Starts the engine's process, and says what on the disk decides whether it runs its model.

A running engine keeps the settings it was started with, whatever becomes of the file. One that refused its model is started with
the settings as they are by then: the [engine] table of the file, and before it what the command line said. Another model is not
taken so, for the node announces the one that it has; a file that cannot be used changes nothing.
"""

import contextlib
import itertools
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from freehold import config as configuration
from freehold.config import Config
from freehold.core.errors import FreeholdError
from freehold.engine.client import EngineClient, WatermarkFor
from freehold.engine.refusal import Surroundings
from freehold.meter.opening import open_meter
from freehold.metering import engine_meter_config
from freehold.place import Place, with_engine
from freehold.provenance import catalogue
from freehold.provenance.keys import key_directory
from freehold.provenance.model_folder import LOCATION_NAME, model_directory
from freehold.watermarks import watermarks_of

log = logging.getLogger("freehold.engine")

_MOST_FILES: Final = 4096  # of a folder: models have hundreds, and it may be somebody's downloads


def engine_command(config: Config, folder: Path) -> Sequence[str]:
    """The settings travel as they are here: the file may have changed since, and the command line goes before it. So does what is
    logged: all that a node's operator reads, and no more than warnings where a person talks to a model.
    """
    settings, meter = (
        msgspec.json.encode(table).decode() for table in (config.engine, engine_meter_config(config.meter, folder))
    )
    level = logging.getLevelName(log.getEffectiveLevel())
    return [sys.executable, "-m", "freehold", "engine", "--settings", settings, "--meter", meter, "--log", level]


async def start_engine(
    place: Place,
    stack: contextlib.AsyncExitStack,
    watermark_for: WatermarkFor | None = None,
    surroundings: Surroundings | None = None,
) -> EngineClient | None:
    """The engine of `place`, on its way to being ready; it ends with `stack`. None where no model is named.

    `watermark_for` goes before what is configured. Raises ConfigError for a watermark that is not there, and what a meter that
    was asked for by name raises.
    """
    model = place.config.engine.model
    if not model:
        return None
    if place.config.meter.source != "auto":  # what was asked for by name has to be there
        open_meter(
            engine_meter_config(place.config.meter, place.folder), expects_card=place.config.engine.device != "cpu"
        ).close()
    sockets = Path(tempfile.mkdtemp(prefix="freehold-"))  # 0700; a path below the home may exceed a socket's 108 bytes
    stack.callback(shutil.rmtree, sockets, ignore_errors=True)
    watermark_for = watermark_for or watermarks_of(place.home, place.config.engine.watermarks)
    command = engine_command(place.config, place.folder)
    engine = EngineClient(command, sockets, model, watermark_for=watermark_for, surroundings=surroundings)
    stack.push_async_callback(engine.close)
    await engine.start()
    return engine


class EngineFiles:
    """What a node's engine is started with, as it is on the disk from time to time."""

    def __init__(self, place: Place) -> None:
        self._place, self._config = place, place.config

    def surroundings(self) -> Surroundings:
        return Surroundings(look=self.look, command=self.command)

    def command(self) -> Sequence[str]:
        try:
            now = with_engine(configuration.load(self._place.config_path), self._place.engine_options).engine
        except FreeholdError as exc:
            log.error("engine_settings_refused", extra={"reason": exc.message})
        else:
            if now.model == self._config.engine.model:
                self._config = msgspec.structs.replace(self._config, engine=now)
            else:
                log.error("engine_settings_refused", extra={"reason": "engine.model is another: start the node again"})
        return engine_command(self._config, self._place.folder)

    def folders(self) -> Sequence[Path]:
        """Those of the models. None of them has to be there."""
        engine, home = self._config.engine, self._place.home
        return [folder for name in (engine.model, engine.draft_model) if name for folder in _folders(home, name)]

    def look(self) -> Hashable:
        keys, configured = key_directory(self._place.home), configuration.find(self._place.config_path)
        return (_file(configured), *map(_folder, (keys, *self.folders())))


def _folders(home: Path, name: str) -> Iterator[Path]:
    """Where a model's manifest lies, and where its files do if that is elsewhere. None of it has to be there."""
    pin = catalogue.lookup(name)
    place = model_directory(home, name if pin is None else pin.name)
    yield place
    try:
        yield Path(os.fsdecode((place / LOCATION_NAME).read_bytes()))
    except OSError:
        return


def _folder(path: Path) -> Hashable:
    try:
        with os.scandir(path) as entries:
            return tuple(sorted((entry.name, _file(Path(entry.path))) for entry in itertools.islice(entries, _MOST_FILES)))
    except OSError:
        return None


def _file(path: Path | None) -> tuple[int, ...]:
    """Also of bytes that were written in place and given their old time: nobody sets the time of change."""
    try:
        found = os.stat(path) if path is not None else None
    except OSError:
        found = None
    return () if found is None else (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
