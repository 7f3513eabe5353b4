"""Keyless model signatures: opened by Sigstore's own library, which the extra `sigstore` brings.

Such a signature is by a key that lived for minutes: a certificate binds it to an identity, an entry of a public log proves when.
The library checks the certificate, its own entry in a log, the log's proof and the signature; the roots it trusts come from
Sigstore's repository where a network is there, or from a file for an instance of one's own.
"""

from sigstore.errors import Error as SigstoreError
from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity as IdentityPolicy

from freehold.core.errors import DeviceError, UpstreamUnavailable, VerificationError
from freehold.core.exchange import KeyId
from freehold.provenance.oms_bundle import PAYLOAD_TYPE, Identity, OpenedBundle, Signer


def open_keyless(signature: bytes, identity: Identity) -> OpenedBundle:
    """Raises VerificationError where the identity did not sign it, UpstreamUnavailable where the roots cannot be had."""
    verifier = Verifier(trusted_root=_trusted_root(identity))
    policy = IdentityPolicy(identity=identity.name, issuer=identity.issuer)
    try:
        payload_type, payload = verifier.verify_dsse(Bundle.from_json(signature), policy)
    except Exception as exc:  # the library meets bytes that anybody may have written, and has no one error for those
        raise VerificationError(f"the keyless signature does not hold for {identity.name}: {exc}") from exc
    if payload_type != PAYLOAD_TYPE:
        raise VerificationError(f"the keyless signature is over {payload_type[:100]!r}, not {PAYLOAD_TYPE}")
    name = f"{identity.name} ({identity.issuer})"
    return OpenedBundle(payload=payload, signer=Signer(kind="identity", name=name, trusted_by=KeyId(identity.name)))


def _trusted_root(identity: Identity) -> TrustedRoot:
    if identity.trusted_root is not None:
        try:
            return TrustedRoot.from_file(str(identity.trusted_root))
        except (OSError, SigstoreError, ValueError) as exc:
            raise DeviceError(f"{identity.trusted_root} cannot be used as Sigstore's trusted root: {exc}") from exc
    try:
        return ClientTrustConfig.production().trusted_root
    except SigstoreError as exc:
        raise UpstreamUnavailable(
            f"Sigstore's roots cannot be had ({exc}); with a network they are fetched, without one say --trusted-root FILE"
        ) from exc
