"""What is said on the command line goes before the configuration, in the node and in the engine's process."""

from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from freehold.cli import main
from freehold.cli.engine_options import engine_options, engine_settings
from freehold.core.errors import ConfigError
from freehold.engine.config import EngineConfig
from freehold.engine_command import engine_command
from freehold.place import Place, find_place


@pytest.fixture(autouse=True)
def home(home: Path) -> Path:
    (home / "freehold.toml").write_text("[engine]\nthreads = 7\nqueue_limit = 9\n")
    return home


def settings_of(place: Place) -> EngineConfig:
    """What the engine's process is started with."""
    command = engine_command(place.config, place.folder)
    return msgspec.json.decode(command[command.index("--settings") + 1], type=EngineConfig)


def given(*arguments: str) -> dict[str, int | str]:
    @click.command()
    @engine_options
    def command(**engine: int | None) -> None:
        found.update(engine_settings(engine))

    found: dict[str, int | str] = {}
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return found


def test_options_go_before_the_file_and_the_rest_of_it_holds() -> None:
    settings = settings_of(find_place(None, given("--ram", "1G", "--vram", "2G", "--threads", "2", "--ctx", "512")))
    assert (settings.ram_mb, settings.vram_mb, settings.threads) == (953, 1907, 2)
    assert (settings.context_tokens, settings.queue_limit) == (512, 9)


def test_without_options_the_file_is_what_counts() -> None:
    assert given() == {}
    assert settings_of(find_place()) == EngineConfig(threads=7, queue_limit=9)


def test_a_setting_that_cannot_be_is_refused_as_the_file_would_be() -> None:
    with pytest.raises(ConfigError, match="threads -1 must be at least 0"):
        find_place(None, {"threads": -1})


def test_settings_that_are_none_end_the_engine_with_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["engine", "--socket", str(tmp_path / "s"), "--settings", '{"threads": "many"}'])
    assert result.exit_code == 2
    assert "--settings or --meter is no table" in result.output


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_an_engine_logs_what_its_node_does(caplog: pytest.LogCaptureFixture, level: str) -> None:
    place = find_place()
    with caplog.at_level(level, "freehold"):
        command = engine_command(place.config, place.folder)
    assert command[command.index("--log") + 1] == level
