"""Whether somebody whom this node trusts signed the very files of a model that was added here.

The signature is kept beside the node's own manifest and asked at each open, by digests alone: a key that has expired, or was
revoked or taken off the trust store, vouches for nothing from then on, and the model is one that was trusted on first use.
"""

from pathlib import Path
from typing import Final

from freehold.core.errors import DeviceError, NotFound, VerificationError
from freehold.core.models import Manifest
from freehold.provenance.keys import PublicKey
from freehold.provenance.signing import Terms, find_signature, prove, read_signature, vouched_by
from freehold.provenance.trust import TrustStore, read_trust

PUBLISHER_NAME: Final = "publisher.sig"


def signature_beside(path: Path) -> bytes | None:
    """A signature that lies beside the model at `path`, ours or OpenSSF's."""
    try:
        return read_signature(find_signature(path))
    except NotFound:
        return None


def doubt(manifest: Manifest, signature: bytes, store: TrustStore) -> str | None:
    """Why the signature vouches for nothing here: who made it may not sign models of that name. None where they may."""
    try:
        prove(signature, Terms(trust=store, name=manifest.name))
    except VerificationError as exc:
        return exc.message
    return None


def publisher(manifest: Manifest, place: Path, keys: Path, node: PublicKey) -> str | None:
    """Who signed the model whose manifest lies in `place`, or None.

    Raises VerificationError where one who is trusted signed other files.
    """
    path = place / PUBLISHER_NAME
    try:
        signature = path.read_bytes() if path.exists() else None
    except OSError as exc:
        raise DeviceError(f"cannot read {path}: {exc.strerror}") from exc
    if signature is None:
        return None
    store = read_trust(keys, node)
    return None if doubt(manifest, signature, store) is not None else vouched_by(manifest, signature, store)
