from pathlib import Path

import pytest

from freehold.config import Config
from freehold.core.errors import ConfigError, DeviceError, MalformedArtefact
from freehold.gateway.config import UpstreamConfig
from freehold.model_audits import sides
from freehold.model_audits.sides import SideName, find_side, open_side, read_baseline
from tests.model_audits.toy import ToyUpstream

CONFIG = Config(upstreams=(UpstreamConfig(name="far", url="http://127.0.0.1:9/v1", models={"ours": "theirs", "more": "m"}),))


def test_an_upstreams_model_is_called_as_this_node_calls_it(tmp_path: Path) -> None:
    found = find_side(CONFIG, tmp_path, tmp_path, "far", "ours", may_be_file=False)
    assert found == SideName(upstream="far", model="ours")
    with pytest.raises(ConfigError, match="it has no model 'theirs'; it has ours, more"):
        find_side(CONFIG, tmp_path, tmp_path, "far", "theirs", may_be_file=False)


def test_a_file_is_a_baseline_where_it_may_be_one(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text("{}")
    assert find_side(CONFIG, tmp_path, tmp_path, "base.json", None, may_be_file=True).file == tmp_path / "base.json"
    with pytest.raises(ConfigError, match="has its own model"):
        find_side(CONFIG, tmp_path, tmp_path, "base.json", "ours", may_be_file=True)
    with pytest.raises(ConfigError, match="no model on this machine"):
        find_side(CONFIG, tmp_path, tmp_path, "base.json", None, may_be_file=False)


def test_a_baseline_that_cannot_be_read_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "base.json"
    with pytest.raises(DeviceError, match=r"base\.json: No such file"):
        read_baseline(path)
    path.write_text("[1]")
    with pytest.raises(MalformedArtefact, match=r"base\.json: it is no baseline"):
        read_baseline(path)
    monkeypatch.setattr(sides, "LIMIT_BYTES", 2)
    with pytest.raises(MalformedArtefact, match="more than 2 bytes"):
        read_baseline(path)


async def test_the_nodes_own_engine_answers_for_its_model(tmp_path: Path) -> None:
    engine = ToyUpstream(name="freehold")
    name = SideName(local="toy-1", model="canonical")
    async with open_side(CONFIG, tmp_path, name, engine) as side:
        assert side.upstream is engine
        assert side.name.model == "toy-1"
        assert side.name.price_name == "freehold"
