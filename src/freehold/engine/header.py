"""What a model's files say of it, in whichever of the formats we read it is: one GGUF, the parts of one, or safetensors."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freehold.core.errors import DeviceError, UnsupportedArtefact, os_errors
from freehold.engine.gguf import FilePrefix, Prefix, TensorInfo
from freehold.engine.huggingface import is_directory, needed, read_directory
from freehold.engine.split import order_parts, part_names, read_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHeader:
    """A tensor's `part` is its file's place in `files`. Metadata has GGUF's keys, whatever the format."""

    format: str  # "GGUF 3", "safetensors"
    metadata: Mapping[str, Any] = field(repr=False)
    tensors: Mapping[str, TensorInfo] = field(repr=False)
    files: tuple[str, ...]  # that hold weights
    file_bytes: int  # of `files` together

    @property
    def must_be_converted(self) -> bool:
        """Some tensors lie apart that are computed with as one: experts, as Hugging Face keeps them."""
        return any(info.apart for info in self.tensors.values())


def read_model(names: Collection[str], open_file: Callable[[str], Prefix], name: str) -> ModelHeader:
    """`names` are a model's files, `open_file` opens one of them. Raises MalformedArtefact or UnsupportedArtefact."""
    if any(file.endswith(".gguf") for file in names):
        files = order_parts(names)
        header = read_parts([(open_file(file), file) for file in files])
        return ModelHeader(
            format=f"GGUF {header.version}",
            metadata=header.metadata,
            tensors=header.tensors,
            files=tuple(files),
            file_bytes=header.file_bytes,
        )
    if is_directory(names):
        found = read_directory(names, open_file, name)
        return ModelHeader(
            format="safetensors", metadata=found.metadata, tensors=found.tensors, files=found.files, file_bytes=found.file_bytes
        )
    raise UnsupportedArtefact(f"{name} has neither a .gguf file nor config.json with .safetensors files: no model we read")


def files_at(path: Path) -> tuple[Path, list[str]]:
    """(directory, names) of the model at a path: a GGUF file with its other parts, or the files of a directory."""
    with os_errors(f"cannot read {path}"):
        if path.is_dir():
            names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
            whole = [name for name in names if name.endswith(".gguf")]
            return path, whole or needed(names)
        if not path.exists():
            raise DeviceError(f"there is no {path}")
    names = part_names(path.name)
    if absent := [name for name in names if not (path.parent / name).is_file()]:
        raise DeviceError(f"{absent[0]} is not beside {path.name}: all {len(names)} parts are needed in one folder")
    return path.parent, names


def read_path(path: Path) -> ModelHeader:
    """The header of a model on disk that nobody signed yet."""
    directory, names = files_at(path)
    return read_model(names, lambda name: FilePrefix(directory / name), path.name)
