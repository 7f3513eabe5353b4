import msgspec
import pytest

from freehold.dashboard.config import DashboardConfig


def test_defaults_hold() -> None:
    assert msgspec.convert({}, DashboardConfig) == DashboardConfig(enabled=True, session_hours=12)


@pytest.mark.parametrize("given", [{"session_hours": 0}, {"session_hours": 10_000}, {"session_hour": 1}, {"enabled": "yes"}])
def test_a_setting_that_makes_no_sense_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, DashboardConfig)
