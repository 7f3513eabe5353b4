import pytest

from freehold.core.errors import ConfigError
from freehold.engine.kernels import targets


def test_portable_runs_everywhere_and_is_the_last_choice() -> None:
    assert targets.host_targets()[-1] == "portable"


def test_argument_wins_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_KERNELS", "vnni")
    assert targets.choose_target("portable").name == "portable"


def test_environment_wins_over_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_KERNELS", "portable")
    assert targets.choose_target().name == "portable"


def test_unknown_kernels_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="choose one of vnni, avx2, portable"):
        targets.choose_target("neon")


def test_kernels_the_cpu_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "host_targets", lambda: ["portable"])
    with pytest.raises(ConfigError, match="cannot run the vnni kernels; it can run portable"):
        targets.choose_target("vnni")
