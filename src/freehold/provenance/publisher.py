"""Whether somebody whom this node trusts signed the very files of a model that was added here.

The signature is kept beside the node's own manifest and asked at each open, by digests alone. What a key signed that has expired,
was revoked or is for other models does not open; of one that was taken off the trust store, it is trusted on first use again.
"""

from pathlib import Path
from typing import Final

from freehold.core.errors import NotFound, VerificationError, os_errors
from freehold.core.models import Manifest
from freehold.provenance.keys import PublicKey
from freehold.provenance.signing import Terms, prove, read_signature, signatures_of, vouched_by
from freehold.provenance.trust import MayNotSign, TrustStore, read_trust

PUBLISHER_NAME: Final = "publisher.sig"


def signature_beside(path: Path) -> bytes | None:
    """A signature that lies beside the model at `path`, ours or OpenSSF's."""
    try:
        return read_signature(signatures_of(path)[0])
    except NotFound:
        return None


def doubt(manifest: Manifest, signature: bytes, store: TrustStore) -> str | None:
    """Why the signature vouches for nothing here: a stranger made it. None where who made it may sign models of that name.

    Raises MayNotSign where the trust store says that they may not: a key that was revoked has been in the wrong hands.
    """
    try:
        prove(signature, Terms(trust=store, name=manifest.name))
    except MayNotSign:
        raise
    except VerificationError as exc:
        return exc.message
    return None


def publisher(manifest: Manifest, place: Path, keys: Path, node: PublicKey) -> str | None:
    """Who signed the model whose manifest lies in `place`, or None.

    Raises VerificationError where one who is trusted signed other files, and MayNotSign.
    """
    path = place / PUBLISHER_NAME
    with os_errors(f"cannot read {path}"):
        signature = path.read_bytes() if path.exists() else None
    if signature is None:
        return None
    store = read_trust(keys, node)
    return None if doubt(manifest, signature, store) is not None else vouched_by(manifest, signature, store)
