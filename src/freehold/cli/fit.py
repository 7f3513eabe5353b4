"""`freehold fit`: how fast a model will be, before it is loaded, before it is downloaded, or on a machine that is not this one.

Decided here: what the machine is unless it is said, and how the answer reads. The working out is `engine/fit.py`, the measuring
`engine/machine.py`.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from freehold import config as configuration
from freehold.cli.sizes import size_of
from freehold.cli.terminal import print_table
from freehold.core.errors import DeviceError, InvalidRequest
from freehold.engine.budget import DEFAULT_CONTEXT_TOKENS
from freehold.engine.config import EngineConfig
from freehold.engine.cores import usable_cores
from freehold.engine.fit import Given, Machine, Misfit, Need, PassBytes, Prediction, Tier, facts, place, predict, size
from freehold.engine.kernels.records import MAX_COLUMNS
from freehold.engine.machine import Rates, calibrate
from freehold.engine.memory import Room, room
from freehold.engine.needs import need_of_dimensions, need_of_header, types_of
from freehold.engine.shapes import QUANTISATIONS, dimensions
from freehold.engine.split import read_file
from freehold.provenance import catalogue
from freehold.provenance.pull import open_model


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is asked about."""

    name: str
    parameters: int
    need: Need
    kv_positions: int
    file: Path | None = None
    is_guess: bool = False


@click.command()
@click.argument("model", required=False)
@click.option("--params", help="A size instead of a file: 70B, 8B, qwen2.5-7b.")
@click.option(
    "--quant", default="Q4_K_M", show_default=True, help=f"Its quantisation, with --params: {', '.join(QUANTISATIONS)}."
)
@click.option("--ram", callback=size_of, metavar="SIZE", help="Memory to use, as 32G or 600M. Default: what is free here.")
@click.option("--vram", callback=size_of, metavar="SIZE", help="Memory of the card that weights may use. Default: none.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Compute threads. Default: the cores of this machine.")
@click.option("--ctx", type=click.IntRange(min=1), help="Tokens of context to set memory aside for. Default: as configured.")
@click.option("--prompt", type=click.IntRange(1, 1 << 20), default=512, show_default=True, help="Tokens of the prompt.")
@click.option("--disk-rate", callback=size_of, metavar="SIZE", help="What the disk reads a second. Default: measured here.")
@click.option("--ram-rate", callback=size_of, metavar="SIZE", help="What memory gives a second. Default: measured here.")
@click.option("--pcie", "pcie_rate", callback=size_of, metavar="SIZE", help="What the link to the card carries a second.")
@click.option("--vram-rate", callback=size_of, metavar="SIZE", help="What the card's memory gives a second.")
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

    MODEL is the name of a pulled model or the path of a GGUF file, of which only the header is read. Without any file, --params
    and --quant describe one: freehold fit --params 70B --quant Q4_K_M --ram 64G
    """
    engine = configuration.load(config_path).engine
    subject = _subject(model, params, quant, ctx, engine)
    rates = _rates(subject, threads, engine, fresh=recalibrate)
    machine = rates.machine().with_threads(threads or engine.threads or rates.threads)
    known: dict[str, Any] = {
        "disk_bytes_per_s": disk_rate,
        "ram_bytes_per_s": ram_rate,
        "pcie_bytes_per_s": pcie_rate,
        "vram_bytes_per_s": vram_rate,
    }
    machine = replace(machine, **{name: rate for name, rate in known.items() if rate})
    memory = Room(available_bytes=ram, limit_bytes=ram, bound_by="--ram") if ram is not None else room()
    given = Given(ram_bytes=max(0, memory.usable_bytes), vram_bytes=vram or 0, kv_positions=subject.kv_positions)
    placed = place(subject.need, given)
    prediction = None
    if isinstance(placed, PassBytes):
        chunk_tokens = engine.prefill_chunk_tokens or MAX_COLUMNS
        has_card = bool(vram or vram_rate)
        prediction = predict(machine, placed, prompt_tokens=prompt, chunk_tokens=chunk_tokens, has_card=has_card)
    if as_json:
        click.echo(json.dumps(_document(subject, machine, rates, given, placed, prediction), indent=2))
    elif prediction is not None:
        _show(subject, rates, memory, prediction)
    if isinstance(placed, Misfit):
        raise DeviceError(f"{subject.name} does not fit: {placed.reason}")


def _subject(model: str | None, params: str | None, quant: str, ctx: int | None, engine: EngineConfig) -> _Subject:
    if (model is None) == (params is None):
        raise InvalidRequest("name a model, or describe one with --params: one of the two", param="model")
    if params is not None:
        found = dimensions(params)
        need = need_of_dimensions(found, quant)
        return _Subject(
            name=f"{found.name} {quant}",
            parameters=found.parameters,
            need=need,
            kv_positions=ctx or _positions(need, engine),
            is_guess=found.is_guess,
        )
    assert model is not None
    path = _path(model)
    header = read_file(path)
    need = need_of_header(header)
    sizes = [(info.size_bytes, info.type) for info in header.tensors.values()]
    return _Subject(
        name=path.name,
        parameters=sum(size_bytes // type_.block_bytes * type_.block_elements for size_bytes, type_ in sizes),
        need=need,
        kv_positions=ctx or _positions(need, engine),
        file=path,
    )


def _path(model: str) -> Path:
    path = Path(model)
    if not path.exists() and any(model in (pin.name, *pin.aliases) for pin in catalogue.CATALOGUE):
        verified = open_model(configuration.home(), model)
        return verified.directory / verified.manifest.files[0].name
    return path


def _positions(need: Need, engine: EngineConfig) -> int:
    """That the engine would set memory aside for."""
    context = engine.context_tokens or DEFAULT_CONTEXT_TOKENS
    return min((engine.kv_memory_mb << 20) // need.kv_bytes_per_position, context * engine.max_sequences)


def _rates(subject: _Subject, threads: int | None, engine: EngineConfig, *, fresh: bool) -> Rates:
    """This machine's, measured with as many threads as it can have of those asked for."""
    cores = usable_cores()
    measured = min(threads or engine.threads or cores, cores)
    place = subject.file or configuration.home() / "models"
    kernels = None if engine.kernels == "auto" else engine.kernels
    with Console(stderr=True).status("measuring this machine"):
        return calibrate(types_of(subject.need), place, measured, kernels=kernels, fresh=fresh)


def _show(subject: _Subject, rates: Rates, memory: Room, prediction: Prediction) -> None:
    table = Table("fact", "value", box=None, pad_edge=False, show_header=False)
    guess = "; a shape scaled from its size: a real one may differ by a tenth" if subject.is_guess else ""
    table.add_row("model", f"{subject.name}, {subject.parameters / 1e9:.3g}B parameters{guess}")
    table.add_row("machine", _machine_words(rates))
    table.add_row(
        "memory", f"{size(max(0, memory.usable_bytes))} may be used, of {size(memory.limit_bytes)} by {memory.bound_by}"
    )
    for what, how in facts(prediction):
        table.add_row(what, how)
    print_table(table)


def _machine_words(rates: Rates) -> str:
    found = [f"{rates.threads} threads"]
    for what, rate in (("memory", rates.ram_bytes_per_s), ("disk", rates.disk_bytes_per_s)):
        if rate:
            found.append(f"{what} {size(rate)}/s")
    if rates.check_bytes_per_s:
        found.append(f"checks {size(rates.check_bytes_per_s)}/s a core")
    return f"{', '.join(found)}; measured {rates.measured_at} UTC"


def _document(
    subject: _Subject, machine: Machine, rates: Rates, given: Given, placed: PassBytes | Misfit, prediction: Prediction | None
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "model": subject.name,
        "parameters": subject.parameters,
        "is_guess": subject.is_guess,
        "fits": prediction is not None and prediction.fits,
        "runs": prediction is not None,
        "reason": placed.reason if isinstance(placed, Misfit) else None,
        "given": asdict(given),
        "machine": asdict(machine) | {"measured_at": rates.measured_at},
    }
    if isinstance(placed, PassBytes):
        document["bytes"] = {tier.name.lower(): placed.of(tier) for tier in Tier}
    if prediction is not None:
        told = asdict(prediction)
        del told["bytes"]
        document["prediction"] = told | {"tokens_per_s": prediction.tokens_per_s}
    return document
