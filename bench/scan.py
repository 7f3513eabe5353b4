"""What looking costs: headers of large files, weights out of pickles, and blocks that are checked before anything is computed.

The large file is sparse: a header of 2,000 tensors in front of 10 GB that are nowhere. Checked and unchecked differ in the check
alone, and run in turns in one process.
"""

import json
import struct
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.provenance.torch_zips import Stored, pickled, tensor

from bench.streaming import EMBEDDED
from freehold.core.models import VerifiedModel
from freehold.engine.weights import Weights
from freehold.provenance.keys import NodeKey, trusted
from freehold.provenance.manifest import make_manifest
from freehold.provenance.progress import Silent
from freehold.provenance.scan.findings import Verdict
from freehold.provenance.scan.scanner import scan_file
from freehold.provenance.signer import sign_manifest
from freehold.provenance.unpickle import unpickle
from freehold.provenance.verifier import verify_model

Report = Callable[..., None]

LARGE_BYTES, LARGE_TENSORS = 10_000_000_000, 2000
PICKLE_BYTES = 512 << 20
HEADER_LIMIT_S = 0.1
CHECK_LIMIT = 1.03  # checked takes no more than that of unchecked
ROUNDS, LOADS = 5, 25


def run(report: Report, models_dir: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
        _headers(report, Path(folder))
        _pickles(report, Path(folder))
    _loads(report, _signed(models_dir / EMBEDDED))


def _headers(report: Report, folder: Path) -> None:
    path = folder / "large.safetensors"
    each = LARGE_BYTES // LARGE_TENSORS // 4 * 4
    table = {
        f"model.layers.{i}.weight": {"dtype": "F32", "shape": [each // 4], "data_offsets": [i * each, (i + 1) * each]}
        for i in range(LARGE_TENSORS)
    }
    header = json.dumps(table).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + each * LARGE_TENSORS)
    assert scan_file(path).verdict is Verdict.CLEAN
    report("scan.safetensors.10gb", min(_wall_s(lambda: scan_file(path)) for _ in range(ROUNDS)), "s", limit=HEADER_LIMIT_S)


def _pickles(report: Report, folder: Path) -> None:
    """Against a copy of the same file, which writes as much."""
    path, count = folder / "w.bin", 8
    each = PICKLE_BYTES // count
    values = np.random.default_rng(0).integers(0, 256, each, np.uint8).tobytes()
    state = {f"w{i}": tensor(Stored("HalfStorage", str(i), each // 2), 0, (each // 2,), (1,)) for i in range(count)}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", pickled(state))
        for i in range(count):
            archive.writestr(f"w/data/{i}", values)
    copied_s, made_s = [], []
    for _ in range(ROUNDS):
        copied_s.append(_wall_s(lambda: (folder / "copy").write_bytes(path.read_bytes())))
        made_s.append(_wall_s(lambda: unpickle(path, folder / "w.safetensors", Silent())))
    report(
        "scan.unpickle", PICKLE_BYTES / 1e9 / min(made_s), "GB/s", peer="a copy of the file", ratio=min(copied_s) / min(made_s)
    )


def _signed(path: Path) -> VerifiedModel:
    key = NodeKey.generate()
    manifest = make_manifest(path.parent, [path.name], name="bench", origin="bench")
    return verify_model(path.parent, sign_manifest(manifest, key), trusted(key.public))


def _loads(report: Report, model: VerifiedModel) -> None:
    """A whole model into memory, by time and by CPU; what streaming costs is measured by `streaming.checks`. The best of each: a
    busy neighbour only ever adds."""
    unchecked = replace(model, check_block=lambda name, index, block: None)

    def load(what: VerifiedModel) -> tuple[float, float]:
        began_cpu_s = time.process_time()
        wall_s = _wall_s(lambda: Weights(what).load(lambda done, total: None))
        return wall_s, time.process_time() - began_cpu_s

    rounds = [(load(model), load(unchecked)) for _ in range(LOADS)]
    checked, plain = (zip(*side, strict=True) for side in zip(*rounds, strict=True))
    for name, unit, ours, theirs, limit in zip(
        ("time", "cpu"), ("s a load", "s of CPU"), map(min, checked), map(min, plain), (CHECK_LIMIT, None), strict=True
    ):
        report(f"scan.checked.load.{name}", ours, unit, peer="the same, unchecked", ratio=ours / theirs, limit=limit)


def _wall_s(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
