"""`freehold verify`: is this model, byte for byte, what was signed, and by one who may?

Exit codes: 0 it is, 1 it is not, 2 what was given cannot be used.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from freehold import config as configuration
from freehold.cli import Unusable, printable
from freehold.cli.signing_options import digest_cache, given, rules_of, shared_options
from freehold.cli.terminal import PullProgress
from freehold.core.errors import ArtefactError, DeviceError
from freehold.provenance.certificates import certificate_id, read_certificates
from freehold.provenance.contents import NotAsSigned
from freehold.provenance.keys import read_public, trusted
from freehold.provenance.oms_bundle import Identity
from freehold.provenance.signing import Terms, Verified, chosen, read_signature, signatures_of
from freehold.provenance.signing import verify as verify_model
from freehold.provenance.trust import Accepted, TrustStore
from freehold.trust_log import find_trust


@click.command()
@click.argument("target", metavar="DIR|FILE", type=click.Path(path_type=Path))
@click.option(
    "--key", "key_files", multiple=True, type=click.Path(path_type=Path), help="A public key to trust. Default: the trust store."
)
@click.option(
    "--ca", "ca_files", multiple=True, type=click.Path(path_type=Path), help="Authorities to trust, in PEM. Repeatable."
)
@click.option("--accept-expired", is_flag=True, help="Take a certificate that has expired, as it was when it was issued.")
@click.option("--identity", help="Who must have signed without a key (Sigstore): an e-mail address or a workflow's address.")
@click.option("--issuer", help="Who vouched for that identity: https://accounts.google.com, …")
@click.option("--trusted-root", type=click.Path(path_type=Path), help="Sigstore's roots, where they are not to be fetched.")
@click.option("--staging", is_flag=True, help="Trust Sigstore's instance for trying things out, in place of its real one.")
@click.option("--name", help="What the model is called here, for the trust store. Default: as its signature says.")
@click.option("--only", multiple=True, metavar="GLOB", help="Check only these files: '*.safetensors'. Repeatable.")
@click.option("--allow-extra", is_flag=True, help="Let files pass that nobody signed, and name them.")
@click.option("--trust-unchanged", is_flag=True, help="Do not read what looks unchanged since this was last said. No proof.")
@shared_options
def verify(
    target: Path,
    key_files: tuple[Path, ...],
    ca_files: tuple[Path, ...],
    accept_expired: bool,
    identity: str | None,
    issuer: str | None,
    trusted_root: Path | None,
    staging: bool,
    name: str | None,
    only: tuple[str, ...],
    allow_extra: bool,
    trust_unchanged: bool,
    ignore: tuple[str, ...],
    with_git: bool,
    follow_links: bool,
    signature_file: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Check that the model DIR|FILE is what was signed, by a key that may sign a model of its name.

    The signature is freehold.sig or model.sig in the folder, or beside the one file. Without --key, --ca and --identity, the
    trust store says who may sign what: see freehold trust. A file that nobody signed is refused, as is one that is missing,
    changed, renamed, or replaced meanwhile.

    Exit code 0: it holds; 1: it does not; 2: it cannot be checked.
    """
    try:
        if not target.exists():
            raise Unusable(f"there is no {target}")
        signatures = (signature_file,) if signature_file else signatures_of(target)
        trust = _trust(key_files, ca_files, identity, issuer, trusted_root, staging=staging)
        terms = Terms(trust=trust, name=name, accept_expired=accept_expired)
        path = chosen(signatures, terms)
        rule = rules_of(target, ignore, path, with_git=with_git, follow_links=follow_links)
        cache = digest_cache(target) if trust_unchanged else None
        with PullProgress(quiet=quiet or as_json) as progress:
            found = verify_model(
                target, read_signature(path), terms, progress, rule=rule, only=only, allow_extra=allow_extra, cache=cache
            )
        if cache is not None:
            cache.save()
    except DeviceError as error:
        raise Unusable(error.message) from error
    except ArtefactError as error:
        _fail(error, as_json=as_json)
    facts = _facts(found, path)
    if as_json:
        click.echo(json.dumps({"holds": True, **facts}, indent=2))
    elif not quiet:
        _show(facts)


def _trust(
    key_files: tuple[Path, ...],
    ca_files: tuple[Path, ...],
    identity: str | None,
    issuer: str | None,
    trusted_root: Path | None,
    *,
    staging: bool,
) -> TrustStore | Accepted | Identity:
    if identity is not None:
        if not issuer or key_files or ca_files:
            raise Unusable("--identity needs --issuer, and goes without --key and --ca")
        if staging and trusted_root:
            raise Unusable("--staging and --trusted-root are two instances of Sigstore: leave one out")
        return Identity(name=identity, issuer=issuer, trusted_root=trusted_root, staging=staging)
    if issuer or trusted_root or staging:
        raise Unusable("--issuer, --trusted-root and --staging go with --identity")
    if not (key_files or ca_files):
        return find_trust(configuration.home(), configuration.load().store)
    keys = [given(read_public, path) for path in key_files]
    authorities = [certificate for path in ca_files for certificate in given(read_certificates, path)]
    return Accepted(keys=trusted(*keys), authorities={certificate_id(one): one for one in authorities})


def _fail(error: ArtefactError, *, as_json: bool) -> None:
    problems = error.problems if isinstance(error, NotAsSigned) else ()
    if as_json:
        told = [{"file": problem.file, "what": problem.what} for problem in problems]
        click.echo(json.dumps({"holds": False, "reason": error.message, "problems": told}, indent=2))
    elif problems:
        click.echo("The model is not as it was signed:", err=True)
        for problem in problems:
            click.echo(printable(f"  {problem.file}: {problem.what}"), err=True)
    else:
        click.echo(printable(f"The model is not proven: {error.message}"), err=True)
    sys.exit(1)


def _facts(found: Verified, path: Path) -> dict[str, Any]:
    proven, checked = found.proven, found.checked
    return {
        "name": proven.contents.name,
        "signed_by": proven.signer.name,
        "trusted_by": proven.signer.trusted_by,
        "format": proven.format,
        "hash": proven.contents.recipe.algorithm,
        "signature": str(path),
        "model_id": proven.model_id,
        "files": len(checked.files),
        "of_files": checked.of_files,
        "read_bytes": checked.read_bytes,
        "unsigned": list(checked.unsigned),
        "not_read": list(checked.trusted),
    }


def _show(facts: dict[str, Any]) -> None:
    part = "" if facts["files"] == facts["of_files"] else f" of {facts['of_files']}"
    click.echo(
        f"As it was signed: {facts['files']}{part} file{'s' if facts['files'] != 1 else ''}, {facts['read_bytes']:,} bytes read"
    )
    for key in ("name", "signed_by", "trusted_by", "format", "hash", "signature", "model_id"):
        if facts[key]:
            click.echo(printable(f"  {key.replace('_', ' '):<11} {facts[key]}"))
    for key, what in (("unsigned", "not signed"), ("not_read", "not read, taken for unchanged")):
        for file in facts[key]:
            click.echo(f"  {what}: {file}")
