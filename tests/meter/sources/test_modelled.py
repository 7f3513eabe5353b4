from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.meter.sources.modelled import CardModel, CpuTimes, OurShare, UtilisationModel
from freehold.meter.sources.source import Busy
from tests.fakes.energy import HandClock


def stat(path: Path, busy: int, idle: int) -> Path:
    path.write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3\n")
    return path


def test_a_half_busy_node_draws_what_lies_between(tmp_path: Path) -> None:
    clock, path = HandClock(), stat(tmp_path / "stat", 0, 0)
    model = UtilisationModel(50, 250, 1.0, CpuTimes(path), clock)
    clock.turn(10)
    stat(path, 1000, 1000)
    reading = model.read(Busy())
    assert reading is not None
    assert (reading.energy_j, reading.low_j, reading.high_j) == pytest.approx((1500, 1125, 1875))


def test_the_exponent_bends_the_curve(tmp_path: Path) -> None:
    clock, path = HandClock(), stat(tmp_path / "stat", 0, 0)
    model = UtilisationModel(0, 100, 2.0, CpuTimes(path), clock)
    clock.turn(1)
    stat(path, 50, 50)
    reading = model.read(Busy())
    assert reading is not None
    assert reading.energy_j == pytest.approx(25)


def test_no_proc_is_an_error_and_a_lost_one_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="how busy"):
        UtilisationModel(1, 2, 1.0, CpuTimes(tmp_path / "none"))
    path = stat(tmp_path / "stat", 0, 0)
    model = UtilisationModel(1, 2, 1.0, CpuTimes(path), HandClock())
    path.unlink()
    assert model.read(Busy()) is None


def test_a_card_draws_three_quarters_of_its_tdp_while_a_pass_runs() -> None:
    reading = CardModel(700).read(Busy(pass_s=10))
    assert (reading.energy_j, reading.low_j, reading.high_j) == pytest.approx((5180, 3885, 6475))


def test_our_share_of_busy_processors(tmp_path: Path) -> None:
    path, own = stat(tmp_path / "stat", 0, 0), [0.0]
    share = OurShare(CpuTimes(path), lambda: own[0])
    assert share() is None
    stat(path, 1000, 0)
    own[0] = 2.5
    assert share() == pytest.approx(0.25)
    stat(path, 1001, 0)  # too short a time to tell: what was last found
    assert share() == pytest.approx(0.25)
