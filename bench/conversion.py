"""Is what we quantise as good as what llama.cpp quantises, and are directories of safetensors read as they are meant?

Errors are compared on the same weights, against the functions inside llama.cpp's own library. For each family a small random
directory is written, read as it lies by our engine, converted to F16, and read by llama.cpp: log-probabilities are compared. A
row or a norm in the wrong place would show at once.
"""

import ctypes
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tests.fakes.tiny_directory import CONFIGS, tiny_directory

from bench.families import CONTEXT, peer_log_probabilities
from freehold.engine.convert import plan_conversion
from freehold.engine.header import read_path
from freehold.engine.kernels.reference import dequantise
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.llama import Batch
from freehold.engine.models.moe import model_class
from freehold.engine.models.shape import shape_of
from freehold.engine.quantise import quantise
from freehold.engine.tensor_types import Tensor, TensorType

Report = Callable[..., None]
Floats = npt.NDArray[np.float32]

ROWS, COLUMNS = 256, 4096
KINDS: dict[str, Callable[[np.random.Generator], Any]] = {
    "normal": lambda rng: rng.standard_normal((ROWS, COLUMNS)) * 0.02,
    "heavy_tails": lambda rng: rng.standard_t(3, (ROWS, COLUMNS)) * 0.02,
    "uniform": lambda rng: rng.uniform(-1, 1, (ROWS, COLUMNS)),
}
TYPES = {"q8_0": TensorType.Q8_0, "q4_K": TensorType.Q4_K, "q6_K": TensorType.Q6_K}
PROMPT_TOKENS, WORD_TOKENS = 60, (5, 250)  # below the windows of 100 positions that llama.cpp leaves out
FAR = 0.05
LAYERS = {"smollm3": 5, "gemma2": 3, "gemma3": 7}  # so that there are layers of both kinds
HAS_PIECES = ("llama", "mistral", "gemma", "gemma2", "gemma3")


def run(report: Report, models_dir: Path) -> None:
    _errors(report)
    with tempfile.TemporaryDirectory() as folder:
        for family in CONFIGS:
            _directory(report, family, Path(folder))


def _errors(report: Report) -> None:
    import xllamacpp.xllamacpp as library  # noqa: PLC0415 - loads llama.cpp

    functions = ctypes.CDLL(library.__file__)
    peer = {"peer": "llama.cpp", "peer_version": version("xllamacpp")}
    for name, type_ in TYPES.items():
        theirs = getattr(functions, f"quantize_row_{name}_ref")
        theirs.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        spent_s = {"ours": 0.0, "peer": 0.0}
        for kind, made in KINDS.items():
            rows = np.asarray(made(np.random.default_rng(3)), np.float32)
            out = np.zeros((ROWS, type_.row_bytes(COLUMNS)), np.uint8)
            begun_s = time.thread_time()
            theirs(rows.ctypes.data, out.ctypes.data, rows.size)
            between_s = time.thread_time()
            ours = quantise(type_, rows)
            spent_s["ours"] += time.thread_time() - between_s
            spent_s["peer"] += between_s - begun_s
            errors = _rms(type_, ours, rows), _rms(type_, out, rows)
            report(
                name=f"conversion.error.{type_.name}.{kind}",
                value=errors[0] / float(rows.std()),
                unit="root mean square of a weight",
                ratio=errors[0] / errors[1],
                limit=1.05,
                **peer,
            )
        report(
            name=f"conversion.speed.{type_.name}",
            value=len(KINDS) * ROWS * COLUMNS / spent_s["ours"] / 1e6,
            unit="million weights/s of CPU time",
            ratio=spent_s["peer"] / spent_s["ours"],
            **peer,
        )


def _rms(type_: TensorType, blocks: npt.NDArray[np.uint8], rows: Floats) -> float:
    return float(np.sqrt(np.mean((dequantise(type_, blocks).astype(np.float64) - rows) ** 2)))


def _directory(report: Report, family: str, folder: Path) -> None:
    source, path = (
        folder / f"directory-{len(family)}{family[:1]}",
        folder / "model.gguf",
    )  # llama.cpp goes by the name "phi3", too
    changes: dict[str, Any] = {"num_hidden_layers": LAYERS[family]} if family in LAYERS else {}
    tiny_directory(source, family, pieces=family in HAS_PIECES, **changes)
    plan_conversion(source, "F16").write(path, lambda done, total: None)
    prompt = np.random.default_rng(7).integers(*WORD_TOKENS, PROMPT_TOKENS).tolist()
    expected = peer_log_probabilities(path, prompt)
    ours = _read(path if read_path(source).must_be_converted else source, prompt)
    report(
        name=f"conversion.{family}.logprob",
        value=float(np.abs(ours - expected[: len(ours)]).max()),
        unit="largest difference, BF16 directory and F16 file",
        limit=FAR,
        peer="llama.cpp",
        peer_version=version("xllamacpp"),
    )


def _read(path: Path, tokens: list[int]) -> npt.NDArray[np.float64]:
    """Our log-probabilities (vocabulary) of what comes after."""
    header, tensors, directory = read_path(path), {}, path if path.is_dir() else path.parent
    files = [np.fromfile(directory / name, np.uint8) for name in header.files]
    for info in header.tensors.values():
        stored = files[info.part][info.offset : info.offset + info.size_bytes]
        data = np.array(stored if info.convert is None else info.convert(stored))
        tensors[info.name] = Tensor(name=info.name, type=info.type, shape=info.shape, data=data)
    shape, pages = shape_of(header.metadata, tensors), CONTEXT // PAGE_POSITIONS
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, pages, 1, pages)
    model, count = model_class(shape)(shape, tensors, cache, 1), len(tokens)
    cache.reserve(cache.open(), count)
    logits = model.step(
        Batch(
            tokens=np.array(tokens, np.int32),
            positions=np.arange(count, dtype=np.int32),
            sequences=np.zeros(count, np.int32),
            wants_logits=np.arange(count) == count - 1,
        )
    ).astype(np.float64)[0]
    model.close()
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))
