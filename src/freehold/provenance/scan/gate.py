"""Stands where files become a model of this node, and where a model is loaded: what may do harm goes no further.

Refused is what is malicious, and what was not read to its end: nobody can say that it is harmless. Of a model that was signed
for, the scan reads checked blocks alone, so that what it saw is what is computed from, whatever happens to the files between.
"""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from freehold.core.errors import DangerousArtefact, MalformedArtefact, os_errors
from freehold.core.models import BLOCK_BYTES, ManifestFile, VerifiedModel
from freehold.provenance.progress import Progress, Silent
from freehold.provenance.scan.findings import RULES, FileReport, Verdict
from freehold.provenance.scan.scanner import scan_file, scan_source
from freehold.provenance.scan.source import Source

_KEPT_BLOCKS = 4  # a header is read from front to back, and the file's end once


def refuse_unsafe(directory: Path, names: Iterable[str], progress: Progress) -> None:
    """Scan the files `names` of `directory`. What is merely odd is told.

    Raises DangerousArtefact for a malicious file, MalformedArtefact for one that cannot be read to its end, DeviceError.
    """
    for name in names:
        _judge(scan_file(directory / name, name), directory / name, progress)


def refuse_unsafe_model(model: VerifiedModel) -> None:
    """The same before a load, of a model that was signed for before: by an older release, or with rules that were fewer.

    Raises VerificationError as well, for a file that is not what was signed.
    """
    for file in model.manifest.files:
        path = model.directory / file.name
        with os_errors(f"cannot read {path}"), path.open("rb") as handle:
            checked = cast("BinaryIO", _CheckedBlocks(model, file, handle))
            report = scan_source(Source(checked, 0, file.size_bytes), file.name)
        _judge(report, path, Silent())


class _CheckedBlocks:
    """The part of a binary file that a `Source` needs: what `read` gives has passed the manifest in memory of our own."""

    def __init__(self, model: VerifiedModel, file: ManifestFile, handle: BinaryIO) -> None:
        self._check, self._file, self._handle = model.check_block, file, handle
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._at = 0

    def seek(self, offset: int) -> int:
        self._at = offset
        return offset

    def read(self, count: int) -> bytes:
        end = min(self._at + count, self._file.size_bytes)
        parts = []
        while self._at < end:
            block, start = divmod(self._at, BLOCK_BYTES)
            part = self._block(block)[start : start + end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def _block(self, index: int) -> bytes:
        if index not in self._blocks:
            self._handle.seek(index * BLOCK_BYTES)
            block = self._handle.read(min(BLOCK_BYTES, self._file.size_bytes - index * BLOCK_BYTES))
            self._check(self._file.name, index, memoryview(block))
            self._blocks[index] = block
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return self._blocks[index]


def _judge(report: FileReport, path: Path, progress: Progress) -> None:
    if report.verdict is Verdict.CLEAN:
        return
    said = _worst_words(report)
    if report.verdict is Verdict.SUSPICIOUS:
        progress.note(f"{report.path} is {report.verdict.value}: {said} (freehold scan tells more)")
        return
    closer = f"Nothing of it was loaded; look closer with: freehold scan '{path}'"
    if report.verdict is Verdict.MALICIOUS:
        raise DangerousArtefact(f"{path} is refused: {said}. {closer}")
    raise MalformedArtefact(f"{path} is refused, as it could not be read to its end: {said}. {closer}")


def _worst_words(report: FileReport) -> str:
    finding = max(report.findings, key=lambda found: found.weight)
    rule = RULES[finding.rule]
    return f"{finding.words} [{', '.join((finding.rule, rule.cwe, *rule.cves[:3]))}]"
