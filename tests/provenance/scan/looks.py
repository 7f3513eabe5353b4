"""Scans bytes under a name, for tests. Nothing here is ever loaded."""

from freehold.provenance.scan.findings import FileReport, Verdict
from freehold.provenance.scan.scanner import scan_source
from freehold.provenance.scan.source import of_bytes


def look(data: bytes, name: str = "model.pkl") -> FileReport:
    return scan_source(of_bytes(data), name)


def rules(data: bytes, name: str = "model.pkl") -> set[str]:
    return {finding.rule for finding in look(data, name).findings}


def verdict(data: bytes, name: str = "model.pkl") -> Verdict:
    return look(data, name).verdict
