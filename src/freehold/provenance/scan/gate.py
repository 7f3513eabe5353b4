"""Stands where files become a model of this node, and where a model is loaded: what is malicious goes no further.

A scan says what it saw at that moment. What is computed from is checked against the manifest block by block, so that bytes which
passed here and were signed are the bytes that run.
"""

from collections.abc import Iterable
from pathlib import Path

from freehold.core.errors import DangerousArtefact
from freehold.core.models import VerifiedModel
from freehold.provenance.progress import Progress, Silent
from freehold.provenance.scan.findings import FileReport, Verdict
from freehold.provenance.scan.scanner import scan_file


def refuse_malicious(directory: Path, names: Iterable[str], progress: Progress) -> None:
    """Scan the files `names` of `directory`. Raises DangerousArtefact; what is merely odd is told."""
    for name in names:
        report = scan_file(directory / name, name)
        if report.verdict is Verdict.MALICIOUS:
            raise DangerousArtefact(
                f"{directory / name} is refused: {_worst_words(report)}. Nothing of it was loaded; look closer with: "
                f"freehold scan '{directory / name}'"
            )
        if report.verdict is not Verdict.CLEAN:
            progress.note(f"{name} is {report.verdict.value}: {_worst_words(report)} (freehold scan tells more)")


def refuse_malicious_model(model: VerifiedModel) -> None:
    """The same before a load, of a model that was signed for before: by an older release, or with rules that were fewer."""
    refuse_malicious(model.directory, (file.name for file in model.manifest.files), Silent())


def _worst_words(report: FileReport) -> str:
    finding = max(report.findings, key=lambda found: found.weight)
    return f"{finding.words} [{finding.rule}]"
