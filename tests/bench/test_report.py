import io
import json

from bench.report import Report, table
from rich.console import Console


def test_the_table_shows_value_peer_ratio_and_limit() -> None:
    report = Report(io.StringIO())
    report("engine.decode", 61.25, "tokens/s", peer="llama.cpp", peer_version="b1", ratio=1.173, limit=1.0)
    report("guard.lines", 21000, "lines/s")
    console = Console(width=140, file=io.StringIO())
    console.print(table(report.figures))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for shown in ("61.2", "llama.cpp b1", "1.17", "21,000"):
        assert shown in text


def test_a_figure_is_on_disk_before_the_next_is_measured() -> None:
    file = io.StringIO()
    report = Report(file)
    report("a", 1, "s")
    assert json.loads(file.getvalue())["value"] == 1.0
