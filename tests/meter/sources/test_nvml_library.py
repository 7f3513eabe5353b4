"""The ctypes side of NVML, against a library of the same functions that is compiled here; nothing of NVIDIA's is needed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.meter.sources import nvml
from freehold.meter.sources.nvml import NvmlLibrary, card_source, chosen_card
from freehold.meter.sources.source import Busy, Reading

# Signatures as in nvml.h of the driver's kit; a device is a pointer that only the library understands.
SOURCE = r"""
#include <string.h>
static char first, second;
static unsigned long long energy_mj = 5000000000000ULL; /* above 32 bits */
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) { *device = index ? &second : &first; return 0; }
int nvmlDeviceGetName(void *device, char *name, unsigned int length) { strncpy(name, "Card", length); return 0; }
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned int length) {
    strncpy(uuid, device == &first ? "GPU-first" : "GPU-second", length); return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) {
    if (device == &second) return 3; energy_mj += 250000; *mj = energy_mj; return 0; }
int nvmlDeviceGetPowerUsage(void *device, unsigned int *mw) { *mw = device == &second ? 120000 : 1; return 0; }
int nvmlDeviceGetPowerManagementDefaultLimit(void *device, unsigned int *mw) { *mw = 700000; return 0; }
int nvmlDeviceGetMigMode(void *device, unsigned int *now, unsigned int *later) { *now = device == &second; *later = 0; return 0; }
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NvmlLibrary:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler is here to make the library with")
    source, made = tmp_path / "nvml.c", tmp_path / "libnvml.so"
    source.write_text(SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, source], check=True, capture_output=True)
    monkeypatch.setattr(nvml, "_NAMES", (str(made),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return NvmlLibrary()


def test_a_cards_counter_is_read_whole(library: NvmlLibrary) -> None:
    assert (library.cards(), library.name(0), library.uuid(1)) == (2, "Card", "GPU-second")
    assert library.energy_mj(0) > 1 << 32
    assert library.default_limit_mw(0) == 700_000
    source = card_source(library, chosen_card(library, ""))
    assert source.name == "nvml-energy"
    assert source.read(Busy()) == Reading(250.0)


def test_a_card_that_is_split_and_has_no_counter_is_sampled(library: NvmlLibrary) -> None:
    with pytest.raises(DeviceError, match="not supported by this card"):
        library.energy_mj(1)
    source = card_source(library, chosen_card(library, "GPU-second"))
    reading = source.read(Busy())
    source.close()
    assert source.name == "nvml-power-shared"
    assert reading is not None
    assert (reading.low_j, reading.high_j) == (0.0, reading.energy_j)  # others draw on it, too


def test_a_function_that_the_driver_does_not_have_is_said(library: NvmlLibrary) -> None:
    with pytest.raises(DeviceError, match="no nvmlSomethingNew"):
        library._call("nvmlSomethingNew")


def test_no_driver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "_NAMES", ("libnothing-of-this-name.so.1",))
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        NvmlLibrary()
