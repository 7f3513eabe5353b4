import pytest

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.sources.nvml import card_source, chosen_card
from freehold.meter.sources.source import Busy, Reading
from tests.fakes.energy import FakeNvml

BUSY = Busy()


def test_the_counter_goes_before_the_power() -> None:
    nvml = FakeNvml()
    source = card_source(nvml, 0)
    assert (source.name, source.grade) == ("nvml-energy", Grade.MEASURED_COUNTER)
    nvml.energy = 1_250_000
    assert source.read(BUSY) == Reading(250.0)


def test_a_counter_that_fell_or_failed_is_unknown_and_counts_on_from_there() -> None:
    nvml = FakeNvml()
    source = card_source(nvml, 0)
    for energy in (500_000, None, 700_000):
        nvml.energy = energy
        assert source.read(BUSY) is None
    nvml.energy = 800_000
    assert source.read(BUSY) == Reading(100.0)


def test_a_shared_card_says_so_and_gives_an_upper_bound() -> None:
    nvml = FakeNvml(shared=True)
    source = card_source(nvml, 0)
    assert source.name == "nvml-energy-shared"
    nvml.energy = 1_010_000
    assert source.read(BUSY) == Reading(10.0, 0.0, 10.0)


def test_a_card_without_a_counter_is_sampled_for_its_power() -> None:
    source = card_source(FakeNvml(energy=None), 0)
    assert (source.name, source.grade, source.min_window_s) == ("nvml-power", Grade.MEASURED_POWER, 1.0)
    source.close()


def test_a_card_that_tells_neither_says_why() -> None:
    with pytest.raises(DeviceError, match=r"TotalEnergyConsumption failed.*PowerUsage failed"):
        card_source(FakeNvml(energy=None, power=None), 0)


@pytest.mark.parametrize(
    ("asked", "visible", "card"), [("", "", 0), ("1", "", 1), ("GPU-b", "", 1), ("", "GPU-bbbb", 1), ("", "1,0", 1)]
)
def test_which_card(monkeypatch: pytest.MonkeyPatch, asked: str, visible: str, card: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert chosen_card(FakeNvml(uuids=("GPU-aaaa", "GPU-bbbb")), asked) == card


@pytest.mark.parametrize("asked", ["2", "GPU-c"])
def test_a_card_that_is_not_here(asked: str) -> None:
    with pytest.raises(DeviceError, match="no card"):
        chosen_card(FakeNvml(), asked)
