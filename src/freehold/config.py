"""One frozen configuration per room, out of one TOML file.

Where the file is looked for is decided here: `--config`, else `FREEHOLD_CONFIG`, else `freehold.toml` in the home directory;
without any, every setting has its default. What a setting means is decided in its room's `config.py`.
"""

import codecs
import os
import pwd
from pathlib import Path

import msgspec

from freehold.core.errors import ConfigError
from freehold.dashboard.config import DashboardConfig
from freehold.engine.config import EngineConfig
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.config import GatewayConfig, KeepConfig, LimitsConfig, PriceConfig, RoutingConfig, UpstreamConfig
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.report_config import AlertConfig, TracesConfig
from freehold.guard.config import GuardConfig
from freehold.guard.residency_config import ResidencyConfig
from freehold.meter.config import MeterConfig
from freehold.meter.signal_config import SignalConfig
from freehold.provenance.log_config import LogConfig, WitnessConfig
from freehold.provenance.model_audit.config import ModelAuditConfig
from freehold.store.config import StoreConfig


def home() -> Path:
    """Where the node keeps models, keys and records: `FREEHOLD_HOME`, else `freehold` in the XDG data directory."""
    if explicit := os.environ.get("FREEHOLD_HOME"):
        return Path(explicit).expanduser().absolute()
    if data := os.environ.get("XDG_DATA_HOME"):
        return Path(data).expanduser().absolute() / "freehold"
    # A service manager may leave HOME empty, which `~` would take for the root of the file system.
    user = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return Path(user).absolute() / ".local" / "share" / "freehold"


def cache() -> Path:
    """Where things are kept that can be made again: `freehold` in the XDG cache directory."""
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder).expanduser().absolute() / "freehold"
    user = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return Path(user).absolute() / ".cache" / "freehold"


_TAKEN_NAMES = ("freehold", "record")  # our engine's, and what the record is called beside the upstreams


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file: one table a room, one `[[upstreams]]` a remote provider, and one `[[mcp]]` a guarded MCP server.

    Without a [residency] table data may go to every upstream; without [traces] nothing is traced.
    """

    gateway: GatewayConfig = GatewayConfig()
    upstreams: tuple[UpstreamConfig, ...] = ()
    mcp: tuple[McpConfig, ...] = ()
    routing: RoutingConfig = RoutingConfig()
    limits: LimitsConfig = LimitsConfig()
    prices: tuple[PriceConfig, ...] = ()
    keep: tuple[KeepConfig, ...] = ()
    guard: GuardConfig = GuardConfig()
    residency: ResidencyConfig | None = None
    alerts: tuple[AlertConfig, ...] = ()
    traces: TracesConfig | None = None
    engine: EngineConfig = EngineConfig()
    store: StoreConfig = StoreConfig()
    log: LogConfig = LogConfig()
    witnesses: tuple[WitnessConfig, ...] = ()
    meter: MeterConfig = MeterConfig()
    signal: SignalConfig = SignalConfig()
    batches: BatchesConfig = BatchesConfig()
    dashboard: DashboardConfig = DashboardConfig()
    model_audit: tuple[ModelAuditConfig, ...] = ()


def find(explicit: Path | None) -> Path | None:
    """The file that `load` reads; None where there is none and every setting has its default."""
    named = explicit or (Path(value) if (value := os.environ.get("FREEHOLD_CONFIG")) else None)
    if named is not None:
        return named
    default = home() / "freehold.toml"
    return default if default.exists() else None


def load(explicit: Path | None = None) -> Config:
    """Raises ConfigError naming the file, the setting, and what it must be."""
    path = find(explicit)
    if path is None:
        return Config()
    try:
        config = msgspec.toml.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8), type=Config)  # as Windows' editors write it
    except OSError as exc:
        raise ConfigError(f"cannot read the configuration {path}: {exc.strerror}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}; docs/configuration.md lists every setting") from exc
    _check_names(path, config)
    witnesses = [one.note_key().name for one in config.witnesses]
    if len(set(witnesses)) < len(witnesses):
        raise ConfigError(f"{path}: two of [[witnesses]] have the same name in their keys; list each once")
    return config


def _check_names(path: Path, config: Config) -> None:
    """Each upstream has a name of its own, and what names one names one that is there. A model may be served by several."""
    names = [*_TAKEN_NAMES, *(upstream.name for upstream in config.upstreams)]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: upstream {name!r} is named twice; give each a name of its own")
    servers = [server.name for server in config.mcp]
    for name in servers:
        if servers.count(name) > 1:
            raise ConfigError(f"{path}: MCP server {name!r} is named twice; give each a name of its own")
    audits = [audit.name for audit in config.model_audit]
    for name in audits:
        if audits.count(name) > 1:
            raise ConfigError(f"{path}: model_audit {name!r} is named twice; give each a name of its own")
    for price in config.prices:
        for name in price.upstreams:
            if name not in names:
                raise ConfigError(f"{path}: the price of {price.model!r} is for upstream {name!r}, which is not configured")
    residency = config.residency or ResidencyConfig()
    for setting, named in (("upstreams", list(residency.upstreams)), ("local", residency.local)):
        for name in named:
            if name not in names:
                raise ConfigError(f"{path}: residency.{setting} names upstream {name!r}, which is not configured")
