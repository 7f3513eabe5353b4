"""How the engine's process is started, and what on the disk decides whether it runs its model.

A running engine keeps the settings it was started with, whatever becomes of the file. One that refused its model is started with
the settings as they are by then: the [engine] table of the file, and before it what the command line said. Another model is not
taken so, for the node announces the one that it has; a file that cannot be used changes nothing.
"""

import itertools
import logging
import os
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold import config as configuration
from freehold.config import Config
from freehold.core.errors import ConfigError, FreeholdError
from freehold.engine.refusal import Surroundings
from freehold.metering import engine_meter_config
from freehold.provenance import catalogue
from freehold.provenance.local import LOCATION_NAME, key_directory, model_directory

log = logging.getLogger("freehold.engine")

_MOST_FILES: Final = 4096  # of a folder: models have hundreds, and it may be somebody's downloads


def engine_command(config: Config, folder: Path) -> Sequence[str]:
    """The settings travel as they are here: the file may have changed since, and the command line goes before it."""
    settings, meter = (
        msgspec.json.encode(table).decode() for table in (config.engine, engine_meter_config(config.meter, folder))
    )
    return [sys.executable, "-m", "freehold", "engine", "--settings", settings, "--meter", meter]


def with_engine(config: Config, given: Mapping[str, Any]) -> Config:
    """`given` goes before what the file says of the engine. Raises ConfigError."""
    try:
        return msgspec.structs.replace(config, engine=msgspec.structs.replace(config.engine, **given))
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc


class EngineFiles:
    """What a node's engine is started with, as it is on the disk from time to time."""

    def __init__(self, config: Config, home: Path, folder: Path, config_path: Path | None, given: Mapping[str, Any]) -> None:
        self._config, self._home, self._folder = config, home, folder
        self._config_path, self._given = config_path, given

    def surroundings(self) -> Surroundings:
        return Surroundings(look=self.look, command=self.command)

    def command(self) -> Sequence[str]:
        try:
            now = with_engine(configuration.load(self._config_path), self._given).engine
        except FreeholdError as exc:
            log.error("engine_settings_refused", extra={"reason": exc.message})
        else:
            if now.model == self._config.engine.model:
                self._config = msgspec.structs.replace(self._config, engine=now)
            else:
                log.error("engine_settings_refused", extra={"reason": "engine.model is another: start the node again"})
        return engine_command(self._config, self._folder)

    def look(self) -> Hashable:
        engine = self._config.engine
        folders = [folder for name in (engine.model, engine.draft_model) if name for folder in _folders(self._home, name)]
        return (_file(configuration.find(self._config_path)), *map(_folder, (key_directory(self._home), *folders)))


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
