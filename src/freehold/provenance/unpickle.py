"""PyTorch's weights to safetensors: a pickle is read by a process of its own that can do nothing else.

    this process            the child (`unpickle_child`)
    opens both files  ---   gives up files, network, programs
    reads its words   <--   walks the pickle, copies bytes
    scans and renames       ends

What the child says is data as well: it is parsed within limits, and its output is scanned before it gets its name. Nothing is
imported, made or called that the pickle names, in either process.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import freehold
from freehold.core.errors import (
    ArtefactError,
    DangerousArtefact,
    DeviceError,
    FreeholdError,
    InternalError,
    MalformedArtefact,
    UnsupportedArtefact,
    os_errors,
)
from freehold.provenance.download import disk_error
from freehold.provenance.files import sync_directory, write_durably
from freehold.provenance.progress import Progress
from freehold.provenance.scan.gate import refuse_unsafe

SUFFIXES: Final = (".bin", ".pt", ".pth", ".ckpt")
INDEX_SUFFIX: Final = ".bin.index.json"
SAFETENSORS_INDEX: Final = "model.safetensors.index.json"
COMPANIONS: Final = (".json", ".jinja", ".md", ".txt", ".model")  # what lies beside weights, and is copied
COMPANION_LIMIT_BYTES: Final = 64 << 20
LINE_LIMIT_BYTES: Final = 64 << 20  # of the child: 200,000 names
INDEX_LIMIT_BYTES: Final = 64 << 20
_ERRORS: Final = {
    error.__name__: error for error in (MalformedArtefact, UnsupportedArtefact, DangerousArtefact, DeviceError, InternalError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpickled:
    """What became of one file. `shared` names had bytes in common, which are now written for each of them."""

    tensors: tuple[str, ...]
    left_out: tuple[str, ...]
    shared: tuple[str, ...]
    layers: tuple[str, ...]  # of the child's confinement


def pickles_of(source: Path) -> list[str]:
    """Names of the pickles at a path: the file itself, or those of a folder that hold its weights. Empty where there are none."""
    if source.is_file():
        return [source.name] if source.suffix in SUFFIXES else []
    names = [path.name for path in _files(source)]
    if any(name.endswith((".safetensors", ".gguf")) for name in names):
        return []
    indices = [name for name in names if name.endswith(INDEX_SUFFIX)]
    if indices:
        return sorted(set(_weight_map(source / indices[0]).values()))
    found = [name for name in names if name.endswith(SUFFIXES) and name.startswith("pytorch_model")]
    return found or [name for name in names if name.endswith(SUFFIXES)]


def _files(folder: Path) -> list[Path]:
    with os_errors(f"cannot read {folder}"):
        return sorted(path for path in folder.iterdir() if path.is_file())


def inputs_of(source: Path) -> list[str]:
    """All files that `unpickle` takes something from."""
    if source.is_file():
        return [source.name]
    beside = [path.name for path in _files(source) if path.name.endswith(INDEX_SUFFIX) or _is_companion(path)]
    return sorted({*pickles_of(source), *beside})


def unpickle(source: Path, out: Path, progress: Progress, *, key: str | None = None) -> list[Unpickled]:
    """Write the weights at `source` to `out`: a file for a file, a folder for a folder, with what a model needs beside them.

    `key` names the table of tensors where a file has several. Raises DangerousArtefact, MalformedArtefact or UnsupportedArtefact
    naming the file and what stands in the way, DeviceError; then nothing is left at `out` that was not there before.
    """
    names = pickles_of(source)
    if not names:
        raise UnsupportedArtefact(f"{source} has no {' or '.join(SUFFIXES)} file with PyTorch's weights")
    directory = source.parent if source.is_file() else source
    refuse_unsafe(directory, names, progress)
    if source.is_file():
        return [_one(source, out, progress, key)]
    made: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _folder(source, names, out, progress, key, made)
    except BaseException as exc:
        for path in made:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            out.rmdir()
        if isinstance(exc, OSError):
            raise disk_error(out, exc) from exc
        raise


def _folder(source: Path, names: list[str], out: Path, progress: Progress, key: str | None, made: list[Path]) -> list[Unpickled]:
    count = len(names)
    results: list[Unpickled] = []
    places: dict[str, str] = {}
    total_bytes = 0
    for number, name in enumerate(names, 1):
        target = "model.safetensors" if count == 1 else f"model-{number:05}-of-{count:05}.safetensors"
        made.append(out / target)
        results.append(_one(source / name, out / target, progress, key))
        total_bytes += (out / target).stat().st_size
        for tensor in results[-1].tensors:
            if places.setdefault(tensor, target) != target:
                raise MalformedArtefact(f"{name}: tensor {tensor!r:.80} is in another file as well")
    _check_index(source, set(places))
    if count > 1:
        index = {"metadata": {"total_size": total_bytes}, "weight_map": dict(sorted(places.items()))}
        made.append(out / SAFETENSORS_INDEX)
        write_durably(out / SAFETENSORS_INDEX, json.dumps(index, indent=2).encode() + b"\n")
    companions = [path for path in _files(source) if _is_companion(path)]
    refuse_unsafe(source, [path.name for path in companions], progress)
    for path in companions:
        made.append(out / path.name)
        shutil.copyfile(path, out / path.name)
    return results


def _is_companion(path: Path) -> bool:
    is_own = path.name.endswith((INDEX_SUFFIX, ".provenance.json")) or path.name == SAFETENSORS_INDEX
    return path.suffix in COMPANIONS and not is_own and path.stat().st_size <= COMPANION_LIMIT_BYTES


def _check_index(source: Path, found: set[str]) -> None:
    """Every tensor that the index names has come out."""
    for path in source.glob(f"*{INDEX_SUFFIX}"):
        if missing := sorted(set(_weight_map(path)) - found):
            raise MalformedArtefact(f"{path.name} names {missing[0]!r:.80}, which is in none of its files")


def _weight_map(path: Path) -> Mapping[str, str]:
    try:
        with path.open("rb") as file:
            raw = file.read(INDEX_LIMIT_BYTES + 1)
        document = json.loads(raw) if len(raw) <= INDEX_LIMIT_BYTES else None
    except (ValueError, RecursionError) as exc:
        raise MalformedArtefact(f"{path.name} is not JSON") from exc
    places = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise MalformedArtefact(f"{path.name} has no weight_map of names to files")
    for name in set(places.values()):
        if "/" in name or not name.endswith(SUFFIXES):
            raise MalformedArtefact(f"{path.name} names {name!r:.80}, which is no file of weights beside it")
        if not (path.parent / name).is_file():
            raise MalformedArtefact(f"{path.name} names {name!r:.80}, which is not there: fetch the model again")
    return places


def _one(source: Path, out: Path, progress: Progress, key: str | None) -> Unpickled:
    """One file, under its name only once it is whole and its scan clean."""
    progress.step(f"unpickling {source.name}", source.stat().st_size)
    part = out.with_name(f"{out.name}.part")
    try:
        with source.open("rb") as readable, part.open("wb") as writable:
            result = _in_child(readable.fileno(), writable.fileno(), source, progress, key)
            os.fsync(writable.fileno())
        refuse_unsafe(part.parent, [part.name], progress)
        part.replace(out)
        sync_directory(out.parent)
    except OSError as exc:
        raise disk_error(out, exc) from exc
    finally:
        part.unlink(missing_ok=True)
    return result


def _in_child(source_number: int, out_number: int, source: Path, progress: Progress, key: str | None) -> Unpickled:
    command = [sys.executable, "-P", "-s", "-m", "freehold.provenance.unpickle_child", str(source_number), str(out_number)]
    # One thread for NumPy's libraries: others would be started before the door closes.
    environment = {"PYTHONPATH": str(Path(freehold.__file__).parent.parent), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command + ([] if key is None else [key]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(source_number, out_number),
        env=environment,
        cwd="/",
    )
    facts: dict[str, Any] = {}
    with child:
        try:
            for said in _words(child, source):
                if "done" in said:
                    progress.advance(int(said["done"]))
                facts |= said
        except BaseException:
            child.kill()
            raise
    if "refused" in facts:
        raise _refused(facts, source)
    if child.returncode or "tensors" not in facts:
        raise MalformedArtefact(
            f"{source} is refused: reading it took more memory or time than weights need (its process ended with status "
            f"{child.returncode})"
        )
    fields = ("tensors", "left_out", "shared", "layers")
    return Unpickled(**{name: tuple(str(value) for value in facts.get(name, ())) for name in fields})


def _words(child: "subprocess.Popen[bytes]", source: Path) -> Iterator[dict[str, Any]]:
    assert child.stdout is not None
    while line := child.stdout.readline(LINE_LIMIT_BYTES):
        try:
            said = json.loads(line)
        except ValueError as exc:
            raise InternalError(f"{source}: the process that reads it said nonsense") from exc
        if isinstance(said, dict):
            yield said


def _refused(facts: Mapping[str, Any], source: Path) -> FreeholdError:
    kind = _ERRORS.get(str(facts["refused"]), ArtefactError)
    return kind(f"{source} is refused: {facts.get('message')}. Look closer with: freehold scan '{source}'")
