"""Texts in which nothing was found, by digest: an agent sends its whole history again with every request.

Keeps digests, never a text, and only of what was clean: what holds a finding is scanned each time. What is clean is so under the
detectors, the rulings and the place that it was scanned under; and for one key's texts alone, so that how fast an answer comes
tells nobody what others have sent.
"""

import secrets
from hashlib import blake2b

from freehold.guard.ruling import Rulings

LIMIT = 8192  # digests of some 120 bytes that are new, and as many that were seen before them
KINDS_LIMIT = 1024  # rulings and keys
SHORT_CHARS = 32  # scanning less takes no longer than looking it up


class Clean:
    """One for all exchanges under one policy."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._key = secrets.token_bytes(32)
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()
        self._kinds: dict[tuple[int, str], tuple[bytes, Rulings]] = {}  # rulings are told apart by where they lie: they are kept

    def digest(self, text: str, before: str, rulings: Rulings, key_id: str) -> bytes | None:
        """Of `text` behind `before`; None for one that is not kept."""
        if len(text) < SHORT_CHARS:
            return None
        kind = self._kinds.get((id(rulings), key_id))
        if kind is None:
            if len(self._kinds) >= KINDS_LIMIT:
                self._kinds, self._new, self._old = {}, set(), set()
            kind = self._kinds[id(rulings), key_id] = (secrets.token_bytes(16), rulings)
        placed = f"{len(before)} {before}{text}".encode("utf-8", "surrogatepass")
        return blake2b(placed, digest_size=16, key=self._key, salt=kind[0]).digest()

    def has(self, digest: bytes) -> bool:
        if digest in self._new:
            return True
        if digest not in self._old:
            return False
        self.add(digest)
        return True

    def add(self, digest: bytes) -> None:
        if len(self._new) >= self._limit:
            self._old, self._new = self._new, set()
        self._new.add(digest)
