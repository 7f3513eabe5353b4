import msgspec
import pytest

from freehold.meter.config import MeterConfig


def test_the_defaults_hold() -> None:
    assert msgspec.convert({}, MeterConfig) == MeterConfig()


@pytest.mark.parametrize(
    "setting",
    [{"watts_per_core": 0.5}, {"watts_per_core": 9.0}, {"watts_per_core_low": 0}, {"watts_per_core_high": 5000}, {"watts": 1}],
)
def test_watts_out_of_order_or_out_of_this_world_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"watts"):
        msgspec.convert(setting, MeterConfig)


@pytest.mark.parametrize(
    "setting",
    [
        {"idle_w": -1},
        {"max_w": 1e9},
        {"idle_w": 200, "max_w": 100},
        {"exponent": 0},
        {"source": "guess"},
        {"source": "external"},
        {"source": "utilisation-model"},
        {"source": "tdp-model"},
        {"external": {}},
        {"external": {"file": "a", "command": ["b"]}},
        {"external": {"file": "a", "every_s": 0}},
        {"external": {"command": ["b"], "timeout_s": 600}},
        {"pue": 0.9},
        {"pue": 12},
        {"embodied_kg": -5},
        {"lifetime_years": 0},
        {"market_g_per_kwh": -1},
        {"site_water_l_per_kwh": 1e6},
        {"usd_per_unit": 0},
        {"models": [{"model": "m", "total_b": [10, 5], "active_b": [1, 2]}]},
        {"models": [{"model": "m", "total_b": [5, 10], "active_b": [1, 20]}]},
        {"models": [{"model": "m", "total_b": [-5, 10], "active_b": [1, 2]}]},
    ],
)
def test_what_cannot_be_is_refused_with_the_name_of_the_setting(setting: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"meter|source|Invalid enum"):
        msgspec.convert(setting, MeterConfig)
