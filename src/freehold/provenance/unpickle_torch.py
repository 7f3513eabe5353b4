"""Where PyTorch's files keep the bytes of their storages, and how those become a safetensors file.

    zip of today    NAME/data.pkl, NAME/byteorder, NAME/data/KEY          a storage is a member, stored as it is
    before 1.6      five pickles: a number of its own, version, machine, object, keys; then for each key: count (8 bytes), values

(torch/serialization.py.) Every range is held against the bytes that are there before one is copied. Tensors whose values do not
lie in order are written in order; tensors that share bytes are each written whole, as safetensors shares none.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.provenance.scan.archives import LOCAL, read_zip
from freehold.provenance.scan.context import Context, Tally
from freehold.provenance.scan.findings import Weight, shown
from freehold.provenance.scan.pickles import TORCH_MAGIC
from freehold.provenance.scan.source import Source
from freehold.provenance.unpickle_machine import ITEM_BYTES, Table, View, Weights, named_weights, read_object

PIECE_BYTES: Final = 8 << 20
PICKLE_LIMIT_BYTES: Final = 256 << 20  # of the object alone, without its tensors' bytes
GROWTH_LIMIT: Final = 4  # what shared bytes may be written again, times the file


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchFile:
    """`places` says where each storage begins in the file. Every view of `weights` lies in the bytes that are there."""

    weights: Weights
    places: Mapping[str, int]

    @property
    def shared(self) -> tuple[str, ...]:
        """Names whose storage another name has as well."""
        count: dict[str, int] = {}
        for view in self.weights.tensors.values():
            count[view.storage.key] = count.get(view.storage.key, 0) + 1
        return tuple(name for name, view in self.weights.tensors.items() if count[view.storage.key] > 1)


def read_torch(source: Source, key: str | None) -> TorchFile:
    """Raises MalformedArtefact, UnsupportedArtefact or DangerousArtefact, naming what stands in the way."""
    if source.read_at(0, 4) == LOCAL:
        weights, places, held = _read_zip(source, key)
    else:
        weights, places, held = _read_streams(source, key)
    for name, view in weights.tensors.items():
        at = view.storage.key
        if at not in places:
            raise MalformedArtefact(f"tensor {shown(name)}: there is no storage {shown(at)}")
        if view.storage.count * ITEM_BYTES[view.storage.dtype] > held[at]:
            raise MalformedArtefact(
                f"tensor {shown(name)}: storage {shown(at)} has {held[at]} bytes, {view.storage.count} values need more"
            )
    if sum(view.size_bytes for view in weights.tensors.values()) > GROWTH_LIMIT * source.size_bytes:
        raise UnsupportedArtefact(f"its tensors share so much that they would take more than {GROWTH_LIMIT} times the file")
    return TorchFile(weights=weights, places=places)


def _read_zip(source: Source, key: str | None) -> tuple[Weights, dict[str, int], dict[str, int]]:
    tally = Tally()
    listed = read_zip(source, Context(name="zip", tally=tally, look=lambda *_: ""))
    members = {member.name: member for member in listed}
    if len(members) != len(listed):
        raise MalformedArtefact("zip: a name is there twice: readers take one or the other")
    if tally.worst > Weight.NOTE:
        raise MalformedArtefact(f"zip: {tally.findings[0].words} [{tally.findings[0].rule}]")
    objects = [name for name in members if name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)]
    if len(objects) != 1:
        raise UnsupportedArtefact("a zip without PyTorch's data.pkl")
    top = objects[0].removesuffix("data.pkl")
    if any(name.startswith(f"{top}code/") for name in members):
        raise UnsupportedArtefact("TorchScript, which is a program: save the weights alone (state_dict)")
    for name, member in members.items():
        if member.method or member.flags & 1:
            raise UnsupportedArtefact(f"zip: {shown(name)} is packed, and PyTorch packs nothing")
    order = members.get(f"{top}byteorder")
    if order is not None and source.read_at(order.data_at, min(order.size_bytes, 16)) != b"little":
        raise UnsupportedArtefact("written on a machine of the other byte order")
    found = members[objects[0]]
    if found.size_bytes > PICKLE_LIMIT_BYTES:
        raise UnsupportedArtefact(f"data.pkl has {found.size_bytes} bytes, the limit is {PICKLE_LIMIT_BYTES}")
    root = read_object(source.part(found.data_at, found.size_bytes))
    data = {name.removeprefix(f"{top}data/"): member for name, member in members.items() if name.startswith(f"{top}data/")}
    held = {name: min(member.size_bytes, source.size_bytes - member.data_at) for name, member in data.items()}
    return named_weights(root.value, key), {name: member.data_at for name, member in data.items()}, held


def _read_streams(source: Source, key: str | None) -> tuple[Weights, dict[str, int], dict[str, int]]:
    magic = read_object(source)
    if magic.value != TORCH_MAGIC:
        raise UnsupportedArtefact("a pickle that PyTorch did not write: of those only PyTorch's weights are converted")
    version = read_object(source, magic.end)
    machine = read_object(source, version.end)
    if not isinstance(machine.value, Table) or machine.value.entries.get("little_endian") is not True:
        raise UnsupportedArtefact("written on a machine of the other byte order")
    root = read_object(source, machine.end)
    keys = read_object(source, root.end)
    weights = named_weights(root.value, key)
    places: dict[str, int] = {}
    held: dict[str, int] = {}
    at = keys.end
    for name in keys.value if isinstance(keys.value, list) else ():
        storage = root.storages.get(name)
        count = int.from_bytes(source.read_at(at, 8), "little", signed=True)
        if storage is None or count < storage.count:
            raise MalformedArtefact(f"storage {shown(str(name))} is not what its tensors say")
        size_bytes = count * ITEM_BYTES[storage.dtype]
        places[name], held[name] = at + 8, min(size_bytes, source.size_bytes - at - 8)
        at += 8 + size_bytes
    return weights, places, held


def write_safetensors(
    file: TorchFile, data: memoryview, write: Callable[[bytes | memoryview], object], progress: Callable[[int, int], None]
) -> None:
    """`data` is the whole file. Larger types come first, so that every tensor begins at a multiple of its value's size."""
    tensors = sorted(file.weights.tensors.items(), key=lambda item: (-item[1].item_bytes, item[0]))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, view in tensors:
        header[name] = {"dtype": view.dtype, "shape": list(view.shape), "data_offsets": [at, at + view.size_bytes]}
        at += view.size_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write(len(text).to_bytes(8, "little") + text)
    done = 0
    for _, view in tensors:
        for piece in _pieces(view, file.places[view.storage.key], data):
            write(piece)
            done += len(piece)
            progress(done, at)


def _pieces(view: View, place: int, data: memoryview) -> Iterator[bytes | memoryview]:
    """A tensor's bytes in order."""
    start = place + view.offset * view.item_bytes
    if view.is_contiguous:
        for low in range(0, view.size_bytes, PIECE_BYTES):
            yield data[start + low : start + min(low + PIECE_BYTES, view.size_bytes)]
        return
    held = (view.offset + sum((n - 1) * step for n, step in zip(view.shape, view.stride, strict=True)) + 1) * view.item_bytes
    values = np.frombuffer(data[start : place + held], f"<u{view.item_bytes}")
    strides = tuple(step * view.item_bytes for step in view.stride)
    rows = np.lib.stride_tricks.as_strided(values, view.shape, strides, writeable=False)
    step = max(1, PIECE_BYTES * view.shape[0] // view.size_bytes)
    for low in range(0, view.shape[0], step):
        yield np.ascontiguousarray(rows[low : low + step]).tobytes()
