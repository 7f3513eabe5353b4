import msgspec
import pytest

from freehold.core.findings import Channel
from freehold.guard.injection.settings import InjectionSettings


def test_each_channel_has_its_threshold() -> None:
    settings = InjectionSettings(tool_result_threshold=0.1, file_threshold=0.2, prompt_threshold=0.3)
    assert settings.threshold(Channel.TOOL_RESULT) == 0.1
    assert settings.threshold(Channel.FILE) == 0.2
    assert settings.threshold(Channel.USER) == settings.threshold(Channel.SYSTEM) == 0.3


@pytest.mark.parametrize(
    "table", [{"action": "mark"}, {"spotlight": "some"}, {"prompt_threshold": 0}, {"mode": "on"}, {"typo": 1}]
)
def test_what_can_not_be_set_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, InjectionSettings)
