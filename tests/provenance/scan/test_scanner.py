import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import DeviceError
from freehold.provenance.scan.findings import RULES, Verdict
from freehold.provenance.scan.scanner import MODEL_NAMES, scan_file, scan_paths
from tests.provenance.scan.looks import look, verdict
from tests.provenance.scan.test_headers import onnx

HEADS = (
    b"",
    b"GGUF\x03\0\0\0",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x80\x04",
    b"\x93NUMPY\x01\x00",
    b"\x89HDF\r\n\x1a\n",
    b"\x08\x07\x12",
    b"x\x9c",
    b"\x1f\x8b\x08",
    b"BZh9",
    b"\x08\0\0\0\0\0\0\0{",
    b"cos\n",
    b"(",
    b"{",
    b"\x0a",
)


@given(
    st.sampled_from(HEADS), st.binary(max_size=400), st.sampled_from(sorted(MODEL_NAMES - {".model", ".h5", ".hdf5", ".keras"}))
)
def test_noise_never_passes_as_a_model(head: bytes, noise: bytes, suffix: str) -> None:
    """A whole pickle or zip may come of noise; it is then one without imports, and not of this length."""
    report = look(head + noise + b"\xff\x00noise", f"model{suffix}")
    if head != b"\x89HDF\r\n\x1a\n":
        assert report.verdict is not Verdict.CLEAN
    assert not any("broke off" in finding.words for finding in report.findings)


@given(
    st.sampled_from(HEADS),
    st.binary(max_size=400),
    st.sampled_from([".json", ".txt", "", ".jinja", ".tar", ".zip", ".keras", ".model"]),
)
def test_no_bytes_break_a_scan(head: bytes, noise: bytes, suffix: str) -> None:
    report = look(head + noise, f"file{suffix}")
    assert not any("broke off" in finding.words for finding in report.findings)


def test_every_rule_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "scan.md").read_text(encoding="utf-8")
    for name, rule in RULES.items():
        severity = f"`{rule.weight.name.lower()}`" if rule.weight else "no worse"
        assert f"| `{name}` | {severity} | {rule.about} | {', '.join((rule.cwe, *rule.cves))} |" in text


def test_what_lies_around_weights_is_clean() -> None:
    for name, data in {
        "README.md": "# A model\nGrüße\n".encode(),
        "LICENSE": b"Apache",
        "vocab.txt": b"cat\ndog\nfox\nthe\n.\n",
        "words.txt": b"cast\ncopy\nnone\n",
        "more.txt": b"cos\nsystem\nis\nwhat\n",
        "merges.txt": b"#version: 0.2\n\xc4\xa0 t\nh e\n",
        ".gitattributes": b"*.bin filter=lfs\n",
        "tokenizer.model": b"\x0a\x0c\x0a\x05<unk>\x15\0\0\0\0",
        "card.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 20,
        "empty": b"",
        "config.json": b'{"hidden_size": 8}',
    }.items():
        assert look(data, name).findings == (), name


def test_bytes_of_no_known_kind_are_unparsed() -> None:
    assert verdict(b"\x00\x01\x02\xff" * 30, "thing") is Verdict.UNPARSED
    assert verdict(b"version https://git-lfs", "model.bin") is Verdict.UNPARSED
    assert verdict(b"", "model.gguf") is Verdict.UNPARSED


def test_a_file_that_is_not_what_its_name_says_is_told() -> None:
    assert {finding.rule for finding in look(b"\x80\x04N.", "m.safetensors").findings} == {"wrong-extension"}


def test_folders_are_walked_and_links_to_folders_are_not(tmp_path: Path) -> None:
    (tmp_path / "m" / "deep").mkdir(parents=True)
    (tmp_path / "m" / "deep" / "a.pkl").write_bytes(b"\x80\x04N.")
    (tmp_path / "m" / "README.md").write_text("hello")
    (tmp_path / "m" / "loop").symlink_to(tmp_path / "m")
    (tmp_path / "m" / "b.pkl").symlink_to(tmp_path / "m" / "deep" / "a.pkl")
    found = [Path(report.path).relative_to(tmp_path / "m").as_posix() for report in scan_paths([tmp_path / "m"])]
    assert sorted(found) == ["README.md", "b.pkl", "deep/a.pkl"]


def test_files_that_an_onnx_model_keeps_its_tensors_in_need_be_of_no_kind(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx(b"m.data"))
    (tmp_path / "m.data").write_bytes(b"\x00\xff" * 40)
    (tmp_path / "other.data").write_bytes(b"\x00\xff" * 40)
    found = {Path(report.path).name: report.verdict for report in scan_paths([tmp_path])}
    assert found == {"m.onnx": Verdict.CLEAN, "m.data": Verdict.CLEAN, "other.data": Verdict.UNPARSED}
    (tmp_path / "m.data").write_bytes(b"cos\nsystem\n.")
    assert {report.verdict for report in scan_paths([tmp_path])} >= {Verdict.MALICIOUS}


def test_what_cannot_be_read_in_a_folder_keeps_nothing_else_from_being_scanned(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04N.")
    found = {Path(report.path).name: report.verdict for report in scan_paths([tmp_path])}
    assert found == {"pipe": Verdict.UNPARSED, "gone": Verdict.UNPARSED, "a.pkl": Verdict.CLEAN}


def test_what_is_no_file_cannot_be_scanned(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeviceError, match="regular"):
        scan_file(tmp_path / "pipe")
    with pytest.raises(DeviceError, match="cannot read"):
        scan_file(tmp_path / "absent")
