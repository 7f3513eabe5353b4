"""Signs what the node vouches for: manifests and receipts."""

from hashlib import sha256

from freehold.core.models import Manifest
from freehold.core.receipts import Claims, Receipt
from freehold.core.sealer import Sealer
from freehold.provenance import manifest as manifests
from freehold.provenance import receipt as receipts
from freehold.provenance.envelope import seal
from freehold.provenance.keys import NodeKey


def sign_manifest(manifest: Manifest, key: Sealer) -> bytes:
    """The manifest in an envelope, as JSON."""
    return seal(manifests.MANIFEST_TYPE, manifests.encode(manifest), key)


class NodeSigner:
    """Implements `core.ports.ReceiptSigner` with the node's key. Keeps no state: the recorder owns the order of receipts."""

    def __init__(self, key: NodeKey) -> None:
        self._key = key

    def sign(self, claims: Claims, previous: str | None) -> Receipt:
        statement = receipts.encode(claims, previous)
        return Receipt(
            exchange_id=claims.exchange_id,
            envelope=seal(receipts.STATEMENT_MEDIA_TYPE, statement, self._key),
            digest=sha256(statement).hexdigest(),
            signed_by=self._key.key_id,
        )
