"""The meter among the other rooms: factors of a country from the planner's table, prices that changed, and rows for the log."""

import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from freehold.config import Config
from freehold.core.errors import ConfigError, NotFound
from freehold.core.measurement import GridFactor
from freehold.core.ports import AuditLog, EngineLoadProbe, Signal
from freehold.meter.attribution import ExchangeMeter
from freehold.meter.config import MeterConfig
from freehold.meter.factors import read_factors
from freehold.meter.journal import EVENT, FIRST, MeterJournal, event, last_prices, last_served
from freehold.plan.grid import grid
from freehold.store.totals import RecordedTotals

_END_NS = 1 << 62


def exchange_meter(config: Config, folder: Path, signal: Signal | None = None) -> ExchangeMeter:
    """Raises ConfigError for a country or a file of factors that is not one. Files are relative to `folder`."""
    meter = config.meter
    own = read_factors(folder / meter.factors) if meter.factors is not None else []
    usd_per_unit = meter.usd_per_unit
    if usd_per_unit is None and config.signal.currency.upper() == "USD":
        usd_per_unit = 1.0
    return ExchangeMeter(
        meter,
        factors=zone_factors(meter.country, own, "country"),
        remote_factors=zone_factors(meter.remote_country, own, "remote_country"),
        signal=signal,
        usd_per_unit=usd_per_unit,
    )


def zone_factors(zone: str | None, own: Sequence[GridFactor], setting: str) -> list[GridFactor]:
    """By year. The operator's own of a zone go before the package's of a country."""
    if zone is None:
        return []
    found = [factor for factor in own if factor.zone.upper() == zone.upper()]
    if found:
        return found
    try:
        country = grid(zone)
    except NotFound as exc:
        raise ConfigError(f"[meter] {setting}: {exc.message}; or give the zone's factors in a file: [meter] factors") from exc
    if country.carbon_g_per_kwh is None:
        raise ConfigError(f"[meter] {setting}: nobody knows the factor of {country.country}; give it in a file: [meter] factors")
    return [
        GridFactor(
            zone=country.code,
            year=country.year,
            g_per_kwh=country.carbon_g_per_kwh,
            water_l_per_kwh=country.water_l_per_kwh,
            source=country.source,
        )
    ]


def engine_meter_config(config: MeterConfig, folder: Path) -> MeterConfig:
    """A meter's file is where the configuration says, whatever folder the engine runs in."""
    if config.external is None or config.external.file is None:
        return config
    external = msgspec.structs.replace(config.external, file=str(folder / config.external.file))
    return msgspec.structs.replace(config, external=external)


def meter_journal(record: Path, config: Config, audit: AuditLog, load: EngineLoadProbe) -> MeterJournal:
    events = RecordedTotals(record, config.store).log_rows(EVENT, 0, _END_NS)
    return MeterJournal(audit, load, config.engine.model, last_served(events), time.monotonic)


async def note_prices(record: Path, config: Config, audit: AuditLog) -> None:
    """An efficiency event where the price list is not the one that was noted last. The first list is noted as such."""
    if not config.prices:
        return
    digest = sha256(msgspec.json.encode(config.prices)).hexdigest()
    before = last_prices(RecordedTotals(record, config.store).log_rows(EVENT, 0, _END_NS))
    if before != digest:
        models = sorted({price.model for price in config.prices})
        await audit.append(EVENT, event("price_changed" if before else FIRST, models, before=before, after=digest))
