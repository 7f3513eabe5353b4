"""A model that lies in several GGUF files, as `gguf-split` cuts it: one header of all of them.

Decided here: which files belong together. Each part is a GGUF file of its own, checked by `gguf`; the first holds the model's
metadata, and every part says which it is:

    model-00001-of-00003.gguf    split.no 0, split.count 3, split.tensors.count (of all parts) | metadata | its tensors
    model-00002-of-00003.gguf    split.no 1, split.count 3, split.tensors.count                            | its tensors
    ...
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.gguf import MAX_TENSORS, GgufHeader, Prefix, TensorInfo, read_header

MAX_PARTS: Final = 1000  # a 2 TB model in the usual parts of 48 GB has 42

# A number without leading zeros beyond the five places, so that a part has one name only.
_NAME: Final = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


def part_names(name: str) -> list[str]:
    """The names of all parts of the model that the file `name` is a part of, in order; `[name]` where it is no part."""
    found = _NAME.fullmatch(name)
    if found is None:
        return [name]
    stem, number, count = found["stem"], int(found["number"]), int(found["count"])
    if not 1 <= number <= count <= MAX_PARTS:
        raise UnsupportedArtefact(f"{name} is named part {number} of {count}; 1 to {MAX_PARTS} parts are possible")
    return [f"{stem}-{i:05}-of-{count:05}.gguf" for i in range(1, count + 1)]


def order_parts(names: Iterable[str]) -> list[str]:
    """The GGUF files of one model in order. Raises UnsupportedArtefact where they are not exactly one file, or one whole set."""
    names = sorted(name for name in names if name.endswith(".gguf"))
    if not names:
        raise UnsupportedArtefact("there is no .gguf file")
    expected = part_names(names[0])
    if missing := [name for name in expected if name not in names]:
        raise UnsupportedArtefact(f"{_listed(missing)} missing of {len(expected)} parts: all are needed")
    if extra := [name for name in names if name not in expected]:
        raise UnsupportedArtefact(f"{_listed(extra)} beside {expected[0]}; the engine runs one .gguf file or the parts of one")
    return expected


def read_parts(parts: Sequence[tuple[Prefix, str]]) -> GgufHeader:
    """One header of (file, name) in order: the first part's metadata, every part's tensors.

    `TensorInfo.part` says which file a tensor lies in; `file_bytes` are those of all files. Raises ArtefactError naming the part.
    """
    headers = []
    for prefix, name in parts:
        headers.append(read_header(prefix, name))
        _check_place(headers[-1], len(headers) - 1, [name for _, name in parts])
    return _joined(headers, [name for _, name in parts])


def _check_place(header: GgufHeader, index: int, names: list[str]) -> None:
    name, count = names[index], _number(header, "split.count", 1) or 1  # parts that were merged again are 0
    if count != len(names):
        if len(names) == 1:
            raise UnsupportedArtefact(
                f"{name} holds one of {count} parts: keep all parts in one folder as NAME-00001-of-{count:05}.gguf, ..."
            )
        raise MalformedArtefact(f"{name} says it is one of {count} parts, its name says {len(names)}: fetch it again")
    if (number := _number(header, "split.no", 0)) != index:
        raise MalformedArtefact(f"{name} holds part {number + 1}, not part {index + 1}: the parts are mixed up, fetch it again")


def _joined(headers: list[GgufHeader], names: list[str]) -> GgufHeader:
    tensors: dict[str, TensorInfo] = {}
    for part, header in enumerate(headers):
        for name, info in header.tensors.items():
            if name in tensors:
                raise MalformedArtefact(
                    f"{names[part]}: tensor {name!a} is in {names[tensors[name].part]}, too: they are not parts of one model"
                )
            tensors[name] = replace(info, part=part)
    if len(tensors) > MAX_TENSORS:
        raise MalformedArtefact(f"{names[0]}: {len(tensors)} tensors in all parts; the limit is {MAX_TENSORS}")
    for name, header in zip(names, headers, strict=True):
        if (said := _number(header, "split.tensors.count", len(tensors))) != len(tensors):
            raise MalformedArtefact(
                f"{name} says the model has {said} tensors, its {len(names)} parts have {len(tensors)}: they are not parts of "
                "one model, fetch all of them again"
            )
    return replace(headers[0], tensors=MappingProxyType(tensors), file_bytes=sum(header.file_bytes for header in headers))


def _number(header: GgufHeader, key: str, default: int) -> int:
    value = header.metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise MalformedArtefact(f"{key} is not a number")
    return int(value)


def _listed(names: Sequence[str]) -> str:
    """The first name, and how many more: "a is", "a and 2 more are"."""
    return f"{names[0]} is" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more are"
