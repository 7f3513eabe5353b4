"""Every way by which a pickle gets a callable and calls it, made up at random, in every kind of file: none is missed.

Each stream is first given to CPython's own unpickler with nothing to import but inert classes: it must come to the import, or
the test would prove nothing.
"""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.provenance.scan.findings import Verdict
from tests.provenance.scan.looks import look
from tests.provenance.scan.test_differential import PYTHON, C

HARM = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("__builtin__", "apply"),
    ("commands", "getoutput"),
    ("runpy", "run_path"),
    ("importlib", "import_module"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("codecs", "open"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("marshal", "loads"),
    ("types", "FunctionType"),
    ("ctypes", "CDLL"),
    ("socket", "create_connection"),
    ("webbrowser", "open"),
    ("pip", "main"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("numpy", "load"),
    ("joblib", "load"),
    ("collections", "_sys.modules"),
    ("torch", "serialization.os.system"),
]

texts: dict[str, Callable[[str], bytes]] = {
    "SHORT_BINUNICODE": lambda t: b"\x8c" + bytes([len(t)]) + t.encode(),
    "BINUNICODE": lambda t: b"X" + struct.pack("<I", len(t)) + t.encode(),
    "BINUNICODE8": lambda t: b"\x8d" + struct.pack("<Q", len(t)) + t.encode(),
    "UNICODE": lambda t: b"V" + t.encode() + b"\n",
    "UNICODE, escaped": lambda t: b"V" + "".join(f"\\u{ord(c):04x}" for c in t).encode() + b"\n",
    "STRING": lambda t: b"S'" + t.encode() + b"'\n",
    "STRING, escaped": lambda t: b'S"' + "".join(f"\\x{ord(c):02x}" for c in t).encode() + b'"\n',
    "SHORT_BINSTRING": lambda t: b"U" + bytes([len(t)]) + t.encode(),
    "BINSTRING": lambda t: b"T" + struct.pack("<I", len(t)) + t.encode(),
}
# A value through the memo, by duplication, out of a tuple's making and unmaking of marks: what it is stays the same.
detours: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda v: v,
    "DUP and POP": lambda v: v + b"20",
    "BINPUT, POP, BINGET": lambda v: v + b"q\x070h\x07",
    "PUT, POP, GET": lambda v: v + b"p9\n0g9\n",
    "LONG_BINPUT, POP, LONG_BINGET": lambda v: v + b"r\x00\x02\x00\x000j\x00\x02\x00\x00",
    "kept twice": lambda v: v + b"q\x05q\x060h\x06",
    "overwritten": lambda v: b"N" + b"q\x030" + v + b"q\x030h\x03",
    "POP_MARK before": lambda v: b"(NK\x011" + v,
    "POP of a mark": lambda v: b"(0" + v,
}
junk = st.sampled_from(
    [b"", b"N0", b"]0", b"}0", b"(t0", b"K\x050", b"\x8f0", b"(l0", b"(d0", b")0", b"\x880", b"I01\n0", b"F1.5\n0"]
)


def by_global(module: str, name: str, draw: st.DrawFn) -> bytes:
    return f"c{module}\n{name}\n".encode()


def by_stack_global(module: str, name: str, draw: st.DrawFn) -> bytes:
    parts = []
    for text in (module, name):
        value = texts[draw(st.sampled_from(sorted(texts)))](text)
        parts.append(draw(junk) + detours[draw(st.sampled_from(sorted(detours)))](value))
    return b"".join(parts) + b"\x93"


@st.composite
def attacks(draw: st.DrawFn) -> tuple[bytes, str]:
    """(a stream, the name that it imports)."""
    module, name = draw(st.sampled_from(HARM))
    start = draw(st.sampled_from([b"\x80\x04", b"\x80\x05", b"\x80\x04\x80\x04"]))  # dotted names walk from protocol 4 on
    importing = draw(st.sampled_from([by_global, by_stack_global]))
    callee = detours[draw(st.sampled_from(sorted(detours)))](importing(module, name, draw))
    argument = draw(st.sampled_from([b"N", b"K\x01", b"S'true'\n", b"\x8c\x04true", b")", b"]", b"}"]))
    call = draw(
        st.sampled_from(
            [
                callee + b"(" + argument + b"tR",
                callee + argument + b"\x85R",
                callee + b")R",
                b"(" + callee + argument + b"o",
                f"(Ni{module}\n{name}\n".encode(),
                callee + argument + b"\x85\x81",
                callee + b")}\x92",
                callee + b"}b",
                callee,
            ]
        )
    )
    within = [
        call,
        b"]" + call + b"a",
        b"](" + call + b"e",
        b"(" + call + b"t",
        b"}\x8c\x01w" + call + b"s",
        b"}(\x8c\x01w" + call + b"u",
        call + b"0N",
    ]
    wrapped = draw(st.sampled_from(within))
    body = draw(junk) + wrapped + b"."
    if draw(st.booleans()):
        body = b"\x95" + struct.pack("<Q", len(body)) + body
    return start + body, f"{module}.{name}"


def zipped(data: bytes, name: str, method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def tarred(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("weights")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def in_numpy(data: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def in_bytes(data: bytes) -> bytes:
    return b"\x80\x04B" + struct.pack("<I", len(data)) + data + b"."


CONTAINERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "alone": (lambda d: d, "model.pkl"),
    "by another name": (lambda d: d, "README"),
    "as weights": (lambda d: d, "model.safetensors"),
    "gzip": (gzip.compress, "model.pkl.gz"),
    "bzip2": (bz2.compress, "model.joblib"),
    "xz": (lzma.compress, "model.pkl"),
    "zlib": (zlib.compress, "model.joblib"),
    "PyTorch": (lambda d: zipped(d, "archive/data.pkl", zipfile.ZIP_STORED), "model.pt"),
    "a tensor of PyTorch": (lambda d: zipped(d, "archive/data/0", zipfile.ZIP_STORED), "model.pt"),
    "a packed zip": (lambda d: zipped(d, "x", zipfile.ZIP_DEFLATED), "model.bin"),
    "a zip in a zip": (lambda d: zipped(zipped(d, "y", 8), "x", 0), "model.zip"),
    "NumPy": (in_numpy, "model.npy"),
    "NumPy's archive": (lambda d: zipped(in_numpy(d), "a.npy", 8), "model.npz"),
    "tar": (tarred, "model.tar"),
    "a packed tar": (lambda d: gzip.compress(tarred(d)), "model.tar.gz"),
    "in bytes": (in_bytes, "model.pkl"),
    "after another": (lambda d: b"\x80\x04N." + d, "model.pkl"),
}


@settings(max_examples=250)
@given(attacks(), st.sampled_from(sorted(CONTAINERS)))
def test_no_way_to_a_call_is_missed_in_any_kind_of_file(attack: tuple[bytes, str], container: str) -> None:
    stream, name = attack
    imported = C(stream) | PYTHON(stream)
    assert imported
    pack, file_name = CONTAINERS[container]
    report = look(pack(stream), file_name)
    assert report.verdict is Verdict.MALICIOUS, (name, imported, report)
