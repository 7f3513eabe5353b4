"""Where a node lives and what it was told: the same for the node, for the engine's process, and for commands beside it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from freehold import config as configuration
from freehold.config import Config
from freehold.core.errors import ConfigError, DeviceError
from freehold.policy_read import policy_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A home and its configuration."""

    home: Path
    config: Config
    config_path: Path | None = None
    engine_options: Mapping[str, Any] = field(default_factory=dict)  # of the command line: they go before the file

    @property
    def record(self) -> Path:
        return self.home / self.config.store.file

    @property
    def folder(self) -> Path:
        """What files named in the configuration are relative to."""
        return self.config_path.parent if self.config_path is not None else self.home

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those that the node's own files lie in, and the user's."""
        return Path(os.path.expanduser("~")), self.home, self.folder, self.record.parent  # never raises

    @property
    def policy(self) -> Path | None:
        """The policy file; None where none is configured."""
        return policy_path(self.config.guard.policy, self.config_path, self.home)


def find_place(config_path: Path | None = None, engine: Mapping[str, Any] | None = None) -> Place:
    """`engine` goes before what the file says of it. The home is made, private to its user. Raises ConfigError, DeviceError."""
    config = with_engine(configuration.load(config_path), engine or {})
    home = configuration.home()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise DeviceError(f"cannot make the home {home}: {exc.strerror}; set FREEHOLD_HOME to a folder of this user") from exc
    return Place(home=home, config=config, config_path=configuration.find(config_path), engine_options=engine or {})


def with_engine(config: Config, given: Mapping[str, Any]) -> Config:
    """`given` goes before what the file says of the engine. Raises ConfigError."""
    try:
        return msgspec.structs.replace(config, engine=msgspec.structs.replace(config.engine, **given))
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc
