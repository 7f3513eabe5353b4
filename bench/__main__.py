"""`python -m bench`: runs the parts by name, prints a table, and writes one JSON object a figure to `bench/out/latest.jsonl`.

A part that fails, or cannot be loaded, is said and makes the exit code 1; the others go on.
"""

import importlib
import importlib.metadata
import os
import platform
import sys
import time
import traceback
from pathlib import Path

import click
from rich.console import Console

from bench.report import Report, open_report, table
from freehold import __version__
from freehold.cli.machine import cpu_model
from freehold.engine.cores import usable_cores
from freehold.engine.memory import room

# Name -> the module whose `run(report, models_dir)` measures it. In this order, slowest last. What stands behind a dot, as in
# "streaming.limits", is a key of the module's own `SUBPARTS`.
PARTS: dict[str, str] = {
    "guard": "bench.guard",
    "calls": "bench.calls",
    "injection": "bench.injection",
    "weaknesses": "bench.weaknesses",
    "provenance": "bench.provenance",
    "receipts": "bench.receipts",
    "audit": "bench.audit",
    "signing": "bench.signing",
    "scan": "bench.scan",
    "dispatch": "bench.dispatch",
    "tokenizer": "bench.tokenizer",
    "watermark": "bench.watermark",
    "metering": "bench.metering",
    "gateway": "bench.gateway",
    "hostile": "bench.hostile",
    "families": "bench.families",
    "conversion": "bench.conversion",
    "kernels": "bench.kernels",
    "engine": "bench.engine",
    "batching": "bench.batching",
    "streaming": "bench.streaming",
}
PEERS = ("numpy", "llvmlite", "hyperscan", "google-re2", "tokenizers", "uvicorn", "aiohttp", "blake3", "xllamacpp")
WIDTH = 130  # in a file: wide enough to keep a figure on one line
OUT = Path(__file__).parent / "out" / "latest.jsonl"


def models_dir() -> Path:
    """Where `make models` keeps the models of the benches."""
    return Path(os.environ.get("FREEHOLD_BENCH_MODELS") or "~/.cache/freehold/models").expanduser()


def machine_facts() -> str:
    system = f"{platform.system()} {platform.release()}"
    versions = " · ".join(f"{name} {version}" for name in PEERS if (version := _version(name)))
    return (
        f"{cpu_model()} · {usable_cores()} cores · {room().limit_bytes / 2**30:.1f} GiB · {system}\n"
        f"Python {platform.python_version()} · freehold {__version__} · {versions}"
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def run_part(name: str, report: Report, console: Console) -> bool:
    """Whether it ran to its end."""
    console.rule(name, align="left")
    began_s = time.monotonic()
    try:
        part, _, sub = name.partition(".")
        module = importlib.import_module(PARTS[part])
        (module.SUBPARTS[sub] if sub else module.run)(report, models_dir())
    except ModuleNotFoundError as exc:
        console.print(
            f"{name}: needs {exc.name}, which is not installed; `make bench` installs what the benches need", style="red"
        )
        return False
    except Exception:
        console.print(f"{name} failed:", style="red")
        console.print(traceback.format_exc(), markup=False, highlight=False)
        return False
    console.print(f"{name} took {time.monotonic() - began_s:.0f} s", style="dim")
    return True


def chosen(only: str) -> list[str]:
    names = [name.strip() for name in only.split(",") if name.strip()] or list(PARTS)
    if unknown := [name for name in names if name.partition(".")[0] not in PARTS]:
        raise click.BadParameter(f"there is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}", param_hint="--only")
    return names


@click.command()
@click.option("--only", default="", metavar="PART,PART", help=f"Parts to run, of: {', '.join(PARTS)}. Default: all.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=OUT, show_default="bench/out/latest.jsonl")
def main(only: str, out: Path) -> None:
    """Measure, and write down what was measured."""
    names, console = chosen(only), Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(machine_facts(), highlight=False)
    with open_report(out) as file:
        report = Report(file)
        failed = [name for name in names if not run_part(name, report, console)]
    console.print(table(report.figures))
    console.print(f"{len(report.figures)} figures in {out}", highlight=False)
    if failed:
        console.print(f"failed: {', '.join(failed)}", style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
