"""`freehold bom`: a model's bill of materials, and the proof of what it was made of.

Exit codes: 0 done or proven; 1 the chain does not hold; 2 there is nothing to look at, or it cannot be read or written.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.files import refuse_unwritable
from freehold.cli.model_paths import files_of
from freehold.cli.signing_options import given
from freehold.cli.terminal import PullProgress
from freehold.core.errors import ArtefactError, InvalidRequest, MalformedArtefact, NotFound, VerificationError, os_errors
from freehold.core.models import Manifest
from freehold.engine.header import files_at, read_path
from freehold.engine.inspect import inspect
from freehold.provenance import bom_cyclonedx, bom_spdx, slsa
from freehold.provenance.bom import CARD_LIMIT_BYTES, Description, Facts, Reference, describe, read_card
from freehold.provenance.envelope import ENVELOPE_LIMIT_BYTES, canonical_json, open_envelope, parse_json, seal
from freehold.provenance.files import write_durably
from freehold.provenance.keys import PRIVATE_NAME, TrustedKeys, key_directory, node_key, read_public, trusted
from freehold.provenance.local import trust_words
from freehold.provenance.pull import open_model
from freehold.provenance.receipt import STATEMENT_MEDIA_TYPE
from freehold.provenance.source_files import SourceFiles
from freehold.provenance.unpickle import inputs_of, pickles_of
from freehold.provenance.verifier import verify_contents

_MEDIA_TYPES = {"cyclonedx": bom_cyclonedx.MEDIA_TYPE, "spdx": bom_spdx.MEDIA_TYPE, "slsa": STATEMENT_MEDIA_TYPE}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """`path` is a GGUF file or a folder; `trust` is known of a model that was pulled or added."""

    path: Path
    manifest: Manifest
    trust: str | None = None


@click.command()
@click.argument("model")
@click.option(
    "--format", "form", type=click.Choice(list(_MEDIA_TYPES)), default="cyclonedx", show_default=True, help="What to write."
)
@click.option("--card", type=click.Path(path_type=Path), help="A README.md about MODEL. Default: its folder's.")
@click.option("--sign", is_flag=True, help="In a DSSE envelope, signed with the node's key.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write. Default: standard output.")
@click.option("--verify", is_flag=True, help="Prove what MODEL was converted from, and by which build, instead.")
@click.option("--source", type=click.Path(path_type=Path), help="With --verify: what it was converted from, to be compared.")
@click.option("--bom", "signed", type=click.Path(path_type=Path), help="With --verify: a signed bill of materials to compare.")
@click.option("--key", "keys", type=click.Path(path_type=Path), multiple=True, help="A public key to trust beside the node's.")
def bom(
    model: str,
    form: str,
    card: Path | None,
    sign: bool,
    out: Path | None,
    verify: bool,
    source: Path | None,
    signed: Path | None,
    keys: tuple[Path, ...],
) -> None:
    """Write the bill of materials of MODEL: a pulled or added model, a GGUF file, or a folder of safetensors.

    CycloneDX 1.6 with a model card, SPDX 3.0.1 with the AI profile's package, or the SLSA provenance of a conversion. What is
    said of a model comes from its own files; what they do not say is left out.

    With --verify nothing is written: the statement that `freehold models convert` left beside MODEL is held against its files,
    and against --source where that is given.
    """
    directory = key_directory(configuration.home())
    own = [node_key(directory).public] if (directory / PRIVATE_NAME).exists() else []
    trusted_keys = trusted(*own, *(given(read_public, path) for path in keys))
    if verify:
        for line in _verified(_opened(model), source, signed, trusted_keys):
            click.echo(line)
        return
    if source is not None or signed is not None:
        raise InvalidRequest("--source and --bom are compared by --verify", param="verify")
    if out is not None:
        refuse_unwritable(out)
    found = _opened(model)
    if form == "slsa":
        attested = slsa.read_attestation(slsa.attestation_path(found.path), trusted_keys)
        slsa.check_output(attested, found.manifest)
        document: Any = msgspec.to_builtins(attested.statement)
    else:
        make = bom_cyclonedx.as_cyclonedx if form == "cyclonedx" else bom_spdx.as_spdx
        document = make(_described(found, card, trusted_keys), datetime.now(UTC))
    if sign:
        raw = seal(_MEDIA_TYPES[form], canonical_json(document), node_key(directory))
    else:
        raw = json.dumps(document, indent=2, ensure_ascii=False).encode()
    if out is None:
        click.echo(raw.decode())
    else:
        with os_errors(f"cannot write {out}", Unusable):
            write_durably(out, raw + b"\n")


def _opened(model: str) -> _Model:
    """A path that is there wins over a name; its files are hashed."""
    path = Path(model)
    if path.exists():
        return _Model(path=path, manifest=_hashed(path))
    try:
        found = open_model(configuration.home(), model)
    except NotFound as exc:
        if "/" in model or model.endswith(".gguf"):
            raise Unusable(f"there is no {path}") from exc
        raise
    return _Model(path=files_of(found), manifest=found.manifest, trust=trust_words(found))


def _hashed(path: Path) -> Manifest:
    with PullProgress() as progress:
        if path.is_file() and path.suffix != ".gguf":
            return SourceFiles(path.parent, [path.name]).hash(path.name, progress)
        directory, names = files_at(path)
        if not names:
            raise Unusable(f"{path} has neither a .gguf file nor .safetensors files")
        if path.is_dir() and slsa.attestation_path(path).exists():
            names = slsa.model_files(path)
        return SourceFiles(directory, names).hash(path.resolve().name, progress)


def _described(found: _Model, card: Path | None, keys: TrustedKeys) -> Description:
    facts, header = inspect(found.path), read_path(found.path)
    known = Facts(
        architecture=facts.architecture,
        parameters=facts.parameters,
        types={share.type: share.tensors for share in facts.tensors},
        context_tokens=facts.context_tokens,
        tokenizer=facts.tokenizer,
        template_digest=facts.template_digest,
        format=facts.format,
    )
    metadata = header.metadata if facts.format.startswith("GGUF") else {}
    described = describe(found.manifest, metadata, _card(found.path, card), known, found.trust)
    return _with_origin(described, found, keys)


def _with_origin(described: Description, found: _Model, keys: TrustedKeys) -> Description:
    """What it was converted from, where a statement that holds says so."""
    try:
        attested = slsa.read_attestation(slsa.attestation_path(found.path), keys)
        slsa.check_output(attested, found.manifest)
    except NotFound:
        return described
    except ArtefactError as exc:
        click.echo(f"what it was converted from is left out: {exc.message}", err=True)
        return described
    made_of = Reference(name=attested.source, version=attested.source_root)
    return replace(described, made_of=made_of)


def _card(path: Path, named: Path | None) -> Mapping[str, Any]:
    """Of a folder its README.md is about the model in it; a README.md beside a file may be about anything."""
    card = named or (path / "README.md" if path.is_dir() else None)
    if card is None or (named is None and not card.exists()):
        return {}
    with os_errors(f"cannot read {card}", Unusable), card.open("rb") as file:
        return read_card(file.read(CARD_LIMIT_BYTES))


def _verified(found: _Model, source: Path | None, signed: Path | None, keys: TrustedKeys) -> Iterator[str]:
    if found.trust is not None:
        verify_contents(open_model(configuration.home(), found.manifest.name))
    if signed is not None:
        yield _compared(found, signed, keys)
    attested = _read(found.path, keys, must=signed is None or source is not None)
    if attested is None:
        return
    slsa.check_output(attested, found.manifest)
    yield _made(found.path, attested)
    if source is None:
        return
    slsa.check_source(attested, _hashed_source(source, attested))
    yield f"{source} is what was converted: every file of it"
    if (before := _read(source, keys, must=False)) is not None:
        slsa.check_output(before, _hashed(source))
        yield _made(source, before)


def _made(path: Path, attested: slsa.Attested) -> str:
    return f"{path.name} is what was made of {attested.source} (root {attested.source_root[:16]}) by {_builder(attested)}"


def _read(path: Path, keys: TrustedKeys, *, must: bool) -> slsa.Attested | None:
    try:
        return slsa.read_attestation(slsa.attestation_path(path), keys)
    except NotFound:
        if must:
            raise
        return None


def _builder(attested: slsa.Attested) -> str:
    builder = attested.statement.predicate.runDetails.builder
    build = "this build" if attested.is_of_this_build else "another build than this"
    return f"freehold {builder.version.get('freehold', '')[:40]}, {build}, on the node with the key {attested.signed_by}"


def _hashed_source(source: Path, attested: slsa.Attested) -> Manifest:
    """The files that a conversion would take of it today."""
    if source.exists() and pickles_of(source):
        directory, names = (source.parent if source.is_file() else source), inputs_of(source)
    else:
        directory, names = files_at(source)
    with PullProgress() as progress:
        return SourceFiles(directory, names).hash(attested.source, progress)


class _Envelope(msgspec.Struct):
    payloadType: str  # noqa: N815 - DSSE's own name


def _compared(found: _Model, signed: Path, keys: TrustedKeys) -> str:
    """Whether a signed bill of materials is of these files."""
    with os_errors(f"cannot read {signed}", Unusable), signed.open("rb") as file:
        raw = file.read(ENVELOPE_LIMIT_BYTES + 1)
    kind = parse_json(raw, _Envelope, "signed bill of materials").payloadType
    if kind not in _MEDIA_TYPES.values():
        raise VerificationError(f"{signed} holds {kind[:80]!r}, which is no bill of materials")
    opened = open_envelope(raw, kind, keys)
    if found.manifest.model_id != _root(kind, parse_json(opened.payload, dict, "bill of materials")):
        raise VerificationError(f"{signed} is of another model: its root is not {found.manifest.model_id[:16]}")
    return f"{signed.name} is of these files, signed by {opened.signed_by}"


def _root(kind: str, document: Mapping[str, Any]) -> str:
    """Of the model that a document is about."""
    try:
        if kind == STATEMENT_MEDIA_TYPE:
            return str(next(one["digest"][slsa.MODEL_ROOT] for one in document["subject"] if slsa.MODEL_ROOT in one["digest"]))
        if kind == bom_spdx.MEDIA_TYPE:
            (root,) = next(one["rootElement"] for one in document["@graph"] if one["type"] == "SpdxDocument")
            return str(root).removeprefix(bom_spdx.NAMESPACE)
        properties = document["metadata"]["component"]["properties"]
        return str(next(one["value"] for one in properties if one["name"] == bom_cyclonedx.ROOT))
    except (LookupError, TypeError, ValueError, StopIteration) as exc:
        raise MalformedArtefact("the bill of materials names no root of a model") from exc
