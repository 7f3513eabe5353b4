"""What a conversion was made of, as an in-toto statement with SLSA Provenance v1: this GGUF came from that root, by this build.

    subject                 the files that were written: SHA-256, the root of their blocks; and the model's root over all of them
    resolvedDependencies    the source's root, and each of its files
    externalParameters      what was asked for
    internalParameters      by which steps
    builder                 the node, by its key's id; the package by its version and the digest of its files

(slsa.dev/spec/v1.0/provenance; in-toto's Statement v1.) The node's key signs it. It says what this node did; that its output is
what the source gives, anyone can check by converting again: a conversion is a function of source, parameters and build.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

import freehold
from freehold.core.errors import DeviceError, MalformedArtefact, NotFound, VerificationError
from freehold.core.exchange import KeyId
from freehold.core.models import Manifest, ManifestFile
from freehold.core.sealer import Sealer
from freehold.provenance.download import disk_error
from freehold.provenance.envelope import ENVELOPE_LIMIT_BYTES, canonical_json, open_envelope, parse_json, seal
from freehold.provenance.files import write_durably
from freehold.provenance.keys import TrustedKeys
from freehold.provenance.receipt import STATEMENT_MEDIA_TYPE, STATEMENT_TYPE

PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:freehold:build:model-conversion:v1"
SUFFIX: Final = ".provenance.json"
MODEL_ROOT, FILE_ROOT = "freeholdModelRoot", "freeholdFileRoot"  # defined in provenance/manifest.py


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """in-toto's ResourceDescriptor, as far as it is used here."""

    name: str
    digest: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Definition(msgspec.Struct, frozen=True):
    buildType: str  # noqa: N815 - SLSA's own names, here and below
    externalParameters: dict[str, Any]  # noqa: N815
    internalParameters: dict[str, Any]  # noqa: N815
    resolvedDependencies: list[Descriptor]  # noqa: N815


class Builder(msgspec.Struct, frozen=True):
    id: str
    version: dict[str, str]
    builderDependencies: list[Descriptor] = []  # noqa: N815


class Metadata(msgspec.Struct, frozen=True):
    startedOn: str  # noqa: N815
    finishedOn: str  # noqa: N815


class Details(msgspec.Struct, frozen=True):
    builder: Builder
    metadata: Metadata


class Predicate(msgspec.Struct, frozen=True):
    buildDefinition: Definition  # noqa: N815
    runDetails: Details  # noqa: N815


class Statement(msgspec.Struct, frozen=True):
    type_: str = msgspec.field(name="_type")
    subject: list[Descriptor]
    predicateType: str  # noqa: N815
    predicate: Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A statement whose signature held."""

    statement: Statement
    signed_by: KeyId

    @property
    def source(self) -> str:
        return self._first(self.statement.predicate.buildDefinition.resolvedDependencies).name

    @property
    def source_root(self) -> str:
        return self._first(self.statement.predicate.buildDefinition.resolvedDependencies).digest[MODEL_ROOT]

    @property
    def is_of_this_build(self) -> bool:
        built = self.statement.predicate.runDetails.builder.builderDependencies
        return any(one.name == "freehold" and one.digest.get("sha256") == build_digest() for one in built)

    @staticmethod
    def _first(descriptors: Sequence[Descriptor]) -> Descriptor:
        return next(one for one in descriptors if MODEL_ROOT in one.digest)


def model_files(folder: Path) -> list[str]:
    """Of a folder that a conversion wrote, all but the statement about it and signatures."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.endswith((SUFFIX, ".sig")))


def attestation_path(output: Path) -> Path:
    """In a folder of safetensors, beside a file."""
    return output / f"model{SUFFIX}" if output.is_dir() else output.with_name(output.name + SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was done. `asked` and `steps` are JSON values."""

    asked: Mapping[str, Any]
    steps: Mapping[str, Any]
    started_at: datetime
    finished_at: datetime


def attest(output: Manifest, source: Manifest, run: Run, key: Sealer) -> bytes:
    """The signed statement, as JSON."""
    statement = Statement(
        type_=STATEMENT_TYPE,
        subject=[*(_of_file(file) for file in output.files), Descriptor(output.name, {MODEL_ROOT: output.model_id})],
        predicateType=PREDICATE_TYPE,
        predicate=Predicate(
            buildDefinition=Definition(
                buildType=BUILD_TYPE,
                externalParameters=dict(run.asked),
                internalParameters=dict(run.steps),
                resolvedDependencies=[
                    Descriptor(source.name, {MODEL_ROOT: source.model_id}),
                    *(_of_file(file) for file in source.files),
                ],
            ),
            runDetails=Details(
                builder=Builder(
                    id=f"urn:freehold:node:{key.key_id}",
                    version={"freehold": freehold.__version__},
                    builderDependencies=[
                        Descriptor("freehold", {"sha256": build_digest()}, {"version": freehold.__version__}),
                        Descriptor("numpy", annotations={"version": version("numpy")}),
                        Descriptor("python", annotations={"version": platform.python_version()}),
                    ],
                ),
                metadata=Metadata(startedOn=_time(run.started_at), finishedOn=_time(run.finished_at)),
            ),
        ),
    )
    return seal(STATEMENT_MEDIA_TYPE, canonical_json(statement), key)


def write_attestation(path: Path, envelope: bytes) -> None:
    try:
        write_durably(path, envelope)
    except OSError as exc:
        raise disk_error(path, exc) from exc


def _of_file(file: ManifestFile) -> Descriptor:
    known = {} if file.sha256 is None else {"sha256": file.sha256}
    return Descriptor(file.name, known | {FILE_ROOT: file.root.hex()})


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def read_attestation(path: Path, keys: TrustedKeys) -> Attested:
    """Raises NotFound where there is none, VerificationError for one that none of `keys` signed, MalformedArtefact."""
    try:
        with path.open("rb") as file:
            raw = file.read(ENVELOPE_LIMIT_BYTES + 1)
    except FileNotFoundError as exc:
        raise NotFound(f"there is no {path}: what was converted elsewhere, or by an older release, has none") from exc
    except OSError as exc:
        raise DeviceError(f"cannot read {path}: {exc.strerror}") from exc
    opened = open_envelope(raw, STATEMENT_MEDIA_TYPE, keys)
    statement = parse_json(opened.payload, Statement, "provenance statement")
    if (statement.type_, statement.predicateType) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise MalformedArtefact(f"{path} holds {statement.predicateType[:80]!r}, not {PREDICATE_TYPE!r}")
    if statement.predicate.buildDefinition.buildType != BUILD_TYPE:
        raise MalformedArtefact(f"{path} is of a build of another type than {BUILD_TYPE!r}")
    if not any(MODEL_ROOT in one.digest for one in statement.predicate.buildDefinition.resolvedDependencies):
        raise MalformedArtefact(f"{path} names no root of a source")
    return Attested(statement=statement, signed_by=opened.signed_by)


def check_output(attested: Attested, output: Manifest) -> None:
    """Whether these are the files that were written. Raises VerificationError, naming the one that is not."""
    _compare(attested.statement.subject, output, "the conversion wrote")


def check_source(attested: Attested, source: Manifest) -> None:
    """Whether this is what was converted."""
    _compare(attested.statement.predicate.buildDefinition.resolvedDependencies, source, "was converted")


def _compare(said: Sequence[Descriptor], found: Manifest, did: str) -> None:
    """By names, sizes and contents: the root over all of them; and, to name what differs, file by file."""
    attested = {one.name: one.digest[FILE_ROOT] for one in said if FILE_ROOT in one.digest}
    here = {file.name: file.root.hex() for file in found.files}
    for name in sorted(attested.keys() | here.keys()):
        if name not in here:
            raise VerificationError(f"the chain is broken at {found.name}: {name} {did}, and is not there")
        if name not in attested:
            raise VerificationError(f"the chain is broken at {found.name}: {name} is there, and is not what {did}")
        if attested[name] != here[name]:
            raise VerificationError(
                f"the chain is broken at {found.name}: {name} has other bytes than what {did} (its root is {here[name][:16]}, "
                f"attested is {attested[name][:16]})"
            )
    if found.model_id not in [one.digest.get(MODEL_ROOT) for one in said]:
        raise VerificationError(f"the chain is broken at {found.name}: its root is {found.model_id[:16]}, attested is another")


@cache
def build_digest() -> str:
    """SHA-256 over the files of this package: for each, in order of names, the name, a line feed, and its SHA-256."""
    top = Path(freehold.__file__).parent
    digest = sha256()
    for path in sorted(path for path in top.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        digest.update(path.relative_to(top).as_posix().encode() + b"\n" + sha256(path.read_bytes()).digest())
    return digest.hexdigest()
