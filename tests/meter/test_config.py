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
