from pathlib import Path

import msgspec
import pytest

from freehold.batching import open_signals, open_turns
from freehold.config import Config
from freehold.core.errors import ConfigError
from freehold.gateway.attempt import Route
from freehold.gateway.config import RoutingConfig
from freehold.gateway.router import Router
from tests.fakes.upstream import ScriptedUpstream


def test_a_signal_that_makes_no_sense_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_text("start,g_per_kwh\nsoon,3\n")
    with pytest.raises(ConfigError, match=r"\[signal\] .*grid\.csv line 2"):
        open_signals(msgspec.convert({"signal": {"file": "grid.csv"}}, Config), tmp_path)


async def test_what_runs_here_is_the_engine_and_what_residency_calls_local(tmp_path: Path) -> None:
    names = {"engine": ("small",), "rack": ("large", "both"), "far": ("cloud", "both")}
    upstreams = [ScriptedUpstream(models=models, name=name) for name, models in names.items()]
    router = Router([Route(upstream=one) for one in upstreams], RoutingConfig())
    config = msgspec.convert({"residency": {"local": ["rack"]}}, Config)
    turns = open_turns(config, open_signals(config, tmp_path), router, None, "engine")
    here = {model: turns.is_here(model) for model in ("small", "large", "cloud", "both")}
    assert here == {"small": True, "large": True, "cloud": False, "both": False}
