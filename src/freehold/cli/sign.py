"""`freehold sign`: sign a model where it lies, as our manifest or as a bundle of OpenSSF Model Signing.

Exit codes: 0 signed, 1 the model cannot be signed, 2 what was given cannot be used.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.files import refuse_unwritable
from freehold.cli.keyless_options import keyless_options
from freehold.cli.signing_options import PASSWORD_ENV, digest_cache, given, private_key, rules_of, shared_options
from freehold.cli.sizes import size_of
from freehold.cli.terminal import PullProgress
from freehold.core.errors import ArtefactError, DeviceError, os_errors
from freehold.core.exchange import ModelId
from freehold.provenance import oms
from freehold.provenance.certificates import Certificate, certificate_id, read_certificates
from freehold.provenance.digest_cache import DigestCache
from freehold.provenance.files import write_durably
from freehold.provenance.keys import ED25519, SigningKey, key_directory, node_key, trusted
from freehold.provenance.oms_bundle import Keyless
from freehold.provenance.pieces import Recipe
from freehold.provenance.signing import (
    OMS,
    OWN,
    Terms,
    keyless_signer,
    oms_contents,
    prove,
    read_signature,
    sign_oms,
    sign_own,
    signature_path,
)
from freehold.provenance.tree import Rules
from freehold.provenance.trust import Accepted

NAME_LIMIT_CHARS = 200


@click.command()
@click.argument("target", metavar="DIR|FILE", type=click.Path(path_type=Path))
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path), help="A private key in PEM, Ed25519 or ECDSA. Default: the node's."
)
@click.option(
    "--key-password",
    envvar=PASSWORD_ENV,
    show_envvar=True,
    metavar="",
    help="What the key's file is locked with; asked for if needed.",
)
@click.option(
    "--cert",
    "cert_files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The key's certificate in PEM, and those between it and its authority. Repeatable. Makes it --format oms.",
)
@click.option("--format", "form", type=click.Choice([OWN, OMS]), help="Our manifest, or OpenSSF Model Signing. Default: ours.")
@click.option("--hash", "hash_name", type=click.Choice(oms.HASHES), help="How --format oms hashes. Default: sha256.")
@click.option("--shard-size", callback=size_of, metavar="SIZE", help="Hash files in pieces of this size, with --format oms: 1G.")
@click.option("--name", help="What the model is called. Default: its file's or folder's name.")
@click.option("--licence", help="Its licence, for our manifest.")
@click.option("--replace", is_flag=True, help="Write over a signature that is not by this key.")
@click.option("--incremental", is_flag=True, help="Read only what changed since the last time this was said.")
@keyless_options
@shared_options
def sign(
    target: Path,
    key_file: Path | None,
    key_password: str | None,
    cert_files: tuple[Path, ...],
    form: str | None,
    hash_name: str | None,
    shard_size: int | None,
    name: str | None,
    licence: str | None,
    replace: bool,
    incremental: bool,
    keyless: Keyless | None,
    ignore: tuple[str, ...],
    with_git: bool,
    follow_links: bool,
    signature_file: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Sign the model DIR|FILE: every file's name, size and bytes.

    The signature goes into the folder as freehold.sig (ours) or model.sig (OpenSSF Model Signing, which other tools verify), or
    beside the one file. Signatures are not part of the model, nor is what git keeps.
    """
    form = form or (OMS if cert_files or keyless else OWN)
    chain = tuple(certificate for path in cert_files for certificate in given(read_certificates, path))
    _refuse_mixed(form, chain, hash_name, shard_size, licence)
    path = signature_file or signature_path(target, form)
    job = _Job(
        target=target,
        path=path,
        name=_name(name or target.resolve().name),
        rule=rules_of(target, ignore, path, with_git=with_git, follow_links=follow_links),
        recipe=Recipe(algorithm=hash_name or "sha256", piece_bytes=shard_size),
        cache=digest_cache(target) if incremental else None,
        progress=PullProgress(quiet=quiet or as_json),
        may_replace=replace,
    )
    refuse_unwritable(path)
    if keyless is not None:
        if form == OWN or key_file or chain:
            raise Unusable("--sigstore signs without a key: it goes with --format oms, and without --key and --cert")
        signed = _by_identity(job, keyless)
    else:
        key = private_key(key_file, key_password) if key_file else node_key(key_directory(configuration.home()))
        signed = _by_key(job, form, key, chain, licence)
    with os_errors(f"cannot write {path}"):
        write_durably(path, signed.signature)
    if job.cache is not None:
        job.cache.save()
    if as_json:
        facts = {"signature": str(path), "format": form, "name": job.name, **signed.by}
        click.echo(json.dumps(facts | {"files": signed.files, "model_id": signed.model_id}))
    elif not quiet:
        files = f"{signed.files} file{'s' if signed.files != 1 else ''}"
        click.echo(f"{job.name}: {files} signed by {signed.by['kind']} {signed.by['signed_by']}\n{path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    target: Path
    path: Path
    name: str
    rule: Rules
    recipe: Recipe
    cache: DigestCache | None
    progress: PullProgress
    may_replace: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    signature: bytes
    by: dict[str, str]  # signed_by, kind
    files: int
    model_id: ModelId | None = None


def _by_key(job: _Job, form: str, key: SigningKey, chain: tuple[Certificate, ...], licence: str | None) -> _Signed:
    if job.path.exists() and not job.may_replace:
        _refuse_anothers(job.path, key, chain)
    by = {"signed_by": key.key_id, "kind": key.public.kind}
    with job.progress as progress:
        if form == OWN:
            origin = f"signed from {job.target.resolve().name}"
            signature, manifest = sign_own(
                job.target, key, progress, name=job.name, origin=origin, rule=job.rule, licence=licence, cache=job.cache
            )
            return _Signed(signature=signature, by=by, files=len(manifest.files), model_id=manifest.model_id)
        signature, contents = sign_oms(
            job.target, key, progress, name=job.name, rule=job.rule, recipe=job.recipe, chain=chain, cache=job.cache
        )
        if key.public.kind == ED25519:
            progress.note("Other tools verify ECDSA keys alone, as yet: for those, sign with one (--key)")
        _note_left_out(progress, job.recipe)
    return _Signed(signature=signature, by=by, files=len(contents.files))


def _by_identity(job: _Job, keyless: Keyless) -> _Signed:
    if job.path.exists() and not job.may_replace:
        raise Unusable(f"{job.path} is there already: say --replace if it may go, or --signature")
    try:
        signer = keyless_signer(keyless)
    except DeviceError as error:
        raise Unusable(error.message) from error
    with job.progress as progress:
        contents = oms_contents(job.target, progress, name=job.name, rule=job.rule, recipe=job.recipe, cache=job.cache)
        _note_left_out(progress, job.recipe)
    if keyless.login is not None:
        job.progress.note("Who you log in as, and when you sign, stays in Sigstore's log, for all to see")
    sealed = signer.seal(oms.encode(contents))  # when the bars are gone: a login may ask for a code
    by = {"signed_by": sealed.name, "kind": "identity", "issuer": sealed.issuer}
    return _Signed(signature=sealed.raw, by=by, files=len(contents.files))


def _name(name: str) -> str:
    if not name.isprintable() or len(name) > NAME_LIMIT_CHARS:
        raise Unusable(
            f"{name[:100]!r} is no name for a model: say one of up to {NAME_LIMIT_CHARS} printable characters with --name"
        )
    return name


def _refuse_mixed(
    form: str, chain: tuple[Certificate, ...], hash_name: str | None, shard_size: int | None, licence: str | None
) -> None:
    if form == OWN and (chain or hash_name or shard_size):
        raise Unusable(
            "--cert, --hash and --shard-size are for --format oms; our manifest has its own blocks and takes keys alone"
        )
    if form == OMS and licence:
        raise Unusable("--licence is for our manifest: OpenSSF Model Signing has no place for it")
    if shard_size is not None and shard_size < 1:
        raise Unusable("--shard-size: a piece has a byte at least; 1G is what other tools take")
    if shard_size is not None and hash_name == "blake3":
        raise Unusable("blake3 uses all threads by itself, and other tools read no shards of it: leave --shard-size out")


def _refuse_anothers(path: Path, key: SigningKey, chain: Sequence[Certificate]) -> None:
    """A signature that somebody else made is not written over by chance."""
    ours = Accepted(keys=trusted(key.public), authorities={certificate_id(one): one for one in chain})
    try:
        prove(read_signature(path), Terms(trust=ours, accept_expired=True))
    except ArtefactError as error:
        raise Unusable(f"{path} is there already and not by this key: say --replace if it may go, or --signature") from error


def _note_left_out(progress: PullProgress, recipe: Recipe) -> None:
    if recipe.piece_bytes is not None:
        progress.note("Empty files are not signed: this format has no shard of them")
