"""A scan as documents: JSON of our own, and SARIF 2.1.0, which code hosts and editors show.

SARIF names a file by a relative URI and a place in it by a byte offset; a member of an archive is a logical location.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from freehold import __version__
from freehold.provenance.scan.findings import RULES, FileReport, Rule, ScanFinding, Verdict, Weight

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Weight.NOTE: "note", Weight.SUSPICIOUS: "warning", Weight.UNPARSED: "error", Weight.MALICIOUS: "error"}
_SEVERITIES = {Weight.NOTE: "1.0", Weight.SUSPICIOUS: "5.0", Weight.UNPARSED: "6.0", Weight.MALICIOUS: "9.0"}  # as CVSS counts


def as_json(reports: Sequence[FileReport]) -> dict[str, Any]:
    return {
        "verdict": worst(reports).value,
        "files": [
            {
                "path": report.path,
                "format": report.format,
                "size_bytes": report.size_bytes,
                "verdict": report.verdict.value,
                "findings": [_finding(finding) for finding in report.findings],
                "findings_left_out": report.left_out,
            }
            for report in reports
        ],
    }


def worst(reports: Sequence[FileReport]) -> Verdict:
    return max((report.worst for report in reports), default=Weight.NOTE).verdict


def _finding(finding: ScanFinding) -> dict[str, Any]:
    rule = RULES[finding.rule]
    return {
        "rule": finding.rule,
        "severity": finding.weight.name.lower(),
        "place": finding.file,
        "offset": finding.offset,
        "message": finding.words,
        "cwe": rule.cwe,
        "cves": list(rule.cves),
    }


def as_sarif(reports: Sequence[FileReport]) -> dict[str, Any]:
    names = list(RULES)
    driver = {
        "name": "freehold scan",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(name, rule) for name, rule in RULES.items()],
    }
    results = [_result(report, finding, names.index(finding.rule)) for report in reports for finding in report.findings]
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(name: str, rule: Rule) -> dict[str, Any]:
    cves = f" Seen in {', '.join(rule.cves)}." if rule.cves else ""
    return {
        "id": name,
        "shortDescription": {"text": rule.about},
        "fullDescription": {"text": f"{rule.about} ({rule.cwe}).{cves}"},
        "defaultConfiguration": {"level": _LEVELS[rule.weight]},
        "properties": {"tags": ["security", f"external/cwe/{rule.cwe.lower()}"], "security-severity": _SEVERITIES[rule.weight]},
    }


def _result(report: FileReport, finding: ScanFinding, index: int) -> dict[str, Any]:
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(report.path)}}}
    if finding.file != report.path:
        place["logicalLocations"] = [{"fullyQualifiedName": finding.file, "kind": "member"}]
    elif finding.offset is not None:
        place["physicalLocation"]["region"] = {"byteOffset": finding.offset}
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.weight],
        "message": {"text": f"{finding.file}: {finding.words}"},
        "locations": [place],
    }


def _uri(path: str) -> str:
    return Path(path).absolute().as_uri() if Path(path).is_absolute() else quote(Path(path).as_posix(), safe="/")
