"""What this machine can do, measured in about two seconds and kept: the rates that `fit` predicts with.

Decided here: what is run, and for how long. Kernels are those of a pass, on weights that come out of memory, on all threads; the
disk is read as streamed tiles are, past the page cache into huge pages, and tiles are checked as they are. What is kept
holds for one processor, number of threads, kernel set, disk, size of memory and release; anything else is measured anew.

    $FREEHOLD_HOME/cache/machine/KEY.json, else below the user's cache folder; a file that can't be read is as good as none
"""

import contextlib
import ctypes
import hashlib
import os
import platform
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from freehold import __version__
from freehold.core.errors import FreeholdError
from freehold.engine.files import WeightsFile
from freehold.engine.fit import Kernel, Machine
from freehold.engine.kernels import rows
from freehold.engine.kernels.formats import FORMATS
from freehold.engine.kernels.jit import cache_folder, compile_function
from freehold.engine.kernels.library import Kernels
from freehold.engine.kernels.matmul import HEADER_BYTES
from freehold.engine.kernels.records import BLOCK, SCRATCH_BYTES
from freehold.engine.kernels.targets import choose_target
from freehold.engine.memory import private_buffer, room
from freehold.engine.seals import Sealer
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiles import SECTOR_BYTES, TILE_BYTES

_READERS: Final = 2  # as many as a ring has
_LARGEST_BYTES: Final = 384 << 20  # weights that are gone over: beyond the last cache of any one processor's share
_MEMORY_SHARE: Final = 4  # of what is free, one in so many
_ROUNDS: Final = 3
_ROW_ELEMENTS: Final = 2048  # of models around 1B; rows of 4096 read up to a tenth faster
_COLUMNS: Final = 64
_DISK_S: Final = 0.3  # of a window; there are _ROUNDS, and one before them
_WRITE_S: Final = 1.0
_SAMPLE_BYTES: Final = 512 << 20  # of a file made for reading, which is written in such pieces:
_PIECE_BYTES: Final = 8 << 20
_SMALLEST_SAMPLE_BYTES: Final = 64 << 20


class Rates(msgspec.Struct, kw_only=True):
    """What is kept of a machine. None was not measured."""

    measured_at: str
    threads: int
    ram_bytes_per_s: float | None = None
    kernels: dict[str, tuple[float, float]] = {}  # type -> bytes a second, seconds per byte and further column
    disk_bytes_per_s: float | None = None
    read_cpu_s_per_byte: float = 0.0
    check_bytes_per_s: float | None = None
    vram_bytes_per_s: float | None = None
    pcie_bytes_per_s: float | None = None

    def machine(self) -> Machine:
        return Machine(
            threads=self.threads,
            kernels={name: Kernel(bytes_per_s=rate, column_s_per_byte=column) for name, (rate, column) in self.kernels.items()},
            ram_bytes_per_s=self.ram_bytes_per_s,
            disk_bytes_per_s=self.disk_bytes_per_s,
            check_bytes_per_s=self.check_bytes_per_s,
            read_cpu_s_per_byte=self.read_cpu_s_per_byte,
            vram_bytes_per_s=self.vram_bytes_per_s,
            pcie_bytes_per_s=self.pcie_bytes_per_s,
        )


def calibrate(
    types: Iterable[TensorType],
    place: Path,
    threads: int,
    *,
    kernels: str | None = None,
    disk: bool = True,
    fresh: bool = False,
    memory_bytes: int | None = None,
) -> Rates:
    """Rates for these tensor types and for the disk under `place`, a model's file or a folder. Measures only what is not kept.

    Takes up to `memory_bytes` while it does, or what is sensible here.
    """
    wanted = [type_ for type_ in dict.fromkeys(types) if type_ in FORMATS]
    made = Kernels(kernels)
    path = kept_at(place, threads, made.name)
    rates = None if fresh else _kept(path)
    if rates is None or rates.threads != threads:
        rates = Rates(measured_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), threads=threads)
    before = msgspec.json.encode(rates)
    if missing := [type_ for type_ in wanted if type_.name not in rates.kernels]:
        bench = _Bench(made, threads, memory_bytes)
        if rates.ram_bytes_per_s is None:
            rates.ram_bytes_per_s = bench.read_rate()
        rates.kernels |= {type_.name: bench.kernel(type_) for type_ in missing}
    if disk and rates.disk_bytes_per_s is None:
        rates.check_bytes_per_s = check_rate()
        rates.disk_bytes_per_s, rates.read_cpu_s_per_byte = disk_rate(place)
    if msgspec.json.encode(rates) != before:
        _keep(path, rates)
    return rates


def kept(types: Iterable[TensorType], place: Path, threads: int, kernels: str | None = None) -> Rates | None:
    """What was measured earlier, where it is all that these types need. Measures nothing."""
    rates = _kept(kept_at(place, threads, choose_target(kernels).name))
    known = rates is not None and rates.threads == threads and all(type_.name in rates.kernels for type_ in types)
    return rates if known else None


def kept_at(place: Path, threads: int, kernels: str) -> Path:
    """Where the rates of this machine are kept. Two folders on one disk share them."""
    existing = next((folder for folder in (place, *place.absolute().parents) if folder.exists()), Path("/"))
    device = existing.stat().st_dev
    memory_class = room().limit_bytes.bit_length()
    facts = [_cpu(), str(threads), kernels, f"{os.major(device)}:{os.minor(device)}", str(memory_class), __version__]
    return cache_folder().parent / "machine" / f"{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:32]}.json"


def _cpu() -> str:
    with contextlib.suppress(OSError):
        if found := re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return found[1]
    return platform.processor() or platform.machine()


def _kept(path: Path) -> Rates | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Rates)
    except (OSError, msgspec.DecodeError):
        return None


def _keep(path: Path, rates: Rates) -> None:
    """Not being able to costs two seconds at the next start, nothing else."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(rates)))
        part.replace(path)


# ---- kernels and memory -----------------------------------------------------------------------------------------


class _Bench:
    """Weights in memory, and threads that go over them."""

    def __init__(self, kernels: Kernels, threads: int, memory_bytes: int | None) -> None:
        self._kernels, self._threads = kernels, threads
        most = max(room().usable_bytes // _MEMORY_SHARE, TILE_BYTES) if memory_bytes is None else memory_bytes
        each = min(_LARGEST_BYTES, most) // threads // SECTOR_BYTES * SECTOR_BYTES
        self._each_bytes = max(each, 1 << 20)
        self._weights = private_buffer(self._each_bytes * threads)
        _fill(self._weights)
        self._scratch = [private_buffer(SCRATCH_BYTES) for _ in range(threads)]
        self._columns = _columns()

    def read_rate(self) -> float:
        """Bytes a second that all threads together can load."""
        name = f"read_{self._kernels.name}"
        function = _function(compile_function(name, lambda module: rows.emit_read(module, name, self._kernels.target)), 3)
        arguments = [(self._start(i), self._each_bytes, self._scratch[i].ctypes.data) for i in range(self._threads)]
        return self._each_bytes * self._threads / self._median_s(function, arguments)

    def kernel(self, type_: TensorType) -> tuple[float, float]:
        """(bytes a second with one column, seconds per byte and further column)."""
        name, target = f"rows_{self._kernels.name}", self._kernels.target
        function = _function(compile_function(name, lambda module: rows.emit_rows(module, name, target)), 11)
        row_bytes = type_.row_bytes(_ROW_ELEMENTS)
        panel_bytes = row_bytes * target.lanes

        def seconds(panels: int, columns: int) -> float:
            kernels = self._kernels
            made = (kernels.pack(type_), kernels.dots(type_), kernels.single(type_), kernels.few(type_))
            record = self._columns[0].ctypes.data
            shape = (row_bytes, panels, _ROW_ELEMENTS // BLOCK, record, columns)
            arguments = [(*made, self._start(i), *shape, self._scratch[i].ctypes.data) for i in range(self._threads)]
            return self._median_s(function, arguments)

        whole = self._each_bytes // panel_bytes
        some = min(whole, max(1, (1 << 20) // panel_bytes))
        one_s = seconds(whole, 1) / whole
        many_s = seconds(some, _COLUMNS) / some
        read_bytes = panel_bytes * self._threads
        return read_bytes / one_s, max(0.0, many_s - one_s) / (_COLUMNS - 1) / read_bytes

    def _start(self, thread: int) -> int:
        return int(self._weights.ctypes.data) + thread * self._each_bytes

    def _median_s(self, function: Any, arguments: Sequence[tuple[int, ...]]) -> float:
        return median(_together(function, arguments) for _ in range(_ROUNDS))


def _fill(weights: npt.NDArray[np.uint8]) -> None:
    """Any type reads these bytes as numbers of ordinary size: NaN and the smallest ones take other paths in some cores."""
    piece = np.random.default_rng(1).integers(0x30, 0x40, min(_PIECE_BYTES, weights.size), np.uint8)
    for start in range(0, weights.size, piece.size):
        weights[start : start + piece.size] = piece[: weights.size - start]


def _function(address: int, arguments: int) -> Any:
    return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)(address)


def _together(function: Any, arguments: Sequence[tuple[int, ...]]) -> float:
    """Seconds of the slowest thread, by its own CPU clock: other programs that take turns on the cores do not count."""
    barrier = threading.Barrier(len(arguments))
    taken_s: list[float] = []

    def work(mine: tuple[int, ...]) -> None:
        barrier.wait()
        began_s = time.thread_time()
        function(*mine)
        taken_s.append(time.thread_time() - began_s)

    threads = [threading.Thread(target=work, args=(mine,), daemon=True) for mine in arguments[1:]]
    for thread in threads:
        thread.start()
    work(arguments[0])
    for thread in threads:
        thread.join()
    return max(taken_s)


def _columns() -> list[npt.NDArray[Any]]:
    """A record of columns, and the arrays it points into."""
    quantised = np.ones((_COLUMNS, _ROW_ELEMENTS), np.int8)
    headers = np.full((_COLUMNS, _ROW_ELEMENTS // BLOCK, HEADER_BYTES // 4), 0.01, np.float32)
    floats = np.full((_COLUMNS, _ROW_ELEMENTS), 0.01, np.float32)
    arrays: list[npt.NDArray[Any]] = [quantised, headers, floats]
    record = np.array([value for a in arrays for value in (a.ctypes.data, a.strides[0])], np.int64)
    return [record, *arrays]


# ---- disk and checks --------------------------------------------------------------------------------------------


def check_rate() -> float:
    """Bytes a second of one core that checks a streamed tile."""
    tile, sealer = private_buffer(TILE_BYTES).data, Sealer()
    sealer.seal(tile)
    taken_s = []
    for _ in range(8):
        began_s = time.thread_time()
        sealer.seal(tile)
        taken_s.append(time.thread_time() - began_s)
    return len(tile) / max(median(taken_s), 1e-9)


def disk_rate(place: Path) -> tuple[float | None, float]:
    """(bytes a second past the page cache, CPU seconds a byte) of the disk under `place`; None where it cannot be measured.

    A large file is read where it lies. Where there is none, one is written, read and removed.
    """
    if (file := _large_file(place)) is not None:
        with contextlib.suppress(FreeholdError):  # one that goes away, or may not be read
            return _read_rate(file)
    folder = next((found for found in (place, *place.absolute().parents) if found.is_dir()), Path("/"))
    sample = folder / f".freehold-{os.getpid()}.sample"
    try:
        _write_sample(sample)
        return _read_rate(sample)
    except (OSError, FreeholdError):
        return None, 0.0
    finally:
        with contextlib.suppress(OSError):
            sample.unlink()


def _large_file(place: Path) -> Path | None:
    """The file itself, or the largest of a folder of models."""
    found: dict[Path, int] = {}
    with contextlib.suppress(OSError):
        files = [place] if place.is_file() else [path for path in (*place.glob("*"), *place.glob("*/*")) if path.is_file()]
        found = {path: path.stat().st_size for path in files}
    largest = max(found, key=lambda path: found[path], default=None)
    return largest if largest is not None and found[largest] >= _SMALLEST_SAMPLE_BYTES else None


def _write_sample(path: Path) -> None:
    """Random bytes, as a disk that compresses would be flattered by others."""
    buffer = private_buffer(_PIECE_BYTES)
    buffer[:] = np.frombuffer(np.random.default_rng().bytes(_PIECE_BYTES), np.uint8)
    until_s = time.monotonic() + _WRITE_S
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
        for _ in range(_SAMPLE_BYTES // _PIECE_BYTES):
            os.write(fd, buffer.data)
            if time.monotonic() > until_s:
                break
        os.fsync(fd)


def _read_rate(path: Path) -> tuple[float | None, float]:
    """Of what was read before, as a pass finds it: a virtual machine's disk may be ten times slower the first time."""
    with WeightsFile(path, path.stat().st_size) as file:
        whole = max(1, file.size_bytes // TILE_BYTES)
        tiles, _, _ = _read_tiles(file, whole, most=whole)
        windows = [_read_tiles(file, tiles) for _ in range(_ROUNDS)]
    # The middle one: what takes from a shared disk meanwhile takes from a pass as well, but one gap is not the rule.
    count, taken_s, cpu_s = sorted(windows, key=lambda window: window[0] / window[1])[_ROUNDS // 2]
    return count * TILE_BYTES / taken_s, cpu_s / (count * TILE_BYTES)


def _read_tiles(file: WeightsFile, tiles: int, most: int | None = None) -> tuple[int, float, float]:
    """(tiles read, seconds, CPU seconds) of reading as a ring does, two at once, the first `tiles` of the file over and over."""
    buffers = [private_buffer(TILE_BYTES + 2 * SECTOR_BYTES) for _ in range(_READERS)]
    for buffer in buffers:
        buffer[:] = 1  # its pages are there before the clock runs
    taking, taken = threading.Lock(), 0
    spent_s: list[float] = []
    began_s = time.monotonic()

    def read(buffer: memoryview) -> None:
        nonlocal taken
        before_s = time.thread_time()
        while True:
            with taking:
                if taken == most or (taken and time.monotonic() - began_s >= _DISK_S):
                    break
                start, taken = taken % tiles * TILE_BYTES, taken + 1
            file.read(start, min(start + TILE_BYTES, file.size_bytes), buffer)
        spent_s.append(time.thread_time() - before_s)

    with ThreadPoolExecutor(_READERS) as readers:
        for reading in [readers.submit(read, buffer.data) for buffer in buffers]:
            reading.result()
    return taken, max(time.monotonic() - began_s, 1e-9), sum(spent_s)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | getattr(os, "O_DIRECT", 0), 0o600)
    except OSError:
        fd = os.open(path, (flags & ~os.O_EXCL) | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)
