import msgspec
import pytest

from freehold.store.config import StoreConfig


def test_the_defaults_hold() -> None:
    assert msgspec.convert({}, StoreConfig) == StoreConfig()


@pytest.mark.parametrize(
    "setting", [{"file": ""}, {"queue_drafts": 0}, {"group_drafts": 0}, {"busy_timeout_s": 0}, {"colour": 1}]
)
def test_a_setting_that_cannot_work_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(setting))):
        msgspec.convert(setting, StoreConfig)
