"""Keyless model signatures: made and opened by Sigstore's own library, which the extra `sigstore` brings.

Such a signature is by a key that lived for minutes: a certificate binds it to an identity, an entry of a public log proves when.
The library checks the certificate, its own entry in a log, the log's proof and the signature; the roots it trusts come from
Sigstore's repository where a network is there, or from a file for an instance of one's own.

To sign, a token of the identity goes to the authority of certificates, and what was signed to the log. What comes back is opened
as anybody else would open it before it is handed out.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from sigstore.dsse import Statement
from sigstore.errors import Error as SigstoreError
from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
from sigstore.oidc import ExpiredIdentity, IdentityError, IdentityToken, Issuer, detect_credential
from sigstore.sign import SigningContext
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity as IdentityPolicy

from freehold.core.errors import (
    DeviceError,
    FreeholdError,
    InvalidRequest,
    UpstreamBroken,
    UpstreamRejected,
    UpstreamUnavailable,
    VerificationError,
)
from freehold.core.exchange import KeyId
from freehold.provenance.oms_bundle import PAYLOAD_TYPE, Identity, Keyless, KeylessBundle, Login, OpenedBundle, Signer

_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")  # Fulcio's docs/oid-info.md
_ANSWER_CHARS = 300  # of a service's own words


class KeylessSigner:
    """Made before hours of hashing: a token that will not do and services that are not there are told then.

    Raises InvalidRequest for what the caller can mend, DeviceError for a file, UpstreamError for a service; so does `seal`, and
    VerificationError where what came back does not hold.
    """

    def __init__(self, keyless: Keyless) -> None:
        self._keyless = keyless
        if keyless.login is None:
            self._token()  # it lives for minutes, so it is asked for again when there is something to sign
        self._config = _trust_config(keyless.trust_config, staging=keyless.staging)
        with _told("reading Sigstore's configuration"):
            self._context = SigningContext.from_trust_config(self._config)

    def seal(self, payload: bytes) -> KeylessBundle:
        """Sign a statement. Whoever signs, and when, is in the log from then on."""
        token = self._token()
        with _told("signing"), self._context.signer(token) as signer:
            raw = signer.sign_dsse(Statement(payload)).to_json().encode()
        with _told("reading Sigstore's certificate"):
            identity = _identity(Bundle.from_json(raw).signing_certificate)
        opened = _open(raw, identity, self._config.trusted_root)
        if opened.payload != payload:
            raise UpstreamBroken("Sigstore's library signed something else than it was given")
        return KeylessBundle(raw=raw, name=identity.name, issuer=identity.issuer)

    def _token(self) -> IdentityToken:
        with _told("asking for the identity's token"):
            if self._keyless.token is not None:
                return IdentityToken(self._keyless.token)
            if self._keyless.login is not None:
                issuer = Issuer(self._config.signing_config.get_oidc_url())
                return issuer.identity_token(force_oob=self._keyless.login is Login.CODE)
            raw = detect_credential()
            if raw is None:
                raise InvalidRequest(
                    "there is no identity to sign by: give its token with --identity-token, say --login on a terminal, or run "
                    "where a build system gives one (GitHub Actions, GitLab, CircleCI, Buildkite, Google Cloud)"
                )
            return IdentityToken(raw)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Translates whatever the library raises: its services may answer anything, and it has no one error for that."""
    try:
        yield
    except FreeholdError:
        raise
    except ExpiredIdentity as exc:
        raise InvalidRequest("the identity's token has expired meanwhile: get a fresh one, and sign with --incremental") from exc
    except IdentityError as exc:
        why = f"{exc}: {exc.__cause__}" if exc.__cause__ and str(exc.__cause__) != str(exc) else str(exc)
        mend = "the job needs `permissions: id-token: write`" if "GitHub" in why else "get a fresh one, for the audience sigstore"
        raise InvalidRequest(f"the identity's token cannot be used ({why[:_ANSWER_CHARS]}): {mend}") from exc
    except Exception as exc:
        raise _failed(what, exc) from exc


def _failed(what: str, exc: Exception) -> FreeholdError:
    """By what lies below: requests' errors are OSErrors, with the service's answer where there was one."""
    below = next((one for one in (exc, exc.__cause__, exc.__context__) if isinstance(one, OSError)), None)
    answer = getattr(below, "response", None)
    if answer is not None:
        said = " ".join(answer.text.split())[:_ANSWER_CHARS]
        return UpstreamRejected(f"{what} failed: {answer.url} answered {answer.status_code}: {said}", status=answer.status_code)
    if below is not None:
        return UpstreamUnavailable(
            f"{what} failed: {below}; signing by an identity needs a network, signing with a key (--key) none"
        )
    return UpstreamBroken(f"{what} failed: {type(exc).__name__}: {str(exc)[:_ANSWER_CHARS]}")


def _identity(certificate: x509.Certificate) -> Identity:
    """Whom a certificate names: an address, or a workflow's URL."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = [*names.get_values_for_type(x509.RFC822Name), *names.get_values_for_type(x509.UniformResourceIdentifier)]
    if not found:
        raise UpstreamBroken("Sigstore's certificate names neither an address nor a URL by which the signature could be verified")
    issuer = certificate.extensions.get_extension_for_oid(_ISSUER).value
    assert isinstance(issuer, x509.UnrecognizedExtension)
    return Identity(name=found[0], issuer=issuer.value.decode())


def open_keyless(signature: bytes, identity: Identity) -> OpenedBundle:
    """Raises VerificationError where the identity did not sign it, UpstreamUnavailable where the roots cannot be had."""
    return _open(signature, identity, _trusted_root(identity))


def _open(signature: bytes, identity: Identity, root: TrustedRoot) -> OpenedBundle:
    policy = IdentityPolicy(identity=identity.name, issuer=identity.issuer)
    try:
        payload_type, payload = Verifier(trusted_root=root).verify_dsse(Bundle.from_json(signature), policy)
    except Exception as exc:  # the library meets bytes that anybody may have written, and has no one error for those
        raise VerificationError(f"the keyless signature does not hold for {identity.name}: {exc}") from exc
    if payload_type != PAYLOAD_TYPE:
        raise VerificationError(f"the keyless signature is over {payload_type[:100]!r}, not {PAYLOAD_TYPE}")
    name = f"{identity.name} ({identity.issuer})"
    return OpenedBundle(payload=payload, signer=Signer(kind="identity", name=name, trusted_by=KeyId(identity.name)))


def _trusted_root(identity: Identity) -> TrustedRoot:
    """Its file may be the one by which an instance of one's own is signed with, too."""
    path = identity.trusted_root
    if path is None:
        return _trust_config(None, staging=identity.staging).trusted_root
    try:
        document = json.loads(path.read_bytes())
        if isinstance(document, dict) and "trustedRoot" in document:
            return ClientTrustConfig.from_json(path.read_text()).trusted_root
        return TrustedRoot.from_file(str(path))
    except (OSError, SigstoreError, ValueError) as exc:
        raise DeviceError(f"{path} cannot be used as Sigstore's trusted root: {exc}") from exc


def _trust_config(path: Path | None, *, staging: bool) -> ClientTrustConfig:
    if path is not None:
        try:
            config = ClientTrustConfig.from_json(path.read_text())
            _ = config.trusted_root, config.signing_config  # both are looked into when they are asked for
            return config
        except (OSError, SigstoreError, ValueError) as exc:
            raise DeviceError(f"{path} cannot be used as Sigstore's client trust config: {exc}") from exc
    try:
        return ClientTrustConfig.staging() if staging else ClientTrustConfig.production()
    except SigstoreError as exc:
        raise UpstreamUnavailable(
            f"Sigstore's roots cannot be had ({exc}); with a network they are fetched; without one, say --trusted-root FILE to "
            "verify, and sign with a key (--key)"
        ) from exc
