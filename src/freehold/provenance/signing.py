"""Signs a model where it lies, and verifies one: our manifest and OpenSSF Model Signing, by one list of steps.

1. The signature is opened for whoever may sign a model of this name: the keys and authorities that were given, or those of the
   trust store. The name is read before that, unproven, and proven by what it leads to.
2. What it says of the files is parsed and must agree with itself.
3. The files are found by the rules of both sides, and compared.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

import msgspec

from freehold.core.errors import (
    ArtefactError,
    ConfigError,
    InvalidRequest,
    MalformedArtefact,
    NotFound,
    UnsupportedArtefact,
    VerificationError,
    os_errors,
)
from freehold.core.exchange import KeyId, ModelId
from freehold.core.models import Manifest
from freehold.provenance import manifest as manifests
from freehold.provenance import oms, oms_bundle
from freehold.provenance.certificates import Certificate
from freehold.provenance.contents import Checked, Contents, SignedFile, check_contents, contents_of, digest_files, locate
from freehold.provenance.digest_cache import DigestCache
from freehold.provenance.envelope import ENVELOPE_LIMIT_BYTES, UntrustedSigner, canonical_base64, open_envelope, parse_json
from freehold.provenance.keys import SigningKey
from freehold.provenance.oms_bundle import Identity, Keyless, OpenedBundle, Signer
from freehold.provenance.pieces import BLOCKS, Recipe
from freehold.provenance.progress import Progress
from freehold.provenance.signer import sign_manifest
from freehold.provenance.tree import OMS_SIGNATURE, OWN_SIGNATURE, Rules
from freehold.provenance.trust import Accepted, MayNotSign, TrustStore

if TYPE_CHECKING:
    from freehold.provenance.keyless import KeylessSigner

OWN = "freehold"
OMS = "oms"
_BESIDE = {OWN: OWN_SIGNATURE, OMS: OMS_SIGNATURE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Who is trusted: those of the store for the model's name, those that are given, or one identity.

    `name` is what the model is called here, where that is known.
    """

    trust: TrustStore | Accepted | Identity
    name: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    accept_expired: bool = False

    def accepted(self, name: str) -> Accepted:
        """Keys and authorities; none where an identity is asked for."""
        if isinstance(self.trust, TrustStore):
            return self.trust.accepted(name, self.at)
        return self.trust if isinstance(self.trust, Accepted) else Accepted(keys={}, authorities={})

    def explained(self, error: VerificationError, signers: Sequence[KeyId], name: str) -> VerificationError:
        """With what the store knows of those who signed."""
        why = self.trust.explain(signers, name, self.at) if isinstance(self.trust, TrustStore) else None
        return MayNotSign(f"{name} is signed by a key that may not sign it: {why}") if why else error


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A signature that holds, and what it says. `model_id` is our manifest's."""

    format: str
    signer: Signer
    contents: Contents
    manifest: Manifest | None = None

    @property
    def model_id(self) -> ModelId | None:
        return None if self.manifest is None else self.manifest.model_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    proven: Proven
    checked: Checked


def signature_path(target: Path, form: str) -> Path:
    """Where a signature goes where nobody says: in the model's folder, or beside its one file."""
    if target.is_dir():
        return target / _BESIDE[form]
    return target.with_name(target.name + (".freehold.sig" if form == OWN else ".sig"))


def signatures_of(target: Path) -> tuple[Path, ...]:
    """Those beside a model, ours first. Raises NotFound where there is none."""
    paths = [signature_path(target, form) for form in (OWN, OMS)]
    there = tuple(path for path in paths if path.exists())
    if not there:
        raise NotFound(f"there is no {' and no '.join(path.name for path in paths)} for {target}; name one with --signature")
    return there


def chosen(signatures: Sequence[Path], terms: Terms) -> Path:
    """The first one that is not a stranger's to `terms`; where all are, the last. Raises DeviceError."""
    *others, last = signatures
    return next((path for path in others if not _is_a_strangers(path, terms)), last)


def _is_a_strangers(path: Path, terms: Terms) -> bool:
    """A broken signature is none, nor one by a key that was revoked: those are told, not passed over."""
    if isinstance(terms.trust, Identity):
        return True
    try:
        prove(read_signature(path), terms)
    except UntrustedSigner:
        return True
    except ArtefactError:
        pass
    return False


def sign_own(
    target: Path,
    key: SigningKey,
    progress: Progress,
    *,
    name: str,
    origin: str,
    rule: Rules,
    licence: str | None = None,
    cache: DigestCache | None = None,
) -> tuple[bytes, Manifest]:
    """Our manifest of the model, signed. Raises MalformedArtefact for a model without a file."""
    located = locate(target, rule)
    if not located.paths:
        raise MalformedArtefact(f"{target} has no file to sign")
    hashed, _ = digest_files(located, tuple(located.paths), BLOCKS, progress, cache=cache)
    manifest = manifests.manifest_of(hashed.values(), name=name, origin=origin, licence=licence)
    return sign_manifest(manifest, key), manifest


def sign_oms(
    target: Path,
    key: SigningKey,
    progress: Progress,
    *,
    name: str,
    rule: Rules,
    recipe: Recipe,
    chain: Sequence[Certificate] = (),
    cache: DigestCache | None = None,
) -> tuple[bytes, Contents]:
    """A bundle of OpenSSF Model Signing. Raises MalformedArtefact for a model without a byte to sign."""
    oms_bundle.refuse_anothers(chain, key)  # before hours of hashing
    contents = oms_contents(target, progress, name=name, rule=rule, recipe=recipe, cache=cache)
    return oms_bundle.seal_bundle(oms.encode(contents), key, chain), contents


def oms_contents(
    target: Path, progress: Progress, *, name: str, rule: Rules, recipe: Recipe, cache: DigestCache | None = None
) -> Contents:
    """What a bundle of OpenSSF Model Signing says of the model, for whoever signs it. Raises MalformedArtefact as `sign_oms`."""
    located = locate(target, rule, one_file=oms.ONE_FILE)
    count = sum(recipe.count(size) for size in located.sizes.values())
    if count > oms.RESOURCES_LIMIT:
        raise InvalidRequest(
            f"{target} makes {count} digests and a signature holds {oms.RESOURCES_LIMIT}: take larger shards", param="shard_size"
        )
    hashed, _ = digest_files(located, tuple(located.paths), recipe, progress, cache=cache)
    files = {one.name: SignedFile(digests=one.digests, size_bytes=one.size_bytes) for one in hashed.values() if one.digests}
    if not files:
        raise MalformedArtefact(f"{target} has no file to sign, or empty ones alone")
    return Contents(name=name, recipe=recipe, files=files, ignored=rule.ignored, follow_links=rule.follow_links)


def keyless_signer(keyless: Keyless) -> "KeylessSigner":
    """Made before hours of hashing: what it lacks is told then."""
    signer = _keyless_library().KeylessSigner(keyless)
    return cast("KeylessSigner", signer)


def read_signature(path: Path) -> bytes:
    with os_errors(f"cannot read the signature {path}"), path.open("rb") as file:
        return file.read(ENVELOPE_LIMIT_BYTES + 1)


def verify(
    target: Path,
    signature: bytes,
    terms: Terms,
    progress: Progress,
    *,
    rule: Rules,
    only: Sequence[str] = (),
    allow_extra: bool = False,
    cache: DigestCache | None = None,
) -> Verified:
    """Prove that a model is as it was signed by who may. Raises VerificationError, NotAsSigned among them, MalformedArtefact or
    UnsupportedArtefact; InvalidRequest where `only` matches nothing."""
    proven = prove(signature, terms)
    contents = proven.contents
    both = replace(
        rule,
        ignored=tuple(dict.fromkeys((*rule.ignored, *contents.ignored))),
        follow_links=rule.follow_links or contents.follow_links,
    )
    located = locate(target, both.keeping(contents.files), one_file=oms.ONE_FILE if proven.format == OMS else None)
    checked = check_contents(located, contents, progress, only=only, allow_extra=allow_extra, cache=cache)
    return Verified(proven=proven, checked=checked)


class _Kind(msgspec.Struct):
    payloadType: str | None = None  # noqa: N815 - the formats' own names
    mediaType: str | None = None  # noqa: N815
    payload: str = ""


def prove(signature: bytes, terms: Terms) -> Proven:
    """The signature alone, without a look at the files."""
    if len(signature) > ENVELOPE_LIMIT_BYTES:
        raise MalformedArtefact(f"signature of {len(signature)} bytes is over the limit of {ENVELOPE_LIMIT_BYTES}")
    kind = parse_json(signature, _Kind, "signature")
    if kind.mediaType is not None:
        return _prove_oms(signature, terms)
    if kind.payloadType == manifests.MANIFEST_TYPE:
        return _prove_own(signature, kind.payload, terms)
    raise UnsupportedArtefact(
        f"the signature is of {(kind.payloadType or 'nothing')[:100]!r}; there are our manifest ({manifests.MANIFEST_TYPE}) and "
        f"bundles of OpenSSF Model Signing ({oms_bundle.MEDIA_TYPE})"
    )


class _Named(msgspec.Struct):
    name: str


def _prove_own(signature: bytes, payload: str, terms: Terms) -> Proven:
    if isinstance(terms.trust, Identity):
        raise VerificationError("this signature is of our own format, which keys make and identities never: OpenSSF's is meant")
    name = terms.name or parse_json(canonical_base64(payload, "manifest"), _Named, "manifest").name
    accepted = terms.accepted(name)
    try:
        opened = open_envelope(signature, manifests.MANIFEST_TYPE, accepted.keys)
    except UntrustedSigner as error:
        raise terms.explained(error, error.signers, name) from error
    manifest = manifests.decode(opened.payload)
    key = accepted.keys[opened.signed_by]
    signer = Signer(kind="key", name=f"{key.kind} {key.key_id}", trusted_by=key.key_id)
    return Proven(format=OWN, signer=signer, contents=contents_of(manifest), manifest=manifest)


def _prove_oms(signature: bytes, terms: Terms) -> Proven:
    bundle = oms_bundle.parse_bundle(signature)
    contents = oms.decode(bundle.payload)
    opened = _opened_oms(bundle, signature, terms.name or contents.name, terms)
    if opened.payload != bundle.payload:
        raise VerificationError("the signature is over another payload than the one that was read")
    return Proven(format=OMS, signer=opened.signer, contents=contents)


def _opened_oms(bundle: oms_bundle.Bundle, signature: bytes, name: str, terms: Terms) -> OpenedBundle:
    if isinstance(terms.trust, Identity):
        return _opened_keyless(signature, terms.trust)
    accepted = terms.accepted(name)
    if bundle.is_keyless and not accepted.authorities:
        raise VerificationError(
            "this is a keyless signature, by an identity at some moment: say whose it must be with --identity and --issuer"
        )
    if bundle.chain:
        return oms_bundle.open_with_certificate(bundle, accepted.authorities, terms.at, accept_expired=terms.accept_expired)
    try:
        return oms_bundle.open_with_key(bundle, accepted.keys)
    except VerificationError as error:
        entries = terms.trust.entries if isinstance(terms.trust, TrustStore) else ()
        hinted = [entry.id for entry in entries if sha256(entry.pem.encode()).hexdigest() == bundle.hint]
        raise terms.explained(error, hinted, name) from error


def _opened_keyless(signature: bytes, identity: Identity) -> OpenedBundle:
    opened = _keyless_library().open_keyless(signature, identity)
    assert isinstance(opened, OpenedBundle)
    return opened


def _keyless_library() -> ModuleType:
    """It takes a second to load, and is an extra."""
    try:
        return importlib.import_module("freehold.provenance.keyless")
    except ImportError as exc:
        raise ConfigError("keyless signatures need the extra `sigstore`: pip install 'freehold[sigstore]'") from exc


def vouched_by(manifest: Manifest, signature: bytes, store: TrustStore) -> str | None:
    """Who, trusted for the model's name here, signed all files of `manifest`, by digests alone: cheap enough for every load.

    None where the signature's digests are not of a kind that the manifest has. Raises as `prove`, and VerificationError where
    another content was signed.
    """
    proven = prove(signature, Terms(trust=store, name=manifest.name))
    signed = proven.contents.files
    for file in manifest.files:
        theirs = signed.get(file.name) or (signed.get(oms.ONE_FILE) if len(manifest.files) == 1 else None)
        if theirs is None:
            raise VerificationError(f"{file.name} of {manifest.name} is not among what {proven.signer.name} signed")
        if proven.contents.recipe == BLOCKS:
            same = theirs.digests == file.leaves and theirs.size_bytes == file.size_bytes
        elif proven.contents.recipe == Recipe(algorithm="sha256") and file.sha256 is not None:
            same = theirs.digests[0].hex() == file.sha256
        else:
            return None
        if not same:
            raise VerificationError(f"{file.name} of {manifest.name} is not what {proven.signer.name} signed")
    return proven.signer.name
