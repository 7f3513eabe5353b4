"""A meter outside the machine or its management controller, read from a file or by a command.

What it says is a number, or one of the forms that tools print: `ipmitool dcmi power reading` ("Instantaneous power reading: 220
Watts"), a Redfish resource in JSON (PowerControl[].PowerConsumedWatts of Power, PowerWatts.Reading and EnergykWh.Reading of
EnvironmentMetrics, DSP0268). It is the only kind of source that holds fans, disks and the power supply's losses.
"""

import json
import math
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from freehold.core.errors import DeviceError, os_errors
from freehold.core.measurement import J_PER_KWH, Grade
from freehold.meter.sources.power import ABSURD_W, SampledPower
from freehold.meter.sources.source import Busy, Device, EnergySource, Reading

Quantity = Literal["watts", "joules"]
OUTPUT_LIMIT_BYTES: Final = 1 << 20
_NUMBER = re.compile(r"([-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)\s*(?:[A-Za-z]{1,6}\b)?\s*")
_DCMI = re.compile(r"Instantaneous power reading\s*:\s*([0-9]+)\s*Watts", re.IGNORECASE)


def parse(text: str, quantity: Quantity) -> float:
    """The number of watts, or the counter's joules. Raises DeviceError that says what was read instead."""
    value = _value(text, quantity)
    if value is None:
        raise DeviceError(
            f"the meter said {text.strip()[:80]!r}, which holds no number of {quantity}: a bare number, ipmitool's DCMI reading "
            "or a Redfish resource is understood"
        )
    if not math.isfinite(value) or value < 0:
        raise DeviceError(f"the meter said {value:g} {quantity}, which can't be")
    if quantity == "watts" and value > ABSURD_W:
        raise DeviceError(f"the meter said {value:g} W, more than a whole rack draws; is its unit watts?")
    return value


def _value(text: str, quantity: Quantity) -> float | None:
    if found := _NUMBER.fullmatch(text.strip()):
        return float(found[1])
    if quantity == "watts" and (found := _DCMI.search(text)):
        return float(found[1])
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _redfish(document, quantity) if isinstance(document, dict) else None


def _redfish(document: Mapping[str, Any], quantity: Quantity) -> float | None:
    if quantity == "joules":
        kwh = _reading(document.get("EnergykWh"))
        return None if kwh is None else kwh * J_PER_KWH
    controls = document.get("PowerControl")
    if isinstance(controls, list) and controls and isinstance(controls[0], dict):
        return _plain(controls[0].get("PowerConsumedWatts"))
    return _reading(document.get("PowerWatts"))


def _reading(sensor: object) -> float | None:
    return _plain(sensor.get("Reading")) if isinstance(sensor, dict) else None


def _plain(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def from_file(path: Path) -> Callable[[], str]:
    def ask() -> str:
        with os_errors(f"the meter's file {path} can't be read"), path.open("rb") as file:
            return file.read(OUTPUT_LIMIT_BYTES).decode(errors="replace")

    return ask


def from_command(command: Sequence[str], timeout_s: float) -> Callable[[], str]:
    def ask() -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as exc:
            raise DeviceError(f"the meter's command {command[0]} did not answer within {timeout_s:g} s") from exc
        except OSError as exc:
            raise DeviceError(f"the meter's command {command[0]} can't be run: {exc.strerror}") from exc
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise DeviceError(f"the meter's command {command[0]} ended with {done.returncode}: {words[-1][:200]}")
        return done.stdout[:OUTPUT_LIMIT_BYTES].decode(errors="replace")

    return ask


class ExternalCounter:
    """Implements `source.EnergySource` by a counter of joules, asked by a thread of its own: no pass waits for a command."""

    name = "external-energy"
    grade = Grade.MEASURED_COUNTER
    device: Device = "node"
    sees_idle = True

    def __init__(self, ask: Callable[[], str], every_s: float, *, runs: bool = True) -> None:
        """Raises DeviceError where it can't be read."""
        self._ask = ask
        self.min_window_s = 2 * every_s
        self.trouble = ""
        self._lock = threading.Lock()
        self._now_j: float | None = parse(ask(), "joules")
        self._read_j: float | None = self._now_j
        self._ended = threading.Event()
        if runs:
            threading.Thread(target=self._run, args=(every_s,), name="external-energy", daemon=True).start()

    def sample(self) -> None:
        try:
            value: float | None = parse(self._ask(), "joules")
            self.trouble = ""
        except DeviceError as exc:
            value, self.trouble = None, exc.message
        with self._lock:
            self._now_j = value

    def read(self, busy: Busy) -> Reading | None:
        with self._lock:
            before, now, self._read_j = self._read_j, self._now_j, self._now_j
        return None if before is None or now is None or now < before else Reading(now - before)

    def close(self) -> None:
        self._ended.set()

    def _run(self, every_s: float) -> None:
        while not self._ended.wait(every_s):
            self.sample()


def external(
    ask: Callable[[], str], quantity: Quantity, every_s: float, clock: Callable[[], float] = time.monotonic
) -> EnergySource:
    """Raises DeviceError where it can't be read now."""
    if quantity == "joules":
        return ExternalCounter(ask, every_s)
    # A window takes in two samples at least: what lies between them is a straight line.
    return SampledPower(
        "external-power",
        "node",
        lambda: parse(ask(), "watts"),
        every_s=every_s,
        min_window_s=2 * every_s,
        on_demand=False,
        clock=clock,
    )
