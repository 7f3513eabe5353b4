from pathlib import Path

import pytest

from freehold.core.errors import ConfigError
from freehold.core.exchange import KeyId, Principal
from freehold.engine.config import WatermarkConfig
from freehold.provenance.watermark import make_watermark
from freehold.watermarks import watermarks_of


def principal(name: str, team: str | None = None) -> Principal:
    return Principal(key_id=KeyId("k"), name=name, team=team)


def test_the_first_entry_that_fits_says_whose_secret_it_is(tmp_path: Path) -> None:
    press, all_ = (make_watermark(tmp_path, name, gamma=0.25, delta=2.0, context_tokens=2) for name in ("press", "all"))
    rules = (
        WatermarkConfig(secret="press", teams=("press*",), keys=("web-*",)),
        WatermarkConfig(secret="all", teams=("press*",)),
    )
    chosen = watermarks_of(tmp_path, rules)
    assert chosen(principal("web-1", "press")) == press
    assert chosen(principal("app", "press-eu")) == all_
    assert chosen(principal("web-1", "legal")) is None
    assert chosen(principal("web-1")) is None
    assert watermarks_of(tmp_path, ())(principal("web-1", "press")) is None


def test_a_node_does_not_start_without_a_secret_that_it_is_told_to_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="freehold watermark create press"):
        watermarks_of(tmp_path, (WatermarkConfig(secret="press"),))
