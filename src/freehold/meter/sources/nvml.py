"""NVIDIA's management library: a card's energy counter, or its power, as joules.

Read through ctypes, some functions of a library that comes with the driver: a package of bindings would add a dependency for
them. `Nvml` is the Protocol; tests hand in a library of their own. The counter (nvmlDeviceGetTotalEnergyConsumption, mJ since the
driver was loaded, Volta and later) goes before the power (nvmlDeviceGetPowerUsage, which on newer cards is a mean over the last
second: hence the shortest window). A card that is split (MIG) or lent (vGPU) has one counter for all who share it: then what it
says is an upper bound, and the source is called shared.
"""

import ctypes
import os
from typing import Final, Protocol

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.sources.power import SampledPower
from freehold.meter.sources.source import Busy, Device, EnergySource, Reading

_NAMES: Final = ("libnvidia-ml.so.1", "libnvidia-ml.so", "nvml.dll")
_ERRORS: Final = {3: "not supported by this card", 4: "not permitted", 6: "no such card", 9: "the driver is not loaded"}
POWER_EVERY_S: Final = 0.2
POWER_WINDOW_S: Final = 1.0
ENERGY_WINDOW_S: Final = 0.1  # the counter moves some tens of times a second


class Nvml(Protocol):
    """What of the library is used. Each raises DeviceError with the reason."""

    def cards(self) -> int: ...

    def name(self, card: int) -> str: ...

    def uuid(self, card: int) -> str: ...

    def energy_mj(self, card: int) -> int: ...

    def power_mw(self, card: int) -> int: ...

    def default_limit_mw(self, card: int) -> int:
        """The power that the card is made for (its TDP)."""

    def is_shared(self, card: int) -> bool:
        """Whether MIG splits it, or it is a virtual one."""


class NvmlLibrary:
    """Implements `Nvml`."""

    def __init__(self) -> None:
        """Raises DeviceError where there is no driver."""
        self._library = _loaded()
        self._call("nvmlInit_v2")

    def cards(self) -> int:
        count = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(count))
        return count.value

    def name(self, card: int) -> str:
        return self._text("nvmlDeviceGetName", card)

    def uuid(self, card: int) -> str:
        return self._text("nvmlDeviceGetUUID", card)

    def energy_mj(self, card: int) -> int:
        value = ctypes.c_ulonglong()
        self._call("nvmlDeviceGetTotalEnergyConsumption", self._handle(card), ctypes.byref(value))
        return value.value

    def power_mw(self, card: int) -> int:
        return self._uint("nvmlDeviceGetPowerUsage", card)

    def default_limit_mw(self, card: int) -> int:
        return self._uint("nvmlDeviceGetPowerManagementDefaultLimit", card)

    def is_shared(self, card: int) -> bool:
        mode, pending = ctypes.c_uint(), ctypes.c_uint()
        try:
            self._call("nvmlDeviceGetMigMode", self._handle(card), ctypes.byref(mode), ctypes.byref(pending))
        except DeviceError:  # cards without MIG
            mode.value = 0
        try:
            virtualisation = self._uint("nvmlDeviceGetVirtualizationMode", card)
        except DeviceError:
            virtualisation = 0
        return mode.value == 1 or virtualisation == 2  # NVML_GPU_VIRTUALIZATION_MODE_VGPU

    def _text(self, function: str, card: int) -> str:
        buffer = ctypes.create_string_buffer(96)
        self._call(function, self._handle(card), buffer, ctypes.c_uint(len(buffer)))
        return buffer.value.decode(errors="replace")

    def _uint(self, function: str, card: int) -> int:
        value = ctypes.c_uint()
        self._call(function, self._handle(card), ctypes.byref(value))
        return value.value

    def _handle(self, card: int) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(card), ctypes.byref(handle))
        return handle

    def _call(self, function: str, *arguments: object) -> None:
        try:
            status = int(getattr(self._library, function)(*arguments))
        except AttributeError as exc:
            raise DeviceError(f"this driver's NVML has no {function}") from exc
        if status:
            raise DeviceError(f"{function} failed: {_ERRORS.get(status, f'error {status}')}")


def _loaded() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise DeviceError("there is no NVIDIA driver here: libnvidia-ml is not found")


def chosen_card(nvml: Nvml, asked: str) -> int:
    """By index or UUID; empty is the first that CUDA may see. Raises DeviceError."""
    word = asked or os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip() or "0"
    count = nvml.cards()
    if word.isdigit() and int(word) < count:
        return int(word)
    for card in range(count):
        if not word.isdigit() and nvml.uuid(card).startswith(word):
            return card
    raise DeviceError(f"there is no card {word[:60]!r} among the {count} here")


class NvmlEnergy:
    """Implements `source.EnergySource` by the energy counter."""

    grade = Grade.MEASURED_COUNTER
    device: Device = "gpu"
    min_window_s = ENERGY_WINDOW_S
    sees_idle = True

    def __init__(self, nvml: Nvml, card: int) -> None:
        """Raises DeviceError where the card has no counter."""
        self._nvml, self._card = nvml, card
        self._is_shared = nvml.is_shared(card)
        self.name = "nvml-energy-shared" if self._is_shared else "nvml-energy"
        self._last_mj: int | None = nvml.energy_mj(card)

    def read(self, busy: Busy) -> Reading | None:
        before, self._last_mj = self._last_mj, None
        try:
            self._last_mj = now = self._nvml.energy_mj(self._card)
        except DeviceError:
            return None
        if before is None or now < before:  # the driver was loaded anew
            return None
        energy_j = (now - before) / 1000
        return Reading(energy_j, low_j=0.0, high_j=energy_j) if self._is_shared else Reading(energy_j)

    def close(self) -> None:
        pass


def card_source(nvml: Nvml, card: int) -> EnergySource:
    """The best that the card has: its counter, else its power. Raises DeviceError with both reasons."""
    try:
        return NvmlEnergy(nvml, card)
    except DeviceError as no_counter:
        is_shared = nvml.is_shared(card)
        try:
            return SampledPower(
                "nvml-power-shared" if is_shared else "nvml-power",
                "gpu",
                lambda: nvml.power_mw(card) / 1000,
                every_s=POWER_EVERY_S,
                min_window_s=POWER_WINDOW_S,
                is_shared=is_shared,
            )
        except DeviceError as no_power:
            raise DeviceError(f"{no_counter.message}; {no_power.message}") from no_power
