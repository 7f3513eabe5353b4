"""`freehold fit`: how fast a model will be, before it is loaded, before it is downloaded, or on a machine that is not this one.

Decided here: what the machine is unless it is said, and how the answer reads. The working out is `engine/fit.py`, the measuring
`engine/machine.py`.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from freehold import config as configuration
from freehold.cli.model_paths import model_path
from freehold.cli.sizes import size_of
from freehold.cli.terminal import print_table
from freehold.core.errors import InvalidRequest, UnsupportedArtefact
from freehold.core.links import PCIE4_X16_BYTES_PER_S
from freehold.engine.budget import Plan, plan
from freehold.engine.config import EngineConfig
from freehold.engine.cores import usable_cores
from freehold.engine.device import find_card, has_driver
from freehold.engine.fit import Machine, Prediction, Tier, facts, predict, size
from freehold.engine.gguf import TensorInfo
from freehold.engine.gpu.placement import fixed_bytes
from freehold.engine.gpu.suited import why_not
from freehold.engine.header import read_path
from freehold.engine.kernels.records import MAX_COLUMNS
from freehold.engine.memory import Room, room
from freehold.engine.models.shape import shape_of
from freehold.engine.needs import engine_bytes, pass_bytes, types_of
from freehold.engine.shapes import QUANTISATIONS, dimensions, header_of

if TYPE_CHECKING:
    from freehold.engine.machine import Rates

# Of cards with 24 GB NVIDIA's data sheets say 300 GB/s (L4), 600 (A10), 936 (RTX 3090), 1008 (RTX 4090).
_ASSUMED_VRAM_BYTES_PER_S: Final = 600e9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is asked about."""

    name: str
    metadata: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]
    file: Path | None = None
    is_guess: bool = False

    @property
    def parameters(self) -> int:
        tensors = self.tensors.values()
        return sum(info.size_bytes // info.type.block_bytes * info.type.block_elements for info in tensors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """The card of this machine, as it is now, or one that is thought of. `assumed` says what nobody gave or measured."""

    usable_bytes: int
    bytes_per_s: float
    link_bytes_per_s: float
    assumed: tuple[str, ...] = ()

    @classmethod
    def said(cls, vram: int, vram_rate: int | None, pcie_rate: int | None) -> "_Card":
        assumed = []
        if not vram_rate:
            assumed.append(f"a card whose memory gives {size(_ASSUMED_VRAM_BYTES_PER_S)}/s (--vram-rate)")
        if not pcie_rate:
            assumed.append(f"a link to it of {size(PCIE4_X16_BYTES_PER_S)}/s, PCIe 4.0 x16 (--pcie)")
        rates = vram_rate or _ASSUMED_VRAM_BYTES_PER_S, pcie_rate or PCIE4_X16_BYTES_PER_S
        return cls(usable_bytes=vram, bytes_per_s=rates[0], link_bytes_per_s=rates[1], assumed=tuple(assumed))

    @classmethod
    def here(cls, engine: EngineConfig) -> "_Card | None":
        """None where the engine would not use one. What needs PyTorch is imported only where there is one."""
        found = find_card(engine.device)
        if found is None:
            return None
        on_card, link = importlib.import_module("freehold.engine.gpu.build").card_rates(found)
        return cls(usable_bytes=found.usable_bytes(engine.vram_mb), bytes_per_s=on_card, link_bytes_per_s=link)


@click.command()
@click.argument("model", required=False)
@click.option("--params", help="A size instead of a file: 70B, 8B, qwen2.5-7b.")
@click.option(
    "--quant", default="Q4_K_M", show_default=True, help=f"Its quantisation, with --params: {', '.join(QUANTISATIONS)}."
)
@click.option(
    "--ram", callback=size_of, metavar="SIZE", help="Memory the engine may take, as 32G or 600M. Default: what is free."
)
@click.option("--vram", callback=size_of, metavar="SIZE", help="Memory of a card that weights may use. Default: the card here.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Compute threads. Default: the cores of this machine.")
@click.option("--ctx", type=click.IntRange(min=1), help="Tokens of context to set memory aside for. Default: as configured.")
@click.option("--prompt", type=click.IntRange(1, 1 << 20), default=512, show_default=True, help="Tokens of the prompt.")
@click.option("--disk-rate", callback=size_of, metavar="SIZE", help="What the disk reads a second. Default: measured here.")
@click.option("--ram-rate", callback=size_of, metavar="SIZE", help="What memory gives a second. Default: measured here.")
@click.option("--pcie", "pcie_rate", callback=size_of, metavar="SIZE", help="What the link to a card carries a second.")
@click.option("--vram-rate", callback=size_of, metavar="SIZE", help="What a card's memory gives a second.")
@click.option("--recalibrate", is_flag=True, help="Measure this machine again, and keep the new rates.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def fit(
    model: str | None,
    params: str | None,
    quant: str,
    ram: int | None,
    vram: int | None,
    threads: int | None,
    ctx: int | None,
    prompt: int,
    disk_rate: int | None,
    ram_rate: int | None,
    pcie_rate: int | None,
    vram_rate: int | None,
    recalibrate: bool,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Tell how fast MODEL will be here, or on another machine, and what holds it up.

    MODEL is the name of a model that was pulled or added, or the path of a GGUF file or of a folder of safetensors; only the
    header is read. Without any file, --params and --quant describe one: freehold fit --params 70B --quant Q4_K_M --ram 64G
    """
    engine = _settings(configuration.load(config_path).engine, ram, threads, ctx)
    subject = _subject(model, params, quant)
    unsuited = why_not(shape_of(subject.metadata, subject.tensors), subject.tensors)
    card = _card(engine, unsuited, ram, vram, vram_rate, pcie_rate)
    unused = _unused(engine, unsuited, ram, vram)
    rates = _rates(subject, engine, fresh=recalibrate)
    known: dict[str, Any] = {
        "disk_bytes_per_s": disk_rate,
        "ram_bytes_per_s": ram_rate,
        "pcie_bytes_per_s": pcie_rate or (card and card.link_bytes_per_s),
        "vram_bytes_per_s": vram_rate or (card and card.bytes_per_s),
    }
    machine = rates.machine().with_threads(engine.threads or rates.threads)
    machine = replace(machine, **{name: rate for name, rate in known.items() if rate})
    planned, on_card = _plans(subject, engine, machine.threads, ram, card)
    bytes_ = pass_bytes(planned).moved(on_card, Tier.VRAM, Tier.RAM)
    prediction = predict(
        machine,
        bytes_,
        prompt_tokens=min(prompt, planned.context_tokens),
        chunk_tokens=engine.prefill_chunk_tokens or MAX_COLUMNS,
        has_card=card is not None,
    )
    if as_json:
        click.echo(json.dumps(_document(subject, machine, rates, planned, prediction, card, on_card, unused), indent=2))
    else:
        _show(subject, rates, planned, prediction, card, on_card, unused)


def _card(
    engine: EngineConfig, unsuited: str | None, ram: int | None, vram: int | None, vram_rate: int | None, pcie_rate: int | None
) -> _Card | None:
    """The one that the engine would use. Raises UnsupportedArtefact where it has to use one that does not compute the model."""
    if unsuited is not None:
        if engine.device == "cuda":
            raise UnsupportedArtefact(f"engine.device is cuda, and a card does not compute {unsuited}: set it to auto")
        return None
    card = _Card.here(engine) if vram is None and ram is None else None
    return _Card.said(vram, vram_rate, pcie_rate) if card is None and vram else card


def _unused(engine: EngineConfig, unsuited: str | None, ram: int | None, vram: int | None) -> str | None:
    """Why a card that is here, or was said, is none to this model."""
    is_there = bool(vram) or (vram is None and ram is None and engine.device != "cpu" and has_driver())
    return f"not used: it does not compute {unsuited}, so the model is the processor's" if unsuited and is_there else None


def _settings(engine: EngineConfig, ram: int | None, threads: int | None, ctx: int | None) -> EngineConfig:
    """As `serve` would have them, if it were started with these options on a machine that has as much."""
    given: dict[str, Any] = {"threads": threads, "context_tokens": ctx}
    if ram is not None:
        given["ram_mb"] = max(1, ram >> 20)
    return msgspec.structs.replace(engine, **{name: value for name, value in given.items() if value is not None})


def _subject(model: str | None, params: str | None, quant: str) -> _Subject:
    if (model is None) == (params is None):
        raise InvalidRequest("name a model, or describe one with --params: one of the two", param="model")
    if params is not None:
        found = dimensions(params)
        made = header_of(found, quant)
        return _Subject(name=f"{found.name} {quant}", metadata=made.metadata, tensors=made.tensors, is_guess=found.is_guess)
    assert model is not None
    path = model_path(model)
    header = read_path(path)
    file = path if path.is_file() else path / header.files[0]
    return _Subject(name=path.name, metadata=header.metadata, tensors=header.tensors, file=file)


def _rates(subject: _Subject, engine: EngineConfig, *, fresh: bool) -> "Rates":
    """This machine's, measured with as many threads as it can have of those asked for."""
    from freehold.engine.machine import calibrate  # noqa: PLC0415  # with it comes the compiler of kernels

    cores = usable_cores()
    place = subject.file or configuration.home() / "models"
    kernels = None if engine.kernels == "auto" else engine.kernels
    with Console(stderr=True).status("measuring this machine"):
        return calibrate(types_of(subject.tensors), place, min(engine.threads or cores, cores), kernels=kernels, fresh=fresh)


def _plan(subject: _Subject, engine: EngineConfig, threads: int, ram: int | None, vram: int) -> Plan:
    """What the engine would do. Raises DeviceError, with the numbers, where the model would not run."""
    found = room() if ram is None else Room(available_bytes=ram, limit_bytes=ram, bound_by="--ram")
    found = replace(found, available_bytes=found.available_bytes + vram)
    if engine.ram_mb:  # what lies on the card needs no memory
        engine = msgspec.structs.replace(engine, ram_mb=engine.ram_mb + (vram >> 20))
    shape = shape_of(subject.metadata, subject.tensors)
    return plan(shape, subject.tensors, engine, threads, found, engine_bytes(shape.vocabulary))


def _plans(subject: _Subject, engine: EngineConfig, threads: int, ram: int | None, card: _Card | None) -> tuple[Plan, int]:
    """(what the engine would do, what the card has for weights beside keys, values and activations)."""
    if card is None:
        return _plan(subject, engine, threads, ram, 0), 0
    pages = _plan(subject, engine, threads, ram, card.usable_bytes).pages
    on_card = max(0, card.usable_bytes - fixed_bytes(shape_of(subject.metadata, subject.tensors), pages))
    return _plan(subject, engine, threads, ram, on_card), on_card


def _show(
    subject: _Subject,
    rates: "Rates",
    planned: Plan,
    prediction: Prediction,
    card: _Card | None,
    on_card_bytes: int,
    unused: str | None,
) -> None:
    table = Table("fact", "value", box=None, pad_edge=False, show_header=False)
    guess = "; a shape scaled from its size: a real one may differ by a tenth" if subject.is_guess else ""
    table.add_row("model", f"{subject.name}, {subject.parameters / 1e9:.3g}B parameters{guess}")
    table.add_row("machine", _machine_words(rates))
    table.add_row("memory", _memory_words(planned, prediction.bytes.of(Tier.VRAM), on_card_bytes))
    if card is not None:
        words = f"{size(card.usable_bytes)} may be used: {size(prediction.bytes.of(Tier.VRAM))} for weights"
        beside = size(card.usable_bytes - on_card_bytes)
        table.add_row("card", f"{words}, {beside} for keys, values and each pass" if on_card_bytes else _too_small(card))
        if card.assumed:
            table.add_row("assumed", "; ".join(card.assumed))
    if unused is not None:
        table.add_row("card", unused)
    for what, how in facts(prediction):
        table.add_row(what, how)
    print_table(table)


def _machine_words(rates: "Rates") -> str:
    found = [f"{rates.threads} threads"]
    for what, rate in (("memory", rates.ram_bytes_per_s), ("disk", rates.disk_bytes_per_s)):
        if rate:
            found.append(f"{what} {size(rate)}/s")
    if rates.check_bytes_per_s:
        found.append(f"checks {size(rates.check_bytes_per_s)}/s a core")
    return f"{', '.join(found)}; measured {rates.measured_at} UTC"


def _too_small(card: _Card) -> str:
    return f"{size(card.usable_bytes)} do not hold even keys, values and each pass: the model is the processor's"


def _memory_words(planned: Plan, vram_bytes: int, on_card_bytes: int) -> str:
    """The host's: what lies on the card, `vram_bytes` of `on_card_bytes` that could, is said beside it."""
    usable = planned.usable_bytes - on_card_bytes
    weights = max(0, planned.placement.memory_bytes - vram_bytes)
    parts = (("weights", weights), (f"{planned.context_tokens} tokens of context", planned.kv_bytes))
    words = ", ".join(f"{size(size_bytes)} for {what}" for what, size_bytes in parts)
    return f"{size(max(0, usable))} may be used: {words}"


def _document(
    subject: _Subject,
    machine: Machine,
    rates: "Rates",
    planned: Plan,
    prediction: Prediction,
    card: _Card | None,
    on_card_bytes: int,
    unused: str | None,
) -> dict[str, Any]:
    told = asdict(prediction)
    del told["bytes"]
    return {
        "model": subject.name,
        "parameters": subject.parameters,
        "is_guess": subject.is_guess,
        "fits": prediction.fits,
        "bytes": {tier.name.lower(): prediction.bytes.of(tier) for tier in Tier},
        "memory": {
            "usable_bytes": planned.usable_bytes - on_card_bytes,
            "weights_bytes": max(0, planned.placement.memory_bytes - prediction.bytes.of(Tier.VRAM)),
            "kv_bytes": planned.kv_bytes,
            "activation_bytes": planned.activation_bytes,
            "context_tokens": planned.context_tokens,
        },
        "card": None if card is None else asdict(card),
        "card_unused": unused,
        "machine": asdict(machine) | {"measured_at": rates.measured_at},
        "prediction": told | {"tokens_per_s": prediction.tokens_per_s},
    }
