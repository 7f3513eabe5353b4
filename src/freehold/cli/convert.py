"""`freehold models convert`: unquantised weights to a smaller GGUF file, pickles of weights to safetensors.

Decided here: the order of a conversion. The source is scanned and hashed, read, and known not to have changed meanwhile; what
comes of it is scanned and hashed, and a signed statement beside it says of what and how it was made.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from freehold import config as configuration
from freehold.cli.model_paths import refuse_unsupported, tell_added
from freehold.cli.terminal import PullProgress
from freehold.core.errors import DeviceError, InvalidRequest, UnsupportedArtefact, os_errors
from freehold.core.models import Manifest, VerifiedModel
from freehold.engine.convert import QUANTS, Conversion, plan_conversion
from freehold.engine.header import files_at
from freehold.engine.inspect import inspect
from freehold.provenance import local
from freehold.provenance.keys import key_directory, node_key
from freehold.provenance.local import Bringing, name_for
from freehold.provenance.model_folder import model_directory
from freehold.provenance.pull import SPARE_BYTES
from freehold.provenance.scan.gate import refuse_unsafe
from freehold.provenance.slsa import Run, attest, attestation_path, model_files, write_attestation
from freehold.provenance.source_files import SourceFiles
from freehold.provenance.unpickle import Unpickled, inputs_of, pickles_of, unpickle


@click.command("convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["gguf", "safetensors"]), default="gguf", show_default=True, help="The format to write.")
@click.option("--quant", type=click.Choice(list(QUANTS)), default="Q4_K_M", show_default=True, help="What weights become.")
@click.option("--key", help="Of a checkpoint with several tables of tensors, the one that holds the weights.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write. Default: beside the node's other models.")
@click.option("--name", help="What to call it. Default: the source's name and the quantisation.")
@click.option("--replace", is_flag=True, help="Write over a file or a model of that name.")
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def convert(
    source: Path,
    to: str,
    quant: str,
    key: str | None,
    out: Path | None,
    name: str | None,
    replace: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make a smaller GGUF file of unquantised weights, and add it under a name.

    SOURCE is a folder of safetensors or of PyTorch's pickles, or a GGUF file, in F32, F16 or BF16. Q8_0 is half as large as F16
    and as good; Q6_K two fifths; Q4_K_M less than a third, for a small loss. Other programs that read GGUF run the result, too.

    With --to safetensors, SOURCE is a pickle of weights (.bin, .pt, .pth, .ckpt) or a folder of them, and safetensors come of it.
    A pickle is read by a process that can do nothing else, and never unpickled.

    A signed statement of what it was made of lies beside the result: see `freehold bom`.
    """
    wanted = _Wanted(source=source, quant=quant, key=key, out=out, name=name, replace=replace)
    with PullProgress(quiet=quiet or as_json) as progress:
        if to == "safetensors":
            _tell_unpickled(*_to_safetensors(wanted, progress), quiet=quiet, as_json=as_json)
        else:
            tell_added(_to_gguf(wanted, progress), quiet=quiet, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    source: Path
    quant: str
    key: str | None
    out: Path | None
    name: str | None
    replace: bool


def _to_gguf(wanted: _Wanted, progress: PullProgress) -> VerifiedModel:
    source, home = wanted.source, configuration.home()
    name = wanted.name or name_for(Path(f"{name_for(source.resolve())}-{wanted.quant}"))
    local.check_model_name(name)
    path = wanted.out or model_directory(home, name) / f"{name}.gguf"
    if path.suffix != ".gguf":
        raise InvalidRequest(f"{path.name} must end in .gguf: that is what it will be", param="out")
    _refuse_present(path, wanted)
    started_at = datetime.now(UTC)
    is_pickle = source.exists() and bool(pickles_of(source))
    if is_pickle and source.is_file():
        raise UnsupportedArtefact(
            f"{source.name} has weights alone, and a model in GGUF needs config.json and tokenizer.json: give the folder that "
            "has them all, or say --to safetensors"
        )
    directory, names = (source, inputs_of(source)) if is_pickle else files_at(source)
    files = SourceFiles(directory, names)
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_empty, path.parent)
        _make_folder(path.parent)
        weights = _unpickled_beside(wanted, path, stack, progress) if is_pickle else source
        conversion = plan_conversion(weights, wanted.quant)
        facts = inspect(weights)
        refuse_unsupported(weights, facts)
        refuse_unsafe(*(files_at(weights) if is_pickle else (directory, names)), progress)
        _check_room(path, conversion)
        made_of = files.hash(source.resolve().name, progress)
        progress.step(f"converting to {wanted.quant}", sum(tensor.size_bytes for tensor in conversion.tensors))
        conversion.write(path, lambda done_bytes, _: progress.advance(done_bytes))
        files.refuse_changed()
        origin = f"converted to {wanted.quant} from {source.resolve()}"
        bringing = Bringing(directory=path.parent, names=[path.name], name=name, origin=origin, licence=facts.licence)
        model = local.add(bringing, home, progress, overwrite=wanted.replace)
        steps = ["unpickle", "quantise"] if is_pickle else ["quantise"]
        asked = {"source": made_of.name, "to": "gguf", "quant": wanted.quant}
        _attest(path, model.manifest, made_of, asked | _key(wanted), steps, started_at)
    return model


def _unpickled_beside(wanted: _Wanted, path: Path, stack: contextlib.ExitStack, progress: PullProgress) -> Path:
    """Safetensors for as long as the conversion takes, on the disk that its result is on."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", dir=path.parent))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    weights = folder / wanted.source.resolve().name
    for result in unpickle(wanted.source, weights, progress, key=wanted.key):
        _note(result, progress)
    return weights


def _to_safetensors(wanted: _Wanted, progress: PullProgress) -> tuple[Path, Manifest]:
    source = wanted.source
    if not source.exists():
        raise DeviceError(f"there is no file or folder {source}")
    if not pickles_of(source):
        raise UnsupportedArtefact(
            f"{source.name} is no pickle of PyTorch's weights, and no folder that has its weights in such and nothing else: only "
            "those become safetensors"
        )
    is_file = source.is_file()
    out = wanted.out or (source.with_suffix(".safetensors") if is_file else source.with_name(f"{source.name}-safetensors"))
    if is_file and out.suffix != ".safetensors":
        raise InvalidRequest(f"{out.name} must end in .safetensors: that is what it will be", param="out")
    _refuse_present(out, wanted)
    started_at = datetime.now(UTC)
    files = SourceFiles(source.parent if is_file else source, inputs_of(source))
    made_of = files.hash(source.resolve().name, progress)
    _make_folder(out.parent)
    for result in unpickle(source, out, progress, key=wanted.key):
        _note(result, progress)
    files.refuse_changed()
    directory, names = (out.parent, [out.name]) if is_file else (out, model_files(out))
    made = SourceFiles(directory, names).hash(wanted.name or name_for(out.resolve()), progress)
    asked = {"source": made_of.name, "to": "safetensors"}
    _attest(out, made, made_of, asked | _key(wanted), ["unpickle"], started_at)
    return out, made


def _key(wanted: _Wanted) -> dict[str, str]:
    return {} if wanted.key is None else {"key": wanted.key}


def _attest(
    output: Path, made: Manifest, made_of: Manifest, asked: Mapping[str, str], steps: list[str], started_at: datetime
) -> None:
    run = Run(asked=asked, steps={"steps": steps}, started_at=started_at, finished_at=datetime.now(UTC))
    key = node_key(key_directory(configuration.home()))
    write_attestation(attestation_path(output), attest(made, made_of, run, key))


def _note(result: Unpickled, progress: PullProgress) -> None:
    if result.left_out:
        progress.note(f"left out, as they are no tensors: {_some(result.left_out)}")
    if result.shared:
        progress.note(f"these shared bytes, and have their own now: {_some(result.shared)}")


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _tell_unpickled(out: Path, made: Manifest, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        said = {"path": str(out), "model_id": made.model_id, "files": [file.name for file in made.files]}
        click.echo(json.dumps(said | {"attestation": str(attestation_path(out))}))
    elif not quiet:
        click.echo(str(out))


def _refuse_present(path: Path, wanted: _Wanted) -> None:
    if path.exists() and not wanted.replace:
        raise InvalidRequest(f"{path} is there already: say --replace to write over it", param="out")


def _make_folder(folder: Path) -> None:
    with os_errors(f"cannot write into {folder}"):
        folder.mkdir(parents=True, exist_ok=True)


def _remove_empty(folder: Path) -> None:
    """Where nothing came of it, no empty folder stays."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _check_room(path: Path, conversion: Conversion) -> None:
    """Before hours of work: whether the result has a place."""
    free_bytes = shutil.disk_usage(path.parent).free
    if free_bytes < conversion.size_bytes + SPARE_BYTES:
        raise DeviceError(
            f"{path.name} will have {conversion.size_bytes / 1e6:.0f} MB, {free_bytes / 1e6:.0f} MB are free in {path.parent}; "
            "free some, or say --out on a larger disk"
        )
