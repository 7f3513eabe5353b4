"""`freehold scan`: what model files would do, before anything loads them.

Exit codes: 0 all clean, 1 something was found or could not be read to its end, 2 a path could not be scanned.
"""

import json
import sys
from pathlib import Path

import click
from rich.table import Table

from freehold.cli import Unusable
from freehold.cli.terminal import print_table
from freehold.core.errors import DeviceError, os_errors
from freehold.provenance.scan.findings import RULES, FileReport, Verdict, Weight
from freehold.provenance.scan.report import as_json, as_sarif, worst
from freehold.provenance.scan.scanner import scan_paths


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--json", "json_wanted", is_flag=True, help="One JSON document, for a program.")
@click.option("--sarif", type=click.Path(path_type=Path), help="Write SARIF 2.1.0 to this file as well.")
@click.option("--all", "show_all", is_flag=True, help="Show clean files, too.")
def scan(paths: tuple[Path, ...], json_wanted: bool, sarif: Path | None, show_all: bool) -> None:
    """Tell what model files would do when they are loaded, without loading them.

    PATH is a file or a folder. Pickles are judged by the names they import, GGUF, safetensors, ONNX, Keras and NumPy files by
    their headers, archives by every member, chat templates and configs by the code they reach for. What cannot be read to its
    end is never clean.

    Exit code 0: all clean; 1: something was found; 2: a path could not be scanned.
    """
    try:
        reports = list(scan_paths(list(paths)))
        if not reports:
            raise Unusable(f"there is no file in {', '.join(map(str, paths))}: nothing was scanned")
        if sarif is not None:
            with os_errors(f"cannot write {sarif}"):
                sarif.write_text(json.dumps(as_sarif(reports), indent=2) + "\n", encoding="utf-8")
    except DeviceError as error:
        raise Unusable(error.message) from error
    if json_wanted:
        click.echo(json.dumps(as_json(reports), indent=2))
    else:
        _show(reports, show_all=show_all)
    sys.exit(0 if worst(reports) is Verdict.CLEAN else 1)


def _show(reports: list[FileReport], *, show_all: bool) -> None:
    table = Table("verdict", "file", "format", "rule", "place", "what was found", box=None, pad_edge=False)
    table.columns[5].overflow = "fold"
    for report in reports:
        _add_rows(table, report, show_all=show_all)
    if table.row_count:
        print_table(table)
        click.echo()
    count = {verdict: sum(report.verdict is verdict for report in reports) for verdict in Verdict}
    said = ", ".join(f"{count[verdict]} {verdict.value}" for verdict in reversed(Verdict) if count[verdict])
    click.echo(f"{len(reports)} file{'s' if len(reports) != 1 else ''}: {said}")
    _show_cves(reports)


def _add_rows(table: Table, report: FileReport, *, show_all: bool) -> None:
    if not report.findings and show_all:
        table.add_row(report.verdict.value, report.path, report.format, "", "", "")
    for finding in report.findings:
        if finding.weight is Weight.NOTE and not show_all:
            continue
        member = finding.file.removeprefix(report.path).removeprefix("!")
        place = " ".join(part for part in (member, "" if finding.offset is None else f"byte {finding.offset}") if part)
        table.add_row(report.verdict.value, report.path, report.format, finding.rule, place, finding.words)
    if report.left_out:
        table.add_row(report.verdict.value, report.path, report.format, "", "", f"and {report.left_out} more")


def _show_cves(reports: list[FileReport]) -> None:
    """What the rules that were met stand for."""
    for name in dict.fromkeys(f.rule for report in reports for f in report.findings if f.weight is Weight.MALICIOUS):
        rule = RULES[name]
        click.echo(f"  {name}: {rule.about} ({', '.join((rule.cwe, *rule.cves))})")
