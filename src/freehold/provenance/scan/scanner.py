"""Scans files and folders: what a file is, is decided by its bytes, and its name is only held against it.

The order of a scan: known first bytes; then a pickle, which may have none; then text. What is left is `unparsed` where nobody
can say that it is harmless. Nothing is loaded, imported, rendered or run, and memory does not grow with a file's size.
"""

import codecs
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from freehold.core.errors import DeviceError, os_errors
from freehold.provenance.scan.archives import LOCAL, PACKERS, hidden_zip, is_tar, scan_tar, streams
from freehold.provenance.scan.configs import scan_code, scan_json, scan_template_file
from freehold.provenance.scan.context import Context, Tally
from freehold.provenance.scan.findings import FileReport, ScanFinding, Weight
from freehold.provenance.scan.gguf import MAGIC as GGUF_MAGIC
from freehold.provenance.scan.gguf import scan_gguf
from freehold.provenance.scan.keras import HDF5_MAGIC, scan_config, scan_hdf5
from freehold.provenance.scan.numpy_arrays import MAGIC as NUMPY_MAGIC
from freehold.provenance.scan.numpy_arrays import scan_numpy
from freehold.provenance.scan.onnx import is_protobuf, looks_like_onnx, scan_onnx
from freehold.provenance.scan.pickles import looks_like_pickle, scan_pickles, walk
from freehold.provenance.scan.safetensors import looks_like_safetensors, scan_safetensors
from freehold.provenance.scan.source import Source, of_file
from freehold.provenance.scan.torch_files import scan_zip

HEAD_BYTES = 4096
OPCODES_OF_HARM = 4  # an import, its argument, a call; a list of words that begins with "cast" and "copy" has one or two
TEXT_LIMIT_BYTES = 4 << 20
FILES_LIMIT = 100_000

Scanner = Callable[[Source, Context], object]
# What a file is, by its first bytes.
FORMATS: dict[str, tuple[Callable[[bytes], bool], Scanner]] = {
    "GGUF": (lambda head: head.startswith(GGUF_MAGIC), scan_gguf),
    "NumPy": (lambda head: head.startswith(NUMPY_MAGIC), scan_numpy),
    "HDF5": (lambda head: head.startswith(HDF5_MAGIC), scan_hdf5),
    "zip": (lambda head: head.startswith((LOCAL, b"PK\x05\x06")), scan_zip),
    "safetensors": (looks_like_safetensors, scan_safetensors),
    "tar": (is_tar, scan_tar),
}
# What is known and not opened.
CLOSED: dict[bytes, str] = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\x7fELF": "a program for Linux",
    b"MZ\x90\x00": "a program for Windows",
    b"\xcf\xfa\xed\xfe": "a program for macOS",
    b"ggjt": "GGML of before GGUF",
    b"lmgg": "GGML of before GGUF",
}
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"%PDF-", b"RIFF", b"<svg", b"\x00\x00\x01\x00")
_PICKLES = ".pkl .pickle .pt .pth .bin .ckpt .joblib .dat .data .p .pk .dill .mar .model .th .t7"
PICKLES = tuple(_PICKLES.split())
_CODE = ".py .pyc .sh .js .ts .c .cc .cpp .cu .h .hpp .rs .go .rb .pl .lua .ps1 .bat .ipynb"
CODE = tuple(_CODE.split())
TEMPLATES = (".jinja", ".jinja2", ".j2")
# Which formats a name promises. Others in it are told: loaders choose by name.
PROMISES: dict[str, tuple[str, ...]] = {
    ".gguf": ("GGUF",),
    ".safetensors": ("safetensors",),
    ".onnx": ("ONNX",),
    ".npy": ("NumPy",),
    ".npz": ("NumPy archive", "zip"),
    ".h5": ("HDF5",),
    ".hdf5": ("HDF5",),
    ".keras": ("Keras", "HDF5"),
    ".json": ("JSON", "Keras config"),
    ".txt": ("text",),
    ".md": ("text",),
    ".pt": ("PyTorch", "TorchScript", "pickle", "tar"),
    ".pth": ("PyTorch", "TorchScript", "pickle", "tar"),
    ".pkl": ("pickle", "gzip", "bzip2", "xz", "zlib"),
    ".pickle": ("pickle", "gzip", "bzip2", "xz", "zlib"),
    ".tflite": (),
    ".pb": (),
}
RAW_NAMES = ("", ".data", ".onnx_data", ".weight", ".weights", ".raw")
MODEL_NAMES = frozenset({*PICKLES, *PROMISES} - {".json", ".txt", ".md"})


def scan_file(path: Path, name: str | None = None) -> FileReport:
    """Raises DeviceError where the file cannot be read."""
    shown_name = str(path) if name is None else name
    with os_errors(f"cannot read {path}"):
        handle_number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not wait for a writer
        with os.fdopen(handle_number, "rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise DeviceError(f"{path} is not a regular file")
            return scan_source(of_file(handle), shown_name)


def scan_source(source: Source, name: str) -> FileReport:
    tally = Tally()
    context = Context(name=name, tally=tally, look=_look)
    try:
        kind = _look(source, context)
        if kind not in ("zip", "PyTorch", "TorchScript", "Keras", "NumPy archive"):
            hidden_zip(source, context)
    except (ValueError, RecursionError, MemoryError, OverflowError, LookupError, TypeError, AttributeError) as exc:
        kind = "unknown"  # a fault of ours: the file was not scanned to its end
        context.find("unparsed", f"the scan broke off ({type(exc).__name__}): please tell its makers")
    return FileReport(
        path=name,
        format=kind,
        size_bytes=source.size_bytes,
        findings=tuple(tally.findings),
        left_out=tally.left_out,
        worst=tally.worst,
        data_files=frozenset(tally.data_files),
    )


def scan_paths(paths: list[Path]) -> Iterator[FileReport]:
    """Raises DeviceError for a path that cannot be read; a file of a folder that cannot be is unparsed."""
    for path in paths:
        if path.is_dir():
            reports: list[FileReport] = []
            for file in _files(path):
                if len(reports) >= FILES_LIMIT:
                    raise DeviceError(f"{path} holds more than {FILES_LIMIT} files: scan its folders one at a time")
                reports.append(_scan_in_folder(file))
            yield from _without_raw(reports)
        else:
            yield scan_file(path)


def _scan_in_folder(path: Path) -> FileReport:
    try:
        return scan_file(path)
    except DeviceError as exc:
        finding = ScanFinding(rule="unparsed", file=str(path), words=exc.message)
        return FileReport(path=str(path), format="unknown", size_bytes=0, findings=(finding,), worst=finding.weight)


def _without_raw(reports: list[FileReport]) -> Iterator[FileReport]:
    """Files that an ONNX model says it keeps its tensors in are of no kind, and need not be: they are read as numbers alone.

    A name that other loaders take for their own is not made clean by it.
    """
    raw = {os.path.normpath(Path(report.path).parent / name) for report in reports for name in report.data_files}
    for report in reports:
        is_raw = os.path.normpath(report.path) in raw and Path(report.path).suffix.lower() in RAW_NAMES
        if is_raw and all(finding.rule == "unparsed" for finding in report.findings):
            yield replace(report, format="ONNX data", findings=(), worst=Weight.NOTE)
        else:
            yield report


def _files(folder: Path) -> Iterator[Path]:
    """Links to files are followed, as download caches have them; links to folders and `.git` are not."""

    def failed(exc: OSError) -> None:
        raise DeviceError(f"cannot read {exc.filename}: {exc.strerror}") from exc

    for root, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(f for f in folders if f != ".git")
        yield from (Path(root) / name for name in sorted(names))


def _look(source: Source, context: Context) -> str:
    """What the bytes are; their scanner is run."""
    head = source.read_at(0, HEAD_BYTES)
    name = context.name.rpartition("!")[2]
    suffix = PurePosixPath(name.lower()).suffix
    kind = _scan_known(head, source, context, suffix) or _scan_rest(head, source, context, suffix)
    if not context.quiet and suffix in PROMISES and kind not in PROMISES[suffix] and kind not in ("unknown", "empty"):
        context.find("wrong-extension", f"a {suffix} file that is {kind}")
    return kind


def _scan_known(head: bytes, source: Source, context: Context, suffix: str) -> str | None:
    for kind, (matches, scanner) in FORMATS.items():
        if matches(head):
            inner = scanner(source, context)
            return inner if isinstance(inner, str) else kind
    for magic, kind in CLOSED.items():
        if head.startswith(magic) and not context.quiet:
            context.find("unparsed", f"{kind}: not opened")
            return kind
    for magic, (kind, make) in PACKERS.items():
        if head.startswith(magic) and not context.quiet and (kind != "zlib" or suffix in MODEL_NAMES):
            with context.unpacked(streams(source, magic, make, context, kind), source.size_bytes) as unpacked:
                context.descend(
                    PurePosixPath(context.name).stem if suffix in (".gz", ".bz2", ".xz") else f"unpacked{suffix}", unpacked
                )
            return kind
    return None


def _scan_rest(head: bytes, source: Source, context: Context, suffix: str) -> str:
    base = context.name.rpartition("!")[2].rpartition("/")[2]
    if not head and suffix not in MODEL_NAMES:
        return "empty"
    if suffix == ".onnx" or (
        looks_like_onnx(head) and suffix not in PICKLES and not context.quiet and not _is_pickle(head, source, context)
    ):
        scan_onnx(source, context)
        return "ONNX"
    if suffix == ".model" and head[:1] == b"\x0a" and is_protobuf(source):
        return "SentencePiece"
    if (suffix in PICKLES and not context.quiet) or _is_pickle(head, source, context):
        scan_pickles(source, context)
        return "pickle"
    if context.quiet:
        return "raw"
    if suffix == ".json":
        (scan_config if base == "config.json" and "!" in context.name else scan_json)(source, context)
        return "JSON"
    if head.startswith(PICTURES):
        return "picture"
    if suffix not in MODEL_NAMES and _is_text(head, source):
        if suffix in TEMPLATES or base == "chat_template":
            scan_template_file(source, context)
        elif suffix in CODE or head.startswith(b"#!"):
            scan_code(source, context)
        return "text"
    context.find("unparsed", "of no known kind", 0)
    return "unknown"


def _is_pickle(head: bytes, source: Source, context: Context) -> bool:
    """Pickles have no sure sign: one that may be is walked for a try, and is one if it comes to its end or does harm before."""
    if not looks_like_pickle(head):
        return False
    trial = replace(context, tally=Tally())
    outcome = walk(source, trial)
    if head[:1] == b"\x80" and not context.quiet:
        return True
    does_harm = trial.tally.worst is Weight.MALICIOUS and (head[:1] == b"\x80" or outcome.opcodes >= OPCODES_OF_HARM)
    return (outcome.whole and outcome.opcodes > 0) or does_harm


def _is_text(head: bytes, source: Source) -> bool:
    """Of a long file its beginning; a character may be cut there."""
    data = head if source.size_bytes <= HEAD_BYTES else source.read_at(0, TEXT_LIMIT_BYTES)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=len(data) == source.size_bytes)
    except UnicodeDecodeError:
        return False
    return b"\0" not in data
