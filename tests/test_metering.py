"""The meter among the other rooms: countries, files, prices, and what the engine is told."""

from pathlib import Path

import pytest

from freehold.batching import open_signals
from freehold.config import Config
from freehold.core.deferral import Turn
from freehold.core.errors import ConfigError
from freehold.core.events import ServedBy, Usage, Worked
from freehold.core.exchange import KeyId, ModelId, Principal
from freehold.core.measurement import Grade, GridFactor, Measurement, Metered
from freehold.core.ports import Use
from freehold.gateway.account import Account
from freehold.gateway.config import PriceConfig
from freehold.meter.config import ExternalMeterConfig, MeterConfig
from freehold.meter.journal import EVENT
from freehold.meter.signal_config import SignalConfig
from freehold.metering import engine_meter_config, exchange_meter, note_prices, zone_factors
from freehold.store.config import StoreConfig
from freehold.store.totals import RecordedTotals
from tests.store.logs import log_writer

KWH = Metered(energy=Measurement(grade=Grade.MEASURED_COUNTER, source="rapl", energy_j=3.6e6))
USE = Use(
    worked=Worked(compute_s=1, prefill_s=1, decode_s=1, metered=KWH),
    is_remote=False,
    model="m",
    usage=None,
    start_s=1.795e9,
    end_s=1.795e9 + 1,
)


def test_a_countrys_factor_has_its_year_and_its_water(tmp_path: Path) -> None:
    (iceland,) = zone_factors("isl", [], "country")
    assert (iceland.zone, iceland.g_per_kwh, iceland.year) == ("ISL", 27.68, 2022)
    assert iceland.water_l_per_kwh == pytest.approx(6.14, abs=0.01)
    meter = exchange_meter(Config(meter=MeterConfig(country="Iceland")), tmp_path)
    carbon = meter.account(USE)[1].carbon
    assert carbon is not None
    assert (carbon.g, carbon.zone, carbon.year) == (27.68, "ISL", 2022)


def test_ones_own_factors_go_before_the_countrys(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("zone,year,g_per_kwh\nISL,2025,20\nMY-SITE,2026,5\n")
    for zone, grams in (("ISL", 20.0), ("my-site", 5.0), ("IND", None)):
        meter = exchange_meter(Config(meter=MeterConfig(country=zone, factors="f.csv")), tmp_path)
        carbon = meter.account(USE)[1].carbon
        assert carbon is not None
        assert grams is None or carbon.g == grams


def test_a_place_nobody_knows_says_what_may_be_given() -> None:
    with pytest.raises(ConfigError, match=r"\[meter\] remote_country: no country 'XX'.*factors"):
        zone_factors("XX", [GridFactor(zone="YY", year=2026, g_per_kwh=1)], "remote_country")


def test_a_tariff_in_another_currency_is_no_dollars_until_its_rate_is_told(tmp_path: Path) -> None:
    for currency, rate, known in (("USD", None, 1.0), ("EUR", None, None), ("EUR", 1.1, 1.1)):
        config = Config(signal=SignalConfig(currency=currency), meter=MeterConfig(usd_per_unit=rate))
        assert exchange_meter(config, tmp_path)._usd_per_unit == known


def test_the_engine_gets_a_meters_file_as_a_whole_path(tmp_path: Path) -> None:
    config = MeterConfig(external=ExternalMeterConfig(file="watts"))
    told = engine_meter_config(config, tmp_path).external
    assert told is not None
    assert told.file == str(tmp_path / "watts")
    assert engine_meter_config(MeterConfig(), tmp_path) == MeterConfig()


async def test_a_price_list_that_changed_is_an_event_and_the_first_is_not(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    writer = log_writer(path)
    try:
        for usd in (1.0, 1.0, 2.0):
            price = PriceConfig(model="gpt-4o*", input_usd=usd, output_usd=usd)
            await note_prices(path, Config(prices=(price,)), writer)
        await note_prices(path, Config(), writer)
    finally:
        writer.close()
    rows = RecordedTotals(path, StoreConfig()).log_rows(EVENT, 0, 1 << 62)
    assert [(row.facts["what"], row.facts["models"]) for row in rows] == [("first", ["gpt-4o*"]), ("price_changed", ["gpt-4o*"])]


@pytest.mark.parametrize(
    ("served", "operation", "grade"),
    [
        (ServedBy(provider="openai", model="gpt-4o-2024-08-06"), "chat", Grade.REMOTE_MODEL),
        (ServedBy(provider="openai", model="gpt-4o-2024-08-06"), "count_tokens", Grade.UNKNOWN),
        (ServedBy(provider="freehold", model="llama-3.1-8b", model_id=ModelId("ab")), "chat", Grade.UNKNOWN),
        (None, "chat", Grade.UNKNOWN),
    ],
)
def test_only_what_a_provider_answered_is_estimated(
    tmp_path: Path, served: ServedBy | None, operation: str, grade: Grade
) -> None:
    account = Account(
        principal=Principal(key_id=KeyId("k"), name="k"), dialect="openai.chat", operation=operation, unix_ns=0, started_at_s=0.0
    )
    account.served, account.usage = served, Usage(input_tokens=10, output_tokens=100)
    energy, _ = exchange_meter(Config(), tmp_path).account(account.use(2_000_000_000))
    assert energy.grade is grade


def test_what_power_carried_while_a_request_waited_is_not_what_it_ran_on(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text(
        "start,g_per_kwh\n2026-03-01T00:00:00Z,700\n2026-03-01T01:00:00Z,30\n2026-03-01T02:00:00Z,30\n"
    )
    config = Config(meter=MeterConfig(), signal=SignalConfig(file="i.csv"))
    arrived_s = 1_772_323_200.0
    account = Account(
        principal=Principal(key_id=KeyId("k"), name="k"),
        dialect="openai.chat",
        operation="chat",
        unix_ns=int(arrived_s * 1e9),
        started_at_s=0.0,
    )
    account.worked, ran_s = USE.worked, arrived_s + 3600
    account.turn = Turn(arrived_s=arrived_s, at_once_s=arrived_s, ran_s=ran_s, deadline_s=arrived_s + 7200)
    meter = exchange_meter(config, tmp_path, open_signals(config, tmp_path))
    carbon = meter.account(account.use(int((ran_s + 5) * 1e9)))[1].carbon
    assert carbon is not None
    assert carbon.g == pytest.approx(30.0)
