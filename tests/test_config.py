import os
import pwd
from pathlib import Path

import pytest

from freehold import config as configuration
from freehold.core.errors import ConfigError

UPSTREAM = """
[[upstreams]]
name = "{name}"
url = "http://127.0.0.1:1"
models = ["{model}"]
"""


def load(tmp_path: Path, text: str) -> configuration.Config:
    path = tmp_path / "freehold.toml"
    path.write_text(text)
    return configuration.load(path)


@pytest.mark.parametrize("name", ["freehold", "record"])
def test_an_upstream_may_not_take_the_name_of_a_part_of_the_node(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"upstream '{name}' is named twice"):
        load(tmp_path, UPSTREAM.format(name=name, model="large"))


def test_two_upstreams_may_not_share_a_name_but_serve_the_same_model(tmp_path: Path) -> None:
    one = UPSTREAM.format(name="one", model="large")
    with pytest.raises(ConfigError, match="upstream 'one' is named twice"):
        load(tmp_path, one + UPSTREAM.format(name="one", model="other"))
    config = load(tmp_path, one + UPSTREAM.format(name="two", model="large") + UPSTREAM.format(name="x", model="smollm2-135m"))
    assert [upstream.models for upstream in config.upstreams] == [["large"], ["large"], ["smollm2-135m"]]


def test_a_price_is_for_upstreams_that_are_there(tmp_path: Path) -> None:
    price = '[[prices]]\nmodel = "large"\ninput_usd = 1\noutput_usd = 2.5\nupstreams = ["one", "freehold"]\n'
    assert load(tmp_path, UPSTREAM.format(name="one", model="large") + price).prices[0].output_usd == 2.5
    with pytest.raises(ConfigError, match=r"price of 'large' is for upstream 'one', which is not configured"):
        load(tmp_path, price)


RESIDENCY = """
[residency.labels.internal]
allowed = ["*"]

[residency.upstreams.one]
region = "eu-central-1"
jurisdiction = "DE"
attested_at = 2026-01-01
"""


def test_residency_is_about_upstreams_that_are_there(tmp_path: Path) -> None:
    config = load(tmp_path, UPSTREAM.format(name="one", model="large") + RESIDENCY)
    assert config.residency is not None
    assert config.residency.upstreams["one"].jurisdiction == "DE"
    with pytest.raises(ConfigError, match=r"residency\.upstreams names upstream 'one', which is not configured"):
        load(tmp_path, RESIDENCY)
    with pytest.raises(ConfigError, match=r"residency\.local names upstream 'cellar', which is not configured"):
        load(tmp_path, '[residency]\nlocal = ["cellar"]\n')


@pytest.mark.parametrize(
    "text",
    ["[residency.labels.secret]", '[residency.upstreams.one]\njurisdiction = "Germany"', '[residency]\ndefault_label = "x"'],
)
def test_labels_and_codes_that_do_not_exist_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="residency"):
        load(tmp_path, text)


def test_alerts_and_traces_are_tables_of_their_own(tmp_path: Path) -> None:
    text = '[[alerts]]\nurl = "https://hooks.example/x"\n\n[traces]\nendpoint = "http://127.0.0.1:4318/v1/traces"\n'
    config = load(tmp_path, text)
    assert config.alerts[0].url == "https://hooks.example/x"
    assert config.traces is not None
    with pytest.raises(ConfigError, match="must be https"):
        load(tmp_path, text.replace("https", "http"))


@pytest.mark.parametrize("text", ["[gateway]\nport = 'x'", "[gateway]\nnope = 1", "nope = 1", "[gateway", "[store]\nfile = ''"])
def test_what_does_not_hold_together_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"freehold\.toml: .*docs/configuration\.md"):
        load(tmp_path, text)


def test_an_empty_home_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FREEHOLD_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "")
    user = pwd.getpwuid(os.getuid()).pw_dir
    assert configuration.home() == Path(user) / ".local" / "share" / "freehold"


def test_a_mark_that_an_editor_left_before_the_first_letter_is_passed_over(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff[gateway]\nport = 8411\n").gateway.port == 8411
