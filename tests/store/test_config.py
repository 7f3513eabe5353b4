import msgspec
import pytest

from freehold.store.config import StoreConfig


def test_the_defaults_hold() -> None:
    assert msgspec.convert({}, StoreConfig) == StoreConfig()


@pytest.mark.parametrize(
    "setting",
    [
        {"file": ""},
        {"queue_drafts": 0},
        {"group_drafts": 0},
        {"busy_timeout_s": 0},
        {"retention_days": 30},
        {"retention_days": 182, "high_risk": True},
        {"colour": 1},
    ],
)
def test_a_setting_that_cannot_work_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(setting))):
        msgspec.convert(setting, StoreConfig)


@pytest.mark.parametrize("days", [31, 182, None])
def test_any_longer_retention_will_do_without_high_risk(days: int | None) -> None:
    assert StoreConfig(retention_days=days).retention_days == days


@pytest.mark.parametrize("days", [183, 3650, None])
def test_the_log_of_a_high_risk_system_is_kept_for_half_a_year(days: int | None) -> None:
    assert StoreConfig(retention_days=days, high_risk=True).retention_days == days
    with pytest.raises(ValueError, match="at least 183 days"):
        StoreConfig(retention_days=182, high_risk=True)
