"""Who may look: a log-in turns the admin key into a cookie, for this process and for a while.

A cookie is a random id; what it stands for stays in this process's memory. So a log-out is real, a restart ends all
sessions, and each use asks the key ring again: a revoked key ends its sessions within the key ring's second. Ids are
compared by their SHA-256, so that the time a lookup takes says nothing about a valid one.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from freehold.core.errors import InvalidKey, NotAllowed
from freehold.core.exchange import Principal
from freehold.core.ports import KeyRing

MAX_SESSIONS = 256  # a bound on memory, far above the people who hold an admin key; the oldest leaves first


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    secret: str = field(repr=False)
    ends_at_s: float


class Sessions:
    """Log-ins of one process. Methods may block on the key ring: call them off the event loop."""

    def __init__(self, keys: KeyRing, *, lifetime_s: float, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock
        self._open: OrderedDict[bytes, _Session] = OrderedDict()
        self.lifetime_s = lifetime_s

    def admin(self, secret: str) -> Principal:
        """The admin this key belongs to. Raises InvalidKey for an unknown key, NotAllowed for a key that is not an admin's."""
        principal = self._keys.authenticate(secret)
        if not principal.is_admin:
            raise NotAllowed(f"key {principal.name!r} is not an admin key; create one with `freehold keys create NAME --admin`")
        return principal

    def open(self, secret: str) -> str:
        """Log in: returns the cookie's value. Raises as `admin` does."""
        self.admin(secret)
        cookie = secrets.token_urlsafe(32)
        self._open[_digest(cookie)] = _Session(secret=secret, ends_at_s=self._clock() + self.lifetime_s)
        while len(self._open) > MAX_SESSIONS:
            self._open.popitem(last=False)
        return cookie

    def resume(self, cookie: str) -> Principal:
        """Raises InvalidKey when the session is unknown or over, or its key was revoked."""
        digest = _digest(cookie)
        session = self._open.get(digest)
        if session is None or self._clock() >= session.ends_at_s:
            self._open.pop(digest, None)
            raise InvalidKey("the session is over; log in again")
        try:
            return self.admin(session.secret)
        except (InvalidKey, NotAllowed):
            self._open.pop(digest, None)
            raise

    def close(self, cookie: str) -> None:
        self._open.pop(_digest(cookie), None)


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()
