"""What stands in a value's place, and how the record names a value without saying it."""

import hmac
import json
import re
from hashlib import sha256
from typing import Protocol

from freehold.core.findings import Action
from freehold.guard.ruling import Ruling

_LETTER = re.compile(r"\\{1,16}u([0-9a-fA-F]{4})")
TOKEN_LIMIT_CHARS = 4096  # a longer value is masked: nobody means a token for a page of text


class TokenIssuer(Protocol):
    """Tokens of one client."""

    def issue(self, value: str, ruling: Ruling) -> str: ...

    def has_issued(self, text: str) -> bool: ...


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Seal:
    """For the texts of one session. `in_json`: they are JSON's source, so values in them are escaped."""

    __slots__ = ("_in_json", "_issuer", "_key")

    def __init__(self, key: bytes, issuer: TokenIssuer | None = None, *, in_json: bool = False) -> None:
        self._key, self._issuer, self._in_json = key, issuer, in_json

    def for_json(self) -> "Seal":
        return Seal(self._key, self._issuer, in_json=True)

    def begin(self, value: str) -> Digest:
        """A digest of a value that goes on."""
        return hmac.new(self._key, _bytes(value), sha256)

    def go_on(self, digest: Digest, value: str) -> None:
        digest.update(_bytes(value))

    def digest(self, value: str) -> str:
        return hmac.digest(self._key, _bytes(value), "sha256").hex()

    def stand_in(self, ruling: Ruling, value: str) -> str:
        if ruling.enforced is not Action.TOKENISE or self._issuer is None or len(value) > TOKEN_LIMIT_CHARS:
            return ruling.mask
        return self._issuer.issue(_unescaped(value) if self._in_json else _spelled(value), ruling)

    def is_own_token(self, value: str) -> bool:
        """Whether this is what stands for a value already: it is not found again."""
        return self._issuer is not None and self._issuer.has_issued(value)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _spelled(value: str) -> str:
    """Where a text has JSON in it, what is not ASCII may be escaped: it is the same value, and has the same token."""
    if "\\u" not in value:
        return value
    return (
        _LETTER.sub(lambda letter: chr(int(letter[1], 16)), value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    try:
        plain = json.loads(f'"{value}"')
    except ValueError:
        return value
    return plain if isinstance(plain, str) else value


UNSEALED = Seal(b"")  # where nothing is recorded
