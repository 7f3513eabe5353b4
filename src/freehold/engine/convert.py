"""From unquantised weights, in safetensors or in a GGUF, to one GGUF file in a smaller type.

Decided here: which tensor gets which type, and in which order rows are written. `Q4_K_M` is llama.cpp's mix: Q4_K, with Q6_K for
the head and for half of the value and down matrices, where rounding does the most harm. Rows that are not whole blocks of 256 get
a type with blocks of 32 instead. Vectors stay float32.

Hugging Face's q and k of the Llama family have the halves of a head turn together, GGUF's have neighbours do so: their rows
change places, head by head.

    Hugging Face   0  1  2 ... d/2-1 | d/2  d/2+1 ... d-1          GGUF   0  d/2  1  d/2+1  2 ...
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import DeviceError, MalformedArtefact, UnsupportedArtefact, os_errors
from freehold.engine.cores import usable_cores
from freehold.engine.gguf import FilePrefix, TensorInfo
from freehold.engine.gguf_writer import TensorPlan, file_size, write_gguf
from freehold.engine.header import ModelHeader, files_at, read_model
from freehold.engine.huggingface import floats
from freehold.engine.kernels.graph import Rope
from freehold.engine.models.shape import ROPE_KEY, LlamaShape, shape_of
from freehold.engine.quantise import quantise
from freehold.engine.tensor_types import TensorType

Progress = Callable[[int, int], None]  # bytes written, bytes in all

# llama.cpp's general.file_type numbers (llama.h, enum llama_ftype).
QUANTS: Final[Mapping[str, int]] = {"Q4_K_M": 15, "Q6_K": 18, "Q8_0": 7, "F16": 1}
_SOURCES: Final = (TensorType.F32, TensorType.F16, TensorType.BF16)
_NARROW: Final[Mapping[TensorType, TensorType]] = {TensorType.Q4_K: TensorType.Q5_0, TensorType.Q6_K: TensorType.Q8_0}
_CHUNK_WEIGHTS: Final = 1 << 20
_EMBEDDING, _HEAD = "token_embd.weight", "output.weight"
_ROUTER: Final = "ffn_gate_inp.weight"  # small, and rounding would send tokens to other experts
_MORE: Final = frozenset({"attn_v", "attn_qkv", "ffn_down", "ffn_down_exps"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """All that is to be done, before anything is."""

    directory: Path
    header: ModelHeader = field(repr=False)
    shape: LlamaShape = field(repr=False)
    metadata: Mapping[str, Any] = field(repr=False)
    tensors: tuple[TensorPlan, ...] = field(repr=False)
    size_bytes: int

    def write(self, path: Path, progress: Progress) -> None:
        """Raises DeviceError where reading or writing fails, MalformedArtefact for a weight that is not a finite number."""
        total = sum(tensor.size_bytes for tensor in self.tensors)
        with ThreadPoolExecutor(usable_cores(), "quantise") as pool:
            source = _Source(self, pool)
            try:
                write_gguf(path, self.metadata, self.tensors, source.all(lambda done: progress(done, total)))
            finally:
                source.close()


def plan_conversion(source: Path, quant: str) -> Conversion:
    """Reads headers alone. Raises ArtefactError for what is no model, that we do not run, or that is quantised already."""
    directory, names = files_at(source)
    header = read_model(names, lambda name: FilePrefix(directory / name), source.name)
    shape = shape_of(header.metadata, header.tensors)
    for info in header.tensors.values():
        if info.type not in _SOURCES:
            raise UnsupportedArtefact(
                f"{source.name}: tensor {info.name} is {info.type.name}, quantised already: doing so again would lose more; "
                "convert the unquantised weights"
            )
    tensors = tuple(
        TensorPlan(name=info.name, type=_type(info, quant, shape), shape=info.shape) for info in header.tensors.values()
    )
    metadata = _metadata(header, shape, quant)
    return Conversion(
        directory=directory,
        header=header,
        shape=shape,
        metadata=metadata,
        tensors=tensors,
        size_bytes=file_size(metadata, tensors),
    )


def _metadata(header: ModelHeader, shape: LlamaShape, quant: str) -> dict[str, Any]:
    left_out = {ROPE_KEY, "general.alignment"}  # the writer has its own alignment
    kept = {key: value for key, value in header.metadata.items() if key not in left_out and not key.startswith("split.")}
    said = {f"{shape.architecture}.vocab_size": shape.vocabulary, "general.type": "model"}
    return kept | said | {"general.file_type": QUANTS[quant], "general.quantization_version": 2}


def _type(info: TensorInfo, quant: str, shape: LlamaShape) -> TensorType:
    if len(info.shape) == 1 or info.name.endswith(_ROUTER):
        return TensorType.F32
    if quant != "Q4_K_M":
        wanted = TensorType[quant]
    elif info.name == _HEAD or (info.name == _EMBEDDING and shape.tied):
        wanted = TensorType.Q6_K
    else:
        wanted = TensorType.Q6_K if _gets_more(info.name, shape.layers) else TensorType.Q4_K
    return _NARROW.get(wanted, wanted) if info.shape[0] % wanted.block_elements else wanted


def _gets_more(name: str, layers: int) -> bool:
    """The value and down matrices of the first and last eighth of the layers, and of every third between."""
    parts = name.split(".")
    if len(parts) < 3 or parts[2] not in _MORE:
        return False
    layer, eighth = int(parts[1]), layers // 8
    return parts[2] == "attn_qkv" or layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


class _Source:
    """The tensors of a conversion, one after the other, in pieces of some MB."""

    def __init__(self, conversion: Conversion, pool: ThreadPoolExecutor) -> None:
        self._conversion, self._pool = conversion, pool
        self._handles: list[int] = []
        try:
            for name in conversion.header.files:
                self._handles.append(os.open(conversion.directory / name, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as exc:
            self.close()
            raise DeviceError(f"cannot read {conversion.directory}: {exc.strerror}") from exc

    def close(self) -> None:
        for handle in self._handles:
            os.close(handle)

    def all(self, progress: Callable[[int], None]) -> Iterator[tuple[str, Iterator[bytes | memoryview]]]:
        done = 0
        for plan in self._conversion.tensors:
            yield plan.name, self._pieces(plan, done, progress)
            done += plan.size_bytes

    def _pieces(self, plan: TensorPlan, done: int, progress: Callable[[int], None]) -> Iterator[bytes | memoryview]:
        info = self._conversion.header.tensors[plan.name]
        parts = info.apart or (info,)
        head_rows, rows = self._turned(plan.name), plan.rows // len(parts)
        step = max(1, _CHUNK_WEIGHTS // plan.shape[0])
        step = -(-step // head_rows) * head_rows if head_rows else step
        ranges = [(part, low, min(low + step, rows)) for part in parts for low in range(0, rows, step)]
        for low in range(0, len(ranges), 2 * usable_cores()):  # no more in memory than that
            some = ranges[low : low + 2 * usable_cores()]
            for piece in self._pool.map(lambda place: self._rows(plan, place[0], place[1], place[2], head_rows), some):
                done += piece.nbytes
                yield piece.data
                progress(done)

    def _rows(self, plan: TensorPlan, info: TensorInfo, low: int, high: int, head_rows: int) -> npt.NDArray[np.uint8]:
        if info.convert is not None:
            return info.convert(self._read(info, 0, info.size_bytes)).reshape(-1)
        row_bytes = info.type.row_bytes(info.shape[0])
        weights = floats(info.type, self._read(info, low * row_bytes, high * row_bytes)).reshape(high - low, info.shape[0])
        if head_rows:
            weights = weights.reshape(-1, 2, head_rows // 2, info.shape[0]).swapaxes(1, 2).reshape(high - low, -1)
        try:
            return quantise(plan.type, weights).reshape(-1)
        except MalformedArtefact as exc:
            raise MalformedArtefact(f"{self._conversion.header.files[info.part]}: tensor {info.name}: {exc.message}") from exc

    def _read(self, info: TensorInfo, low: int, high: int) -> npt.NDArray[np.uint8]:
        """Bytes [low, high) of a tensor as it is stored."""
        buffer = np.empty(high - low, np.uint8)
        at = 0
        while at < len(buffer):
            with os_errors(f"reading {self._conversion.header.files[info.part]} failed"):
                count = os.preadv(self._handles[info.part], [buffer[at:].data], info.offset + low + at)
            if not count:
                raise DeviceError(f"{self._conversion.header.files[info.part]} became shorter while it was read")
            at += count
        return buffer

    def _turned(self, name: str) -> int:
        """Rows of a head where the rows of a matrix change places, or 0."""
        shape = self._conversion.shape
        is_other = shape.graph.rope is Rope.HALVES and shape.family.rope is Rope.INTERLEAVED
        return shape.head_dim if is_other and name.endswith(("attn_q.weight", "attn_k.weight")) else 0
