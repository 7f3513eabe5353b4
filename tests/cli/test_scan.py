import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.provenance.scan.findings import RULES

EVIL = b"cos\nsystem\n(S'true'\ntR."


def scan(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["scan", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"hidden_size": 8}')
    (tmp_path / "m" / "modeling.py").write_text("pass\n")
    return tmp_path / "m"


def test_a_clean_folder_is_exit_code_0(folder: Path) -> None:
    result = scan(folder)
    assert (result.exit_code, result.stdout) == (0, "2 files: 2 clean\n")
    assert "config.json" in scan(folder, "--all").stdout


def test_a_folder_without_a_file_was_not_scanned(tmp_path: Path) -> None:
    """A check of the wrong folder must not pass."""
    result = scan(tmp_path)
    assert result.exit_code == 2
    assert "nothing was scanned" in result.stderr


def test_findings_are_exit_code_1_and_name_file_place_and_class(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(EVIL)
    (folder / "README.md").write_bytes(b"hello")
    result = scan(folder)
    assert result.exit_code == 1
    assert "imports 'os.system'" in result.stdout
    assert "byte 0" in result.stdout
    assert "4 files: 1 malicious, 3 clean" in result.stdout
    assert "CWE-502" in result.stdout


def test_what_cannot_be_read_is_exit_code_2(tmp_path: Path) -> None:
    result = scan(tmp_path / "absent")
    assert result.exit_code == 2
    assert "cannot read" in result.stderr
    assert scan().exit_code == 2
    assert scan(tmp_path, "--sarif", tmp_path / "no" / "x.sarif").exit_code == 2


def test_json_has_every_finding(folder: Path) -> None:
    (folder / "a.pkl").write_bytes(EVIL)
    document = json.loads(scan(folder, "--json").stdout)
    assert document["verdict"] == "malicious"
    (bad,) = [file for file in document["files"] if file["verdict"] == "malicious"]
    assert bad["path"] == str(folder / "a.pkl")
    assert bad["format"] == "pickle"
    (finding,) = bad["findings"]
    assert (finding["rule"], finding["offset"], finding["severity"], finding["cwe"]) == ("pickle-code", 0, "malicious", "CWE-502")


def test_sarif_has_what_the_standard_requires(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SARIF 2.1.0: §3.13 log, §3.14 run, §3.19 driver, §3.27 result, §3.28 location, §3.49 rules."""
    (folder / "ä b.pkl").write_bytes(EVIL)
    monkeypatch.chdir(folder)
    assert scan(".", "--sarif", "out.sarif").exit_code == 1
    log = json.loads(Path("out.sarif").read_text())
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        for location in result["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert " " not in uri
    (bad,) = [result for result in run["results"] if result["ruleId"] == "pickle-code"]
    place = bad["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "%C3%A4%20b.pkl"
    assert place["region"]["byteOffset"] == 0
