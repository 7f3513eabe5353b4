"""Who is asking: the key in a request's headers, and what it may do."""

from collections.abc import Iterable, Mapping

from freehold.core.errors import InvalidKey, NotAllowed
from freehold.core.exchange import Principal
from freehold.core.ports import KeyRing

Headers = Mapping[bytes, bytes]
_NO_QUERY: Mapping[str, str] = {}


def read_headers(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Header names are lower case already; of a repeated one the last counts."""
    return dict(pairs)


def authenticate(headers: Headers, keys: KeyRing, query: Mapping[str, str] = _NO_QUERY) -> Principal:
    """Raises InvalidKey. A key comes as each dialect's own clients send it: bearer, `x-api-key`, `x-goog-api-key` or `?key=`."""
    scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not secret.strip():
        secret = headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or query.get("key", "").encode()
    if not secret.strip():
        raise InvalidKey("no key: send the header 'Authorization: Bearer KEY'; 'freehold keys create NAME' makes one")
    try:
        return keys.authenticate(secret.strip().decode("ascii"))
    except UnicodeDecodeError as exc:
        raise InvalidKey("the key is not one of this node's: it holds characters no key has") from exc


def authenticate_admin(headers: Headers, keys: KeyRing) -> Principal:
    principal = authenticate(headers, keys)
    if not principal.is_admin:
        raise NotAllowed("this needs an admin key: 'freehold keys create NAME --admin' makes one")
    return principal
