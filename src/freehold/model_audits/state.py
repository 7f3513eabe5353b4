"""What a repeated audit remembers between runs: `<home>/model_audits/NAME.json`, rewritten whole at each run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import msgspec

from freehold.core.errors import DeviceError, MalformedArtefact, os_errors
from freehold.provenance.files import write_durably
from freehold.provenance.model_audit.baseline import Baseline, decode, encode
from freehold.provenance.model_audit.evidence import Evidence

FOLDER = "model_audits"
_FORMAT = "freehold model audit v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`subject` tells what is compared with what, by which plan: evidence of another subject is not continued.

    `pool` is what each run is compared with where the reference is stored: the baseline and the runs since. `known` are the
    names that the upstream called itself so far.
    """

    subject: str
    due_ns: int = 0  # Unix time
    evidence: Evidence = field(default_factory=Evidence)
    known: frozenset[tuple[str, str | None]] = frozenset()
    pool: Baseline | None = None


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    subject: str
    due_ns: int
    runs: int
    log_e: dict[str, float]
    peak: dict[str, float]
    known: list[tuple[str, str | None]]
    pool: msgspec.Raw = msgspec.Raw(b"null")


def subject_of(*parts: object) -> str:
    return sha256("\0".join(map(str, parts)).encode()).hexdigest()


def read_state(home: Path, name: str, subject: str) -> State:
    """A fresh one where nothing is kept of this subject. Raises DeviceError, and MalformedArtefact for a file that is damaged."""
    path = home / FOLDER / f"{name}.json"
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return State(subject=subject)
    except OSError as exc:
        raise DeviceError(f"cannot read {path}: {exc.strerror}") from exc
    try:
        found = msgspec.json.decode(raw, type=_Document)
        pool = decode(bytes(found.pool)) if bytes(found.pool) != b"null" else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MalformedArtefact) as exc:
        raise MalformedArtefact(f"{path} is damaged ({exc}); move it away, and the audit begins anew") from exc
    if found.format != _FORMAT or found.subject != subject:
        return State(subject=subject)
    evidence = Evidence(runs=found.runs, log_e=found.log_e, peak=found.peak)
    return State(subject=subject, due_ns=found.due_ns, evidence=evidence, known=frozenset(found.known), pool=pool)


def write_state(home: Path, name: str, state: State) -> None:
    """Raises DeviceError."""
    document = _Document(
        format=_FORMAT,
        subject=state.subject,
        due_ns=state.due_ns,
        runs=state.evidence.runs,
        log_e=dict(state.evidence.log_e),
        peak=dict(state.evidence.peak),
        known=sorted(state.known, key=str),
        pool=msgspec.Raw(b"null" if state.pool is None else encode(state.pool)),
    )
    path = home / FOLDER / f"{name}.json"
    with os_errors(f"cannot write {path}"):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_durably(path, msgspec.json.encode(document), mode=0o600)


def with_run(state: State, ps: Mapping[str, float], known: frozenset[tuple[str, str | None]], pool: Baseline | None) -> State:
    return replace(state, evidence=state.evidence.after(ps), known=state.known | known, pool=pool)
