"""The nouns of a scan, and the table of its rules.

A rule's weight says what one finding of it makes of a file. What could not be read is not harmless: `unparsed` weighs more than
`suspicious`. The CWE is the class of weakness; CVEs are cases in which that very structure was used against a loader.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Verdict(StrEnum):
    """As `Weight` has it, in the same order."""

    CLEAN = "clean"
    SUSPICIOUS = "suspicious"  # nothing known to be bad, and not known to be good
    UNPARSED = "unparsed"  # some of it could not be read: it must not be loaded
    MALICIOUS = "malicious"  # built to do what weights never do


class Weight(IntEnum):
    """Of a finding, lightest first. A note does not change the verdict."""

    NOTE = 0
    SUSPICIOUS = 1
    UNPARSED = 2
    MALICIOUS = 3

    @property
    def verdict(self) -> Verdict:
        return list(Verdict)[self]


@dataclass(frozen=True, slots=True)
class Rule:
    weight: Weight
    about: str
    cwe: str
    cves: tuple[str, ...] = ()


_NOTE, _SUSPICIOUS, _UNPARSED, _MALICIOUS = Weight.NOTE, Weight.SUSPICIOUS, Weight.UNPARSED, Weight.MALICIOUS
_PICKLE_CVES = ("CVE-2025-1716", "CVE-2025-1944", "CVE-2025-1945", "CVE-2025-10155", "CVE-2025-10156", "CVE-2025-10157")
_GGUF_CVES_WORDS = (
    "CVE-2024-21802 CVE-2024-21825 CVE-2024-21836 CVE-2024-23496 CVE-2024-23605 CVE-2025-53630 CVE-2026-27940 CVE-2026-33298"
)
_GGUF_CVES = tuple(_GGUF_CVES_WORDS.split())

RULES: dict[str, Rule] = {
    "unparsed": Rule(_UNPARSED, "could not be read to its end, or is of no known kind", "CWE-20"),
    "wrong-extension": Rule(_SUSPICIOUS, "is not what its name says", "CWE-646", ("CVE-2025-10155",)),
    "limit": Rule(_UNPARSED, "is larger or deeper than a scan goes", "CWE-400"),
    "pickle-import": Rule(_SUSPICIOUS, "imports what is not on the list of harmless names", "CWE-502"),
    "pickle-code": Rule(_MALICIOUS, "imports what can run code, or reach files or the network", "CWE-502", _PICKLE_CVES),
    "pickle-hidden-import": Rule(_MALICIOUS, "imports a name that it computes or hides", "CWE-502"),
    "trailing-data": Rule(_SUSPICIOUS, "goes on after its end", "CWE-506"),
    "zip-mismatch": Rule(
        _SUSPICIOUS,
        "two readers of this archive see different contents",
        "CWE-436",
        ("CVE-2025-1944", "CVE-2025-1945", "CVE-2025-10156"),
    ),
    "zip-hidden-member": Rule(_MALICIOUS, "holds a member that its directory does not list", "CWE-436"),
    "archive-path": Rule(_MALICIOUS, "a member would be written outside its folder", "CWE-22"),
    "archive-link": Rule(_SUSPICIOUS, "holds a link or a device", "CWE-59"),
    "archive-bomb": Rule(_MALICIOUS, "unpacks to a great deal more than it is", "CWE-409"),
    "header-lie": Rule(_MALICIOUS, "a header's sizes or counts do not fit its file", "CWE-125", _GGUF_CVES),
    "cut-short": Rule(
        _UNPARSED, "ends before its header says: cut off on its way, or sizes that lie", "CWE-125", ("CVE-2026-7482",)
    ),
    "header-odd": Rule(_SUSPICIOUS, "a header that no common writer makes", "CWE-20"),
    "template-code": Rule(
        _MALICIOUS, "a chat template reaches for Python's insides", "CWE-1336", ("CVE-2024-34359", "CVE-2026-5760")
    ),
    "template-odd": Rule(_SUSPICIOUS, "a chat template does more than format a conversation", "CWE-1336"),
    "code-hook": Rule(_SUSPICIOUS, "asks its loader to run code that comes with the model", "CWE-829"),
    "code-file": Rule(_NOTE, "a program beside the weights", "CWE-829"),
    "keras-code": Rule(_MALICIOUS, "a layer that carries or names code", "CWE-94", ("CVE-2024-3660", "CVE-2025-1550")),
    "onnx-path": Rule(
        _MALICIOUS, "external data outside the model's folder", "CWE-22", ("CVE-2022-25882", "CVE-2024-27318", "CVE-2024-5187")
    ),
    "onnx-operator": Rule(_SUSPICIOUS, "needs operators that are not ONNX's own", "CWE-829"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFinding:
    """`file` names a member behind its archive: "model.pt!archive/data.pkl". `offset` counts bytes in that member."""

    rule: str
    file: str
    words: str  # what was found, in a sentence's part; foreign names in it are cut and printable
    offset: int | None = None

    @property
    def weight(self) -> Weight:
        return RULES[self.rule].weight


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """One file of a scan. `format` is what its bytes say it is."""

    path: str
    format: str
    size_bytes: int
    findings: tuple[ScanFinding, ...]
    left_out: int = 0  # findings over the limit; they count in `verdict`
    worst: Weight = Weight.NOTE
    data_files: frozenset[str] = frozenset()  # beside it, in which it says its tensors lie

    @property
    def verdict(self) -> Verdict:
        return self.worst.verdict


def shown(name: str, limit: int = 80) -> str:
    """A foreign name as a message may hold it: short, quoted and printable."""
    return repr(name if len(name) <= limit else name[:limit] + "...")
