"""What one scan of one file shares: its limits, its findings, and the way into what is nested.

Limits are a scan's own: a file that needs more is not read to its end and so never clean.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

from freehold.provenance.scan.findings import ScanFinding, Weight
from freehold.provenance.scan.source import Source

DEPTH_LIMIT = 6  # an archive in an archive in an archive is already odd
UNPACKED_LIMIT_BYTES = 2 << 30  # of one file, together; to disk, not to memory
BOMB_RATIO = 200  # DEFLATE's best is about 1,032; text reaches 20, zeroed tensors more
BOMB_BYTES = 512 << 20  # what may come out whatever the ratio
SPOOL_BYTES = 8 << 20  # kept in memory before it goes to disk
FINDINGS_LIMIT = 200


@dataclass
class Tally:
    """Of the whole file, its members included."""

    findings: list[ScanFinding] = field(default_factory=list)
    seen: set[tuple[str, str, str]] = field(default_factory=set)
    left_out: int = 0
    worst: Weight = Weight.NOTE
    unpacked_bytes: int = 0
    data_files: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Context:
    """Where a scanner is. `name` is what findings name; `look` sniffs a nested source and scans it."""

    name: str
    tally: Tally
    look: Callable[[Source, "Context"], str]
    depth: int = 0
    quiet: bool = False  # data members: only what is known to be something is looked at

    def find(self, rule: str, words: str, offset: int | None = None) -> None:
        """The same words of the same place are kept once."""
        tally, finding = self.tally, ScanFinding(rule=rule, file=self.name, words=words, offset=offset)
        tally.worst = max(tally.worst, finding.weight)
        key = (rule, self.name, words)
        if key in tally.seen:
            return
        if len(tally.findings) >= FINDINGS_LIMIT:
            tally.left_out += 1
            return
        tally.seen.add(key)
        tally.findings.append(finding)

    def inside(self, member: str, *, quiet: bool = False) -> "Context":
        printable = "".join(c if c.isprintable() else "\ufffd" for c in member[:200])
        return replace(self, name=f"{self.name}!{printable}", depth=self.depth + 1, quiet=quiet)

    def descend(self, member: str, source: Source, *, quiet: bool = False) -> str:
        """Scan what is nested; too deep is a finding. Gives the format that was seen."""
        if self.depth >= DEPTH_LIMIT:
            self.find("limit", f"archives lie more than {DEPTH_LIMIT} deep in each other")
            return "unknown"
        return self.look(source, self.inside(member, quiet=quiet))

    @contextmanager
    def unpacked(self, pieces: Iterator[bytes], packed_bytes: int) -> Iterator[Source]:
        """What `pieces` give as a source. Stops at the limits, and says so; what came until then is scanned all the same."""
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            size_bytes = 0
            for piece in pieces:
                spool.write(piece)
                size_bytes += len(piece)
                self.tally.unpacked_bytes += len(piece)
                if size_bytes > BOMB_BYTES and size_bytes > BOMB_RATIO * packed_bytes:
                    self.find("archive-bomb", f"{packed_bytes} bytes unpack to more than {size_bytes}")
                    break
                if self.tally.unpacked_bytes > UNPACKED_LIMIT_BYTES:
                    self.find("limit", f"unpacks to more than {UNPACKED_LIMIT_BYTES} bytes")
                    break
            yield Source(cast("BinaryIO", spool), 0, size_bytes)
