"""Files of the shapes of large models, with random weights, and passes over them on a card.

All layers of a file have the same bytes: writing then takes what the disk takes, not what drawing 70 billion weights does.
"""

import contextlib
import mmap
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from freehold.core.errors import VerificationError
from freehold.core.exchange import KeyId, ModelId
from freehold.core.models import BLOCK_BYTES, Manifest, ManifestFile, VerifiedModel
from freehold.engine.gguf_writer import TensorPlan, header_bytes
from freehold.engine.models.llama import Batch
from freehold.engine.tensor_types import TensorType


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Of a Llama 3. Layers are Q4_K, embedding and head Q6_K."""

    layers: int
    embedding: int
    ffn: int
    heads: int
    kv_heads: int = 8
    vocabulary: int = 128_256

    def metadata(self) -> dict[str, Any]:
        facts = {
            "block_count": self.layers,
            "context_length": 8192,
            "embedding_length": self.embedding,
            "feed_forward_length": self.ffn,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.kv_heads,
            "rope.freq_base": 500_000.0,
            "attention.layer_norm_rms_epsilon": 1e-5,
        }
        return {"general.architecture": "llama"} | {f"llama.{name}": value for name, value in facts.items()}

    def layer(self) -> Mapping[str, tuple[int, int]]:
        """(row length, rows) by name."""
        kv = self.embedding // self.heads * self.kv_heads
        return {
            "attn_q": (self.embedding, self.embedding),
            "attn_k": (self.embedding, kv),
            "attn_v": (self.embedding, kv),
            "attn_output": (self.embedding, self.embedding),
            "ffn_gate": (self.embedding, self.ffn),
            "ffn_up": (self.embedding, self.ffn),
            "ffn_down": (self.ffn, self.embedding),
        }

    def plans(self) -> list[TensorPlan]:
        def vector(name: str) -> TensorPlan:
            return TensorPlan(name=name, type=TensorType.F32, shape=(self.embedding,))

        table = (self.embedding, self.vocabulary)
        found = [TensorPlan(name="token_embd.weight", type=TensorType.Q6_K, shape=table)]
        for layer in range(self.layers):
            found += [vector(f"blk.{layer}.attn_norm.weight"), vector(f"blk.{layer}.ffn_norm.weight")]
            found += [
                TensorPlan(name=f"blk.{layer}.{name}.weight", type=TensorType.Q4_K, shape=shape)
                for name, shape in self.layer().items()
            ]
        return [*found, vector("output_norm.weight"), TensorPlan(name="output.weight", type=TensorType.Q6_K, shape=table)]


TINY = Size(layers=2, embedding=256, ffn=256, heads=2, kv_heads=1, vocabulary=64)
LLAMA_8B = Size(layers=32, embedding=4096, ffn=14_336, heads=32)


def llama_70b(layers: int) -> Size:
    return Size(layers=layers, embedding=8192, ffn=28_672, heads=64)


class _File:
    """Written from its start to its end; each block's digest is known afterwards."""

    def __init__(self, path: Path) -> None:
        self._out = path.open("wb", buffering=0)
        self._block, self._fill = blake3(), 0
        self.digests: list[bytes] = []
        self.size_bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        self._out.write(view)
        self.size_bytes += len(view)
        while len(view):
            part = view[: BLOCK_BYTES - self._fill]
            self._block.update(part)
            self._fill += len(part)
            view = view[len(part) :]
            if self._fill == BLOCK_BYTES:
                self._end_block()

    def close(self) -> None:
        if self._fill:
            self._end_block()
        os.fsync(self._out.fileno())
        self._out.close()

    def _end_block(self) -> None:
        self.digests.append(self._block.digest())
        self._block, self._fill = blake3(), 0


def write_model(folder: Path, size: Size) -> VerifiedModel:
    path = folder / "model.gguf"
    out, drawn = _File(path), dict[tuple[TensorType, tuple[int, ...]], memoryview]()
    plans = size.plans()
    out.write(header_bytes(size.metadata(), plans))
    for plan in plans:
        key = (plan.type, plan.shape)
        if key not in drawn:
            drawn[key] = _bytes(plan).data.cast("B")
        out.write(drawn[key])
        out.write(bytes(-plan.size_bytes % 32))
    out.close()

    def check(name: str, block: int, content: memoryview) -> None:
        if blake3(content).digest() != out.digests[block]:
            raise VerificationError(f"{name}: block {block} is not what was written")

    files = (ManifestFile(name=path.name, size_bytes=out.size_bytes, root=b"", sha256="", leaves=()),)
    manifest = Manifest(model_id=ModelId("00" * 32), name="synthetic", files=files, origin="bench.gpu")
    return VerifiedModel(manifest=manifest, directory=folder, signed_by=KeyId("bench"), check_block=check)


def _bytes(plan: TensorPlan) -> npt.NDArray[Any]:
    """Any bytes are blocks, once d (and dmin) make the weights' size 1 / sqrt(length)."""
    if plan.type is TensorType.F32:
        return np.ones(plan.shape, np.float32)
    length, rng = plan.shape[0], np.random.Generator(np.random.SFC64(plan.rows))
    blocks = np.frombuffer(rng.bytes(plan.size_bytes), np.uint8).reshape(-1, plan.type.block_bytes).copy()
    if plan.type is TensorType.Q4_K:  # 260: the deviation of scale * nibble - 7.5 * min over random bytes
        d = 1 / (260 * length**0.5)
        halves = {0: d, 2: 7.5 * d}
    else:  # 1366: that of a signed byte times q - 32
        halves = {208: 1 / (1366 * length**0.5)}
    for offset, value in halves.items():
        blocks[:, offset : offset + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)
    return blocks


def decode_s(model: Any, sequences: int, passes: int, first: int) -> Iterator[float]:
    """Seconds of each pass that computes one token of each sequence, from position `first` on."""
    rng = np.random.default_rng(first)
    for i in range(passes):
        batch = Batch(
            tokens=rng.integers(0, model.shape.vocabulary, sequences).astype(np.int32),
            positions=np.full(sequences, first + i, np.int32),
            sequences=np.arange(sequences, dtype=np.int32),
            wants_logits=np.ones(sequences, np.bool_),
        )
        begun_s = time.perf_counter()
        logits = model.step(batch)
        yield time.perf_counter() - begun_s
        if not np.isfinite(logits).all():
            raise ArithmeticError("the logits are not finite")


def prompt_s(model: Any, tokens: int) -> float:
    """Seconds of reading in a prompt, as sequence 0, from its start."""
    wants = np.zeros(tokens, np.bool_)
    wants[-1] = True
    batch = Batch(
        tokens=np.random.default_rng(1).integers(0, model.shape.vocabulary, tokens).astype(np.int32),
        positions=np.arange(tokens, dtype=np.int32),
        sequences=np.zeros(tokens, np.int32),
        wants_logits=wants,
    )
    begun_s = time.perf_counter()
    model.step(batch)
    return time.perf_counter() - begun_s


def settled(times: Sequence[float]) -> float:
    """The median without the first two: those compile, record, or fill slots."""
    return median(times[2:] or times)


def disk_rate(folder: Path, size_bytes: int, chunk_bytes: int = 8 << 20) -> float:
    """Bytes a second of O_DIRECT reads of a fresh file; it is removed again."""
    path = folder / f"freehold-bench-{os.getpid()}.bin"
    buffer = mmap.mmap(-1, chunk_bytes)
    buffer.write(os.urandom(chunk_bytes))
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_DIRECT", 0), 0o600)
        try:
            for _ in range(size_bytes // chunk_bytes):
                os.write(fd, buffer)
            os.fsync(fd)
            begun_s = time.perf_counter()
            for at in range(0, size_bytes, chunk_bytes):
                os.preadv(fd, [buffer], at)
            return size_bytes / (time.perf_counter() - begun_s)
        finally:
            os.close(fd)
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
