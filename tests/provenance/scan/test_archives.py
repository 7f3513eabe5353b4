import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import pytest

from freehold.provenance.scan import context
from freehold.provenance.scan.findings import Verdict
from tests.provenance.scan.looks import look, rules, verdict

EVIL = b"cos\nsystem\n(S'true'\ntR."
GOOD = pickle.dumps({"a": 1}, 2)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def torch_zip(pickled: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    return zipped({"archive/data.pkl": pickled, "archive/data/0": b"\x80\x02.(\x00\xff" * 4, "archive/version": b"3\n"}, method)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("name", ["m.pt", "pytorch_model.bin", "m.json", "weights", "m.zip", "m.7z"])
def test_a_pickle_in_a_zip_is_found(method: int, name: str) -> None:
    assert verdict(torch_zip(EVIL, method), name) is Verdict.MALICIOUS


def test_a_weights_only_zip_is_clean_and_its_tensors_are_raw() -> None:
    report = look(torch_zip(GOOD), "m.pt")
    assert (report.format, report.findings) == ("PyTorch", ())


def test_findings_name_the_member() -> None:
    (finding,) = look(torch_zip(EVIL), "m.pt").findings
    assert finding.file == "m.pt!archive/data.pkl"


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "encrypted in the directory": lambda z: z.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
    "encrypted in the member": lambda z: z.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01"),
    "another name in the member": lambda z: z.replace(b"archive/data.pkl", b"archive/data.txt", 1),
    "a wrong checksum": lambda z: z[:14] + b"\xff\xff\xff\xff" + z[18:],
    "no directory": lambda z: z[: z.index(b"PK\x01\x02")],
    "a cut directory": lambda z: z[:-30],
    "something in front": lambda z: b"PK\x03\x04" + b"\0" * 60 + z,
    "something behind": lambda z: z + b"more",
    "in a text": lambda z: b"# A model card\n\n" + z,
    "after safetensors": lambda z: struct.pack("<Q", 2) + b"{}" + z,
    "in another zip": lambda z: zipped({"inner.zip": z}),
    "in a tar": lambda z: tarred({"inner": z}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_breaks_one_reader_does_not_hide_a_pickle(how: str) -> None:
    data = BROKEN[how](torch_zip(EVIL))
    assert data != torch_zip(EVIL)
    assert verdict(data, "m.pt") is Verdict.MALICIOUS


@pytest.mark.parametrize("how", [how for how in BROKEN if how not in ("a wrong checksum", "in another zip", "in a tar")])
def test_an_archive_that_readers_see_differently_is_not_clean(how: str) -> None:
    assert verdict(BROKEN[how](torch_zip(GOOD)), "m.pt") is not Verdict.CLEAN


def test_a_member_that_the_directory_leaves_out_is_found() -> None:
    whole = zipped({"archive/data.pkl": GOOD, "archive/more.pkl": EVIL, "archive/version": b"3"})
    start = whole.index(b"PK\x01\x02")
    entries = whole[start:].split(b"PK\x01\x02")
    kept = b"".join(b"PK\x01\x02" + e for e in (entries[1], entries[3].partition(b"PK\x05\x06")[0]))
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 2, 2, len(kept), start, 0)
    assert {"zip-hidden-member", "pickle-code"} <= rules(whole[:start] + kept + end, "m.pt")


def test_a_directory_in_two_places_is_read_in_both() -> None:
    """PyTorch goes to where the end record says, Python to what lies before it."""
    evil = zipped({"archive/data.pkl": EVIL})
    good = zipped({"archive/data.pkl": GOOD})
    first, second = evil[: evil.index(b"PK\x05\x06")], good[: good.index(b"PK\x05\x06")]
    size_bytes = len(second) - second.index(b"PK\x01\x02")
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, size_bytes, first.index(b"PK\x01\x02"), 0)
    assert verdict(first + second + end, "m.pt") is Verdict.MALICIOUS


@pytest.mark.parametrize("name", ["../up.pkl", "/etc/x", "a/../../b", "C:\\x", "..\\up"])
def test_members_that_leave_their_folder_are_named(name: str) -> None:
    assert "archive-path" in rules(zipped({name: b"x"}), "m.zip")
    assert "archive-path" in rules(tarred({name: b"x"}), "m.tar")


def test_a_bomb_is_named_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "BOMB_BYTES", 1 << 20)
    assert "archive-bomb" in rules(zipped({"a.npy": b"\0" * (4 << 20)}, zipfile.ZIP_DEFLATED), "m.npz")


def test_what_is_too_much_to_unpack_is_not_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "UNPACKED_LIMIT_BYTES", 1 << 16)
    assert "limit" in rules(zipped({"a.txt": b"text" * (1 << 16)}, zipfile.ZIP_DEFLATED), "m.zip")


def test_archives_too_deep_in_each_other_are_not_clean() -> None:
    data = zipped({"a.txt": b"x"})
    for _ in range(9):
        data = zipped({"a.zip": data})
    assert "limit" in rules(data, "m.zip")


@pytest.mark.parametrize("head", [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x00", b"\x28\xb5\x2f\xfd", b"\x7fELF", b"MZ\x90\x00"])
@pytest.mark.parametrize("name", ["m.pt", "m.bin", "model", "m.txt"])
def test_what_is_not_opened_is_unparsed(head: bytes, name: str) -> None:
    assert verdict(head + b"\0" * 100, name) is Verdict.UNPARSED


def test_a_method_that_is_not_opened_is_unparsed() -> None:
    assert verdict(zipped({"a.txt": b"x"}, zipfile.ZIP_LZMA), "m.zip") is Verdict.UNPARSED


def tarred(members: dict[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "", form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(data), kind, link
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_a_pickle_in_a_tar_is_found(form: int) -> None:
    members = {"deep/" * 15 + "tensors.pkl": GOOD, "é" * 20 + ".pkl": EVIL}
    assert verdict(tarred(members, form=form), "m.tar") is Verdict.MALICIOUS
    assert verdict(tarred({"a" * 80 + "/" + "b" * 80: EVIL}, form=form), "m.pt") is Verdict.MALICIOUS
    assert verdict(tarred({"a/b.txt": b"hello"}, form=form), "m.tar") is Verdict.CLEAN


def test_links_in_a_tar_are_named() -> None:
    assert rules(tarred({"a": b""}, tarfile.SYMTYPE, "b"), "m.tar") == {"archive-link"}
    assert "archive-path" in rules(tarred({"a": b""}, tarfile.SYMTYPE, "/etc/passwd"), "m.tar")


def test_a_cut_tar_is_unparsed() -> None:
    assert verdict(tarred({"a.txt": b"hello" * 1000})[:2000], "m.tar") is Verdict.UNPARSED


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_streams_one_after_the_other_are_read_as_one(pack: Callable[[bytes], bytes]) -> None:
    assert rules(pack(GOOD) + pack(EVIL), "m.pkl") == {"pickle-code"}
    assert rules(pack(EVIL[:7]) + pack(EVIL[7:]), "m.pkl") == {"pickle-code"}
    assert verdict(pack(GOOD[:5]) + pack(GOOD[5:]), "m.pkl") is Verdict.CLEAN


def test_what_follows_a_packed_stream_is_told() -> None:
    assert rules(gzip.compress(GOOD) + EVIL, "m.pkl") == {"trailing-data"}
    assert rules(zlib.compress(GOOD) + EVIL, "m.pkl") == {"trailing-data"}
