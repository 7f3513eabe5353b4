"""What signs with the node's key, apart from the other ports: who signs or verifies a file loads no other room's nouns."""

from typing import Protocol

from freehold.core.exchange import KeyId


class Sealer(Protocol):
    """Signs with the node's key: the end of the log, a receipt, a manifest."""

    @property
    def key_id(self) -> KeyId: ...

    def sign(self, message: bytes) -> bytes: ...
