"""Which sources there are on this machine, of what grade, why others are not, and which one is taken.

    device      counted in this order                                  else modelled by
    whole node  external                                               utilisation-model (idle_w and max_w are set)
    card        nvml-energy, nvml-power                                tdp-model (of gpu_tdp_w, or the card's own limit)
    processor   rapl                                                   cpu-time-model

`auto` takes the whole node's meter where there is one. Else, for a model on a card, the card's, with the processors' where those
can be read; for a model on processors, theirs. What is not counted is modelled, and what can't be modelled is unknown, never 0.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.config import MeterConfig
from freehold.meter.sources.cpu_time import CpuTimeModel
from freehold.meter.sources.external import external, from_command, from_file
from freehold.meter.sources.modelled import PROC_STAT, CardModel, CpuTimes, OurShare, UtilisationModel
from freehold.meter.sources.nvml import Nvml, NvmlLibrary, card_source, chosen_card
from freehold.meter.sources.rapl import POWERCAP, Rapl
from freehold.meter.sources.source import Busy, Device, EnergySource, Reading, Together
from freehold.meter.window import WindowMeter


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where sources are looked for. Tests hand in a tree and a library of their own."""

    powercap: Path = POWERCAP
    proc_stat: Path = PROC_STAT
    nvml: Callable[[], Nvml] = NvmlLibrary
    clock: Callable[[], float] = time.monotonic
    folder: Path = field(default_factory=Path.cwd)  # what an external meter's file is relative to


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One kind of source. Of one that is not there `source` is None, and `detail` says why."""

    kind: str
    device: Device
    grade: Grade
    detail: str
    source: EnergySource | None = None


class NoSource:
    """Implements `source.EnergySource` where nothing is known: a model on a card without NVML and without a stated TDP."""

    name = "none"
    grade = Grade.UNKNOWN
    device: Device = "gpu"
    min_window_s = 0.0
    sees_idle = False

    def read(self, busy: Busy) -> Reading | None:
        return None

    def close(self) -> None:
        pass


def look(config: MeterConfig, machine: Machine | None = None, kinds: Sequence[str] | None = None) -> list[Found]:
    """Every kind, opened where it is there."""
    machine = machine or Machine()
    wanted = KINDS if kinds is None else {config.source, *kinds}
    return [look_for(config, machine) for kind, look_for in KINDS.items() if kind in wanted]


def _external(config: MeterConfig, machine: Machine) -> Found:
    settings = config.external
    grade = Grade.MEASURED_COUNTER if settings and settings.reads == "joules" else Grade.MEASURED_POWER
    if settings is None:
        return Found(kind="external", device="node", grade=grade, detail="no [meter.external] names a meter")
    ask = (
        from_command(settings.command, settings.timeout_s) if settings.command else from_file(machine.folder / str(settings.file))
    )
    try:
        source = external(ask, settings.reads, settings.every_s, machine.clock)
    except DeviceError as exc:
        return Found(kind="external", device="node", grade=grade, detail=exc.message)
    what = settings.command[0] if settings.command else str(settings.file)
    return Found(kind="external", device="node", grade=grade, detail=f"{settings.reads} from {what}", source=source)


def _nvml(config: MeterConfig, machine: Machine) -> Found:
    try:
        nvml = machine.nvml()
        card = chosen_card(nvml, config.gpu)
        source = card_source(nvml, card)
    except DeviceError as exc:
        return Found(kind="nvml", device="gpu", grade=Grade.MEASURED_COUNTER, detail=exc.message)
    shared = "; it is shared (MIG or vGPU): an upper bound" if source.name.endswith("shared") else ""
    detail = f"{source.name} of card {card}, {nvml.name(card)}{shared}"
    return Found(kind="nvml", device="gpu", grade=source.grade, detail=detail, source=source)


def _rapl(config: MeterConfig, machine: Machine) -> Found:
    try:
        source = Rapl(machine.powercap, machine.clock)
    except DeviceError as exc:
        return Found(kind="rapl", device="cpu", grade=Grade.MEASURED_COUNTER, detail=exc.message)
    has_dram = "dram" in source.domains
    detail = ", ".join(source.domains) + ("" if has_dram else "; memory is not counted here")
    return Found(kind="rapl", device="cpu", grade=source.grade, detail=detail, source=source)


def _utilisation(config: MeterConfig, machine: Machine) -> Found:
    kind, grade = "utilisation-model", Grade.MODELLED
    if config.idle_w is None or config.max_w is None:
        return Found(
            kind=kind, device="node", grade=grade, detail="[meter] idle_w and max_w are not set: measure both at the plug"
        )
    try:
        source = UtilisationModel(config.idle_w, config.max_w, config.exponent, CpuTimes(machine.proc_stat), machine.clock)
    except DeviceError as exc:
        return Found(kind=kind, device="node", grade=grade, detail=exc.message)
    detail = f"{config.idle_w:g} W idle to {config.max_w:g} W busy, +-25 %"
    return Found(kind=kind, device="node", grade=grade, detail=detail, source=source)


def _card_model(config: MeterConfig, machine: Machine) -> Found:
    tdp_w, whose = config.gpu_tdp_w, "as set"
    if tdp_w is None:
        try:
            nvml = machine.nvml()
            tdp_w, whose = nvml.default_limit_mw(chosen_card(nvml, config.gpu)) / 1000, "the card's own limit"
        except DeviceError as exc:
            detail = f"[meter] gpu_tdp_w is not set, and the card does not say: {exc.message}"
            return Found(kind="tdp-model", device="gpu", grade=Grade.MODELLED, detail=detail)
    detail = f"0.74 x {tdp_w:g} W ({whose}) while a pass runs, +-25 %"
    return Found(kind="tdp-model", device="gpu", grade=Grade.MODELLED, detail=detail, source=CardModel(tdp_w))


def _cpu_time(config: MeterConfig, machine: Machine) -> Found:
    low, middle, high = config.watts_per_core_low, config.watts_per_core, config.watts_per_core_high
    detail = f"{middle:g} W a busy thread ({low:g} to {high:g}); idling is not in it"
    return Found(kind="cpu-time-model", device="cpu", grade=Grade.MODELLED, detail=detail, source=CpuTimeModel(config))


KINDS: dict[str, Callable[[MeterConfig, Machine], Found]] = {
    "external": _external,
    "nvml": _nvml,
    "rapl": _rapl,
    "utilisation-model": _utilisation,
    "tdp-model": _card_model,
    "cpu-time-model": _cpu_time,
}


def choose(found: Sequence[Found], config: MeterConfig, *, on_card: bool) -> EnergySource:
    """The one that tells about a model computed there. Raises DeviceError where the one that was asked for is not to be had."""
    there = {one.kind: one.source for one in found if one.source is not None}
    if config.source != "auto":
        if config.source not in there:
            (why,) = [one.detail for one in found if one.kind == config.source]
            raise DeviceError(f'[meter] source = "{config.source}" is not to be had: {why}; see: freehold meter sources')
        return there[config.source]
    if "external" in there:
        return there["external"]
    if on_card:
        card = there.get("nvml") or there.get("tdp-model")
        if card is None:
            return NoSource()
        return Together([card, there["rapl"]]) if "rapl" in there else card
    return there.get("rapl") or there.get("utilisation-model") or there["cpu-time-model"]


def open_meter(config: MeterConfig, machine: Machine | None = None, *, expects_card: bool = False) -> WindowMeter:
    """The engine's. `expects_card` says where loading will be counted; where the model then is, is told to `loaded`.

    Raises DeviceError for a source that was asked for by name and is not there.
    """
    machine = machine or Machine()
    found = look(config, machine, kinds=[kind for kind in KINDS if expects_card or kind not in ("nvml", "tdp-model")])
    source = choose(found, config, on_card=expects_card)
    times = CpuTimes(machine.proc_stat)
    return WindowMeter(
        source,
        idle_w=config.idle_w if source.device == "node" else None,
        ours=OurShare(times) if source.sees_idle else None,
        clock=machine.clock,
        on_card=lambda is_on_card: choose(found, config, on_card=is_on_card),
    )
