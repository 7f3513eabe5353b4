from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.config import ExternalMeterConfig, MeterConfig
from freehold.meter.opening import Machine, choose, look, open_meter
from tests.fakes.energy import FakeNvml, HandClock, no_driver, powercap
from tests.meter.sources.test_modelled import stat


def machine(tmp_path: Path, *, rapl: bool = False, nvml: FakeNvml | None = None) -> Machine:
    root = tmp_path / "powercap"
    if rapl:
        powercap(root, intel_rapl_0=("package-0", 1))
    tmp_path.mkdir(exist_ok=True)
    stat(tmp_path / "stat", 0, 0)
    return Machine(
        powercap=root, proc_stat=tmp_path / "stat", nvml=(lambda: nvml) if nvml else no_driver, clock=HandClock(), folder=tmp_path
    )


def chosen(config: MeterConfig, here: Machine, *, on_card: bool) -> tuple[str, Grade]:
    source = choose(look(config, here), config, on_card=on_card)
    source.close()
    return source.name, source.grade


def test_the_best_there_is_for_a_model_on_processors(tmp_path: Path) -> None:
    set_ = MeterConfig(idle_w=50, max_w=250)
    assert chosen(MeterConfig(), machine(tmp_path), on_card=False) == ("cpu-time-model", Grade.MODELLED)
    assert chosen(set_, machine(tmp_path), on_card=False) == ("utilisation-model", Grade.MODELLED)
    assert chosen(set_, machine(tmp_path, rapl=True), on_card=False) == ("rapl", Grade.MEASURED_COUNTER)
    (tmp_path / "watts").write_text("200")
    plug = MeterConfig(external=ExternalMeterConfig(file="watts"))
    assert chosen(plug, machine(tmp_path, rapl=True), on_card=False) == ("external-power", Grade.MEASURED_POWER)


def test_the_best_there_is_for_a_model_on_a_card(tmp_path: Path) -> None:
    config = MeterConfig()
    assert chosen(config, machine(tmp_path, nvml=FakeNvml()), on_card=True) == ("nvml-energy", Grade.MEASURED_COUNTER)
    both = machine(tmp_path, rapl=True, nvml=FakeNvml())
    assert chosen(config, both, on_card=True) == ("nvml-energy+rapl", Grade.MEASURED_COUNTER)
    silent = FakeNvml(energy=None, power=None)
    assert chosen(config, machine(tmp_path / "a", nvml=silent), on_card=True) == ("tdp-model", Grade.MODELLED)


def test_a_card_nobody_can_tell_of_is_unknown_and_not_modelled_as_processors(tmp_path: Path) -> None:
    assert chosen(MeterConfig(), machine(tmp_path), on_card=True) == ("none", Grade.UNKNOWN)
    assert chosen(MeterConfig(gpu_tdp_w=350), machine(tmp_path), on_card=True) == ("tdp-model", Grade.MODELLED)


def test_each_kind_that_is_not_there_says_why(tmp_path: Path) -> None:
    why = {one.kind: one.detail for one in look(MeterConfig(), machine(tmp_path)) if one.source is None}
    assert list(why) == ["external", "nvml", "rapl", "utilisation-model", "tdp-model"]
    assert "no NVIDIA driver" in why["nvml"]
    assert "virtual machine" in why["rapl"]
    assert "idle_w and max_w" in why["utilisation-model"]


def test_a_source_that_was_asked_for_by_name_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r'"rapl" is not to be had.*freehold meter sources'):
        open_meter(MeterConfig(source="rapl"), machine(tmp_path))


def test_where_the_model_came_to_be_decides_what_is_read(tmp_path: Path) -> None:
    here = machine(tmp_path, rapl=True, nvml=FakeNvml())
    meter = open_meter(MeterConfig(), here, expects_card=True)
    assert meter.totals().source == "nvml-energy+rapl"
    meter.loaded(False)
    assert meter.totals().source == "rapl"
    meter.close()
