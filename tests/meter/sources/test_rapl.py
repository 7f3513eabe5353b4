from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.meter.sources.rapl import Rapl
from freehold.meter.sources.source import Busy, Reading
from tests.fakes.energy import HandClock, powercap

BUSY = Busy()


def test_packages_and_their_dram_are_added_and_nothing_twice(tmp_path: Path) -> None:
    root = powercap(
        tmp_path / "powercap",
        intel_rapl_0=("package-0", 1_000_000),
        intel_rapl_0_0=("core", 500_000),
        intel_rapl_0_1=("dram", 200_000),
        intel_rapl_1=("package-1", 4_000_000),
        intel_rapl_2=("psys", 9_000_000),
        intel_rapl_mmio_0=("package-0", 1_000_000),
    )
    clock = HandClock()
    source = Rapl(root, clock)
    assert source.domains == ["package-0", "package-1", "dram"]
    clock.turn(1)
    powercap(
        root,
        intel_rapl_0=("package-0", 31_000_000),
        intel_rapl_0_0=("core", 20_500_000),
        intel_rapl_0_1=("dram", 5_200_000),
        intel_rapl_1=("package-1", 44_000_000),
        intel_rapl_2=("psys", 109_000_000),
        intel_rapl_mmio_0=("package-0", 31_000_000),
    )
    assert source.read(BUSY) == Reading(75.0)
    assert source.read(BUSY) == Reading(0.0)


def test_psys_counts_where_there_is_no_package(tmp_path: Path) -> None:
    root = powercap(tmp_path / "powercap", intel_rapl_0=("psys", 1_000_000))
    source = Rapl(root, HandClock())
    powercap(root, intel_rapl_0=("psys", 3_000_000))
    assert source.read(BUSY) == Reading(2.0)


def test_a_counter_that_went_round_is_counted_on(tmp_path: Path) -> None:
    root = powercap(tmp_path / "powercap", intel_rapl_0=("package-0", 262_143_000_000))
    clock = HandClock()
    source = Rapl(root, clock)
    clock.turn(1)
    powercap(root, intel_rapl_0=("package-0", 1_000_000))
    assert source.read(BUSY) == Reading(pytest.approx(1.328850))  # type: ignore[arg-type]


def test_a_counter_that_may_have_gone_round_twice_is_unknown(tmp_path: Path) -> None:
    root = powercap(tmp_path / "powercap", intel_rapl_0=("package-0", 1))
    clock = HandClock()
    source = Rapl(root, clock)
    clock.turn(3600)
    assert source.read(BUSY) is None
    clock.turn(1)
    powercap(root, intel_rapl_0=("package-0", 5_000_001))
    assert source.read(BUSY) == Reading(5.0)


@pytest.mark.parametrize("text", ["", "-5", "nonsense", "99999999999999999999"])
def test_a_counter_that_tells_nonsense_is_unknown(tmp_path: Path, text: str) -> None:
    root = powercap(tmp_path / "powercap", intel_rapl_0=("package-0", 1))
    clock = HandClock()
    source = Rapl(root, clock)
    clock.turn(1)
    (root / "intel-rapl:0" / "energy_uj").write_text(text)
    assert source.read(BUSY) is None


def test_no_counters_and_no_right_to_read_them_each_tell_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="virtual machine"):
        Rapl(tmp_path / "nothing")
    root = powercap(tmp_path / "powercap", intel_rapl_0=("package-0", 1))

    def refuse(self: Path, **_: object) -> str:
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return self.read_bytes().decode()

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(DeviceError, match="CVE-2020-8694"):
        Rapl(root)
