import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from bench import __main__ as bench


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    def good(report: Callable[..., None], models_dir: Path) -> None:
        report("good.speed", 12.5, "tokens/s", peer="llama.cpp", peer_version="1", ratio=1.25, limit=1.0)
        report(name="good.count", value=3, unit="files")

    def bad(report: Callable[..., None], models_dir: Path) -> None:
        report("bad.before", 1.0, "s")
        raise RuntimeError("the part broke")

    for name, run in (("good", good), ("bad", bad)):
        module = ModuleType(f"bench_{name}")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"bench_{name}", module)
    monkeypatch.setattr(bench, "PARTS", {"good": "bench_good", "bad": "bench_bad", "absent": "bench_absent"})


def test_a_figure_is_one_json_object_a_line(parts: None, tmp_path: Path) -> None:
    result = CliRunner().invoke(bench.main, ["--only", "good", "--out", str(tmp_path / "out.jsonl")])
    assert result.exit_code == 0, result.output
    first, second = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert first == {
        "name": "good.speed",
        "value": 12.5,
        "unit": "tokens/s",
        "peer": "llama.cpp",
        "peer_version": "1",
        "ratio": 1.25,
        "limit": 1.0,
    }
    assert second["ratio"] is None
    assert "good.speed" in result.output


def test_a_part_that_fails_is_said_and_the_others_go_on(parts: None, tmp_path: Path) -> None:
    result = CliRunner().invoke(bench.main, ["--only", "bad, absent, good", "--out", str(tmp_path / "out.jsonl")])
    assert result.exit_code == 1
    assert "the part broke" in result.output
    assert "needs bench_absent, which is not installed" in " ".join(result.output.split())
    assert "failed: bad, absent" in result.output
    names = [json.loads(line)["name"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert names == ["bad.before", "good.speed", "good.count"]


def test_an_unknown_part_names_the_known_ones(parts: None) -> None:
    result = CliRunner().invoke(bench.main, ["--only", "nothing"])
    assert result.exit_code == 2
    assert "the parts are good, bad, absent" in result.output


def test_a_part_of_a_part_can_be_run_alone(parts: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        sys.modules["bench_good"], "SUBPARTS", {"half": lambda report, _: report("good.half", 1.0, "s")}, raising=False
    )
    result = CliRunner().invoke(bench.main, ["--only", "good.half", "--out", str(tmp_path / "out.jsonl")])
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["name"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["good.half"]


def test_no_name_means_every_part(parts: None) -> None:
    assert bench.chosen("") == ["good", "bad", "absent"]


def test_every_part_is_a_file_beside_the_table() -> None:
    folder = Path(bench.__file__).parent
    assert [name for name, module in bench.PARTS.items() if not (folder / f"{module.removeprefix('bench.')}.py").exists()] == []


def test_machine_facts_name_the_cpu_and_the_versions() -> None:
    facts = bench.machine_facts()
    assert "cores" in facts
    assert f"Python {sys.version.split()[0]}" in facts
    assert "numpy" in facts
