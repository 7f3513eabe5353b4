"""`freehold sign`: sign a model where it lies, as our manifest or as a bundle of OpenSSF Model Signing.

Exit codes: 0 signed, 1 the model cannot be signed, 2 what was given cannot be used.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.signing_options import PASSWORD_ENV, digest_cache, private_key, rules_of, shared_options
from freehold.cli.sizes import size_of
from freehold.cli.terminal import PullProgress
from freehold.core.errors import ArtefactError, DeviceError
from freehold.provenance import oms
from freehold.provenance.certificates import Certificate, certificate_id, read_certificates
from freehold.provenance.files import write_durably
from freehold.provenance.keys import ED25519, SigningKey, key_directory, node_key, trusted
from freehold.provenance.pieces import Recipe
from freehold.provenance.signing import OMS, OWN, Terms, prove, read_signature, sign_oms, sign_own, signature_path
from freehold.provenance.trust import Accepted


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
    form = form or (OMS if cert_files else OWN)
    chain = tuple(certificate for path in cert_files for certificate in read_certificates(path))
    _refuse_mixed(form, chain, hash_name, shard_size, licence)
    path = signature_file or signature_path(target, form)
    rule = rules_of(target, ignore, path, with_git=with_git, follow_links=follow_links)
    key = private_key(key_file, key_password) if key_file else node_key(key_directory(configuration.home()))
    if path.exists() and not replace:
        _refuse_anothers(path, key, chain)
    name = name or target.resolve().name
    cache = digest_cache(target) if incremental else None
    with PullProgress(quiet=quiet or as_json) as progress:
        if form == OWN:
            origin = f"signed from {target.resolve().name}"
            signature, manifest = sign_own(
                target, key, progress, name=name, origin=origin, rule=rule, licence=licence, cache=cache
            )
            files, model_id = len(manifest.files), manifest.model_id
        else:
            recipe = Recipe(algorithm=hash_name or "sha256", piece_bytes=shard_size)
            signature, contents = sign_oms(target, key, progress, name=name, rule=rule, recipe=recipe, chain=chain, cache=cache)
            files, model_id = len(contents.files), None
            _note_left_out(progress, key, recipe)
    _write(path, signature)
    if cache is not None:
        cache.save()
    if as_json:
        facts = {"signature": str(path), "format": form, "name": name, "signed_by": key.key_id, "kind": key.public.kind}
        click.echo(json.dumps(facts | {"files": files, "model_id": model_id}))
    elif not quiet:
        click.echo(f"{name}: {files} file{'s' if files != 1 else ''} signed by {key.public.kind} {key.key_id}\n{path}")


def _write(path: Path, signature: bytes) -> None:
    try:
        write_durably(path, signature)
    except OSError as exc:
        raise DeviceError(f"cannot write {path}: {exc.strerror}") from exc


def _refuse_mixed(
    form: str, chain: tuple[Certificate, ...], hash_name: str | None, shard_size: int | None, licence: str | None
) -> None:
    if form == OWN and (chain or hash_name or shard_size):
        raise Unusable(
            "--cert, --hash and --shard-size are for --format oms; our manifest has its own blocks and takes keys alone"
        )
    if form == OMS and licence:
        raise Unusable("--licence is for our manifest: OpenSSF Model Signing has no place for it")
    if shard_size is not None and hash_name == "blake3":
        raise Unusable("blake3 uses all threads by itself, and other tools read no shards of it: leave --shard-size out")


def _refuse_anothers(path: Path, key: SigningKey, chain: Sequence[Certificate]) -> None:
    """A signature that somebody else made is not written over by chance."""
    ours = Accepted(keys=trusted(key.public), authorities={certificate_id(one): one for one in chain})
    try:
        prove(read_signature(path), Terms(trust=ours, accept_expired=True))
    except ArtefactError as error:
        raise Unusable(f"{path} is there already and not by this key: say --replace if it may go, or --signature") from error


def _note_left_out(progress: PullProgress, key: SigningKey, recipe: Recipe) -> None:
    if key.public.kind == ED25519:
        progress.note("Other tools verify ECDSA keys alone, as yet: for those, sign with one (--key)")
    if recipe.piece_bytes is not None:
        progress.note("Empty files are not signed: this format has no shard of them")
