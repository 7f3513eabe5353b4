"""The key under which kept exchanges lie encrypted, and how one is opened again.

AES-256-GCM (NIST SP 800-38D), a random nonce of 96 bits: 0x01 || nonce || ciphertext and tag, bound to the exchange's id. The key
is 32 random bytes in `content.key` beside the node's key, 0600, made when the first exchange is to be kept. Whoever deletes that
file has made all that was kept unreadable at once.
"""

import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from freehold.core.content import KeptExchange
from freehold.core.errors import ConfigError, DeviceError, NotFound, VerificationError
from freehold.core.exchange import ExchangeId
from freehold.core.receipts import Claims, content_digest
from freehold.provenance.envelope import parse_json
from freehold.provenance.files import write_durably

KEY_NAME = "content.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentKey:
    """Implements `core.ports.Cipher`."""

    _cipher: AESGCM = field(repr=False)

    def encrypt(self, content: bytes, exchange_id: ExchangeId) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, content, exchange_id.encode())

    def decrypt(self, encrypted: bytes, exchange_id: ExchangeId) -> bytes:
        """Raises VerificationError for what this key did not encrypt for this exchange."""
        version, nonce, rest = encrypted[:1], encrypted[1 : 1 + _NONCE_BYTES], encrypted[1 + _NONCE_BYTES :]
        try:
            if version != _VERSION or len(nonce) != _NONCE_BYTES:
                raise InvalidTag
            return self._cipher.decrypt(nonce, rest, exchange_id.encode())
        except InvalidTag as exc:
            raise VerificationError(
                f"what was kept of {exchange_id} does not open with this home's {KEY_NAME}: it was changed, or the key is another"
            ) from exc


def content_key(directory: Path, *, make: bool = False) -> ContentKey:
    """The key in `directory`; with `make`, made on first use. Raises NotFound where there is none."""
    path = directory / KEY_NAME
    try:
        if make and not path.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(path, secrets.token_bytes(_KEY_BYTES), mode=0o600, replace=False)
        mode, raw = stat.S_IMODE(path.stat().st_mode), path.read_bytes()
    except FileNotFoundError as exc:
        raise NotFound(f"there is no {path}: nothing that was kept in this home can be read") from exc
    except OSError as exc:
        raise DeviceError(f"cannot use the key of kept exchanges {path}: {exc.strerror}; check its owner and space") from exc
    if mode & 0o077:
        raise ConfigError(f"{path} has mode {mode:04o}: others could read what is kept. Run: chmod 0600 '{path}'")
    if len(raw) != _KEY_BYTES:
        raise ConfigError(f"{path} has {len(raw)} bytes, not {_KEY_BYTES}: put the key back from a backup, or move it away")
    return ContentKey(_cipher=AESGCM(raw))


def opened(encrypted: bytes, key: ContentKey, claims: Claims) -> KeptExchange:
    """What was kept of an exchange, if it is what its receipt was signed over. `claims` carry the salt.

    Raises VerificationError, MalformedArtefact.
    """
    content = key.decrypt(encrypted, claims.exchange_id)
    if not hmac.compare_digest(content_digest(claims.salt, content), claims.content_digest or ""):
        raise VerificationError(f"what was kept of {claims.exchange_id} is not what its receipt was signed over")
    return parse_json(content, KeptExchange, "the kept exchange")
