"""Tokens for values, and the values for tokens: in memory, a client key's own, for a time.

A token is made of the value's HMAC under a secret of the node and the client's key: the same value has the same token as long as
the node's secret lasts, whichever process makes it, and nobody tells from a token what it stands for. A value comes back only for
a token that was issued to the same key and has not expired. Of two values that would have the same token, the later gets another.
"""

import hmac
import ipaddress
import re
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from weakref import WeakValueDictionary

from freehold.core.ports import MonotonicClock
from freehold.guard.detectors.validators import luhn
from freehold.guard.policy_file import Tokens
from freehold.guard.ruling import Ruling
from freehold.guard.terms import TermIndex

_MARK_CHARS = 8  # of a token: 32 bits, and whoever guesses one right is told a value of his own
_ATTEMPTS = 64
_KIND = re.compile(r"[^A-Z0-9]+")

_EMAIL = re.compile(r"[^@\s]{1,128}@[^@\s]{1,253}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_IPV6 = re.compile(r"[0-9A-Fa-f:]{2,39}")
_DIGITS = re.compile(r"[+(]?\d(?:[ ()./-]{0,3}\d){7,39}")
_TEST_NETS = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737: for documentation


class ClientTokens:
    """The tokens of one client key: implements `seal.TokenIssuer`. Its representation shows none."""

    __slots__ = ("__weakref__", "_by_value", "_clock", "_key", "_name", "_settings", "_tokens", "escaped_index", "index")

    def __init__(self, key: bytes, name: str, clock: MonotonicClock, settings: Tokens) -> None:
        self._key, self._name, self._clock, self._settings = key, name, clock, settings
        self._tokens: OrderedDict[str, _Held] = OrderedDict()  # longest unused first
        self._by_value: dict[tuple[str, str, str], str] = {}  # (value, rule, format) -> token
        self.index = TermIndex()  # of the tokens that may come back
        self.escaped_index = TermIndex()  # and of the ways to write them in the source of JSON

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._tokens)} tokens>"

    def __len__(self) -> int:
        return len(self._tokens)

    def issue(self, value: str, ruling: Ruling) -> str:
        self.expire()
        known = value, ruling.rule, ruling.shape
        token = self._by_value.get(known)
        if token is None:
            token = self._new(value, ruling)
            if token is None:
                return ruling.mask
            self._by_value[known] = token
            self.index.add(token)
            for written in _written(token):
                self.escaped_index.add(written)
            if len(self._tokens) >= self._settings.max_values:
                self._forget()
        self._tokens[token] = _Held(value, known, self._clock() + self._settings.ttl_s)
        self._tokens.move_to_end(token)
        return token

    def has_issued(self, text: str) -> bool:
        return text in self._tokens or f"<<{text}>>" in self._tokens

    def value(self, token: str) -> str | None:
        held = self._tokens.get(token)
        return None if held is None or held.expires_at_s <= self._clock() else held.value

    def renew(self, settings: Tokens) -> None:
        self._settings = settings

    def expire(self) -> None:
        now_s = self._clock()
        while self._tokens and next(iter(self._tokens.values())).expires_at_s <= now_s:
            self._forget()

    def _forget(self) -> None:
        token, held = self._tokens.popitem(last=False)
        del self._by_value[held.known]
        self.index.discard(token)
        for written in _written(token):
            self.escaped_index.discard(written)

    def _new(self, value: str, ruling: Ruling) -> str | None:
        """A token that stands for nothing else; None where the shape has none left."""
        make = _shape(value) if ruling.shape == "preserving" else _marked
        kind = _KIND.sub("_", ruling.rule.upper())[:40]
        for attempt in range(_ATTEMPTS):
            text = "\0".join([self._name, ruling.rule, str(attempt), value])
            token = make(value, kind, hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256"))
            if token not in self._tokens and token != value:
                return token
        return None


class _Held:
    """A value that can be had for its token. Not a tuple: those show what they hold."""

    __slots__ = ("expires_at_s", "known", "value")

    def __init__(self, value: str, known: tuple[str, str, str], expires_at_s: float) -> None:
        self.value, self.known, self.expires_at_s = value, known, expires_at_s


class Vault:
    """The tokens of every client key. Those of an exchange without a key live as long as its session."""

    def __init__(self, key: bytes, clock: MonotonicClock) -> None:
        self._key, self._clock = key, clock
        self._clients: dict[str, ClientTokens] = {}
        self._in_use: WeakValueDictionary[str, ClientTokens] = WeakValueDictionary()  # by sessions, without tokens perhaps
        self._swept_at_s = clock()

    def of(self, key_id: str, settings: Tokens) -> ClientTokens:
        self._sweep(settings.ttl_s)
        client = self._in_use.get(key_id)
        if client is None:
            client = ClientTokens(self._key, key_id, self._clock, settings)
            if key_id:
                self._in_use[key_id] = client
        if key_id:
            self._clients[key_id] = client
        client.renew(settings)
        return client

    def _sweep(self, ttl_s: float) -> None:
        """Forget what expired of clients that do not come back."""
        now_s = self._clock()
        if now_s - self._swept_at_s < ttl_s / 4:
            return
        self._swept_at_s = now_s
        for client in self._clients.values():
            client.expire()
        self._clients = {key_id: client for key_id, client in self._clients.items() if len(client)}


def _written(token: str) -> tuple[str, ...]:
    """Ways to write `token` in the source of JSON: some encoders escape what HTML would take for a tag."""
    if not token.startswith("<"):
        return (token,)
    return token, *(token.replace("<", less).replace(">", more) for less, more in _ANGLES)


def plain_token(written: str) -> str:
    for less, more in _ANGLES:
        written = written.replace(less, "<").replace(more, ">")
    return written


_ANGLES = (("\\u003c", "\\u003e"), ("\\u003C", "\\u003E"))
_Make = Callable[[str, str, bytes], str]  # value, kind, digest -> token


def _marked(value: str, kind: str, digest: bytes) -> str:
    return f"<<{_word(value, kind, digest)}>>"


def _word(_: str, kind: str, digest: bytes) -> str:
    return f"{kind}_{digest.hex()[:_MARK_CHARS]}"


def _shape(value: str) -> _Make:
    """What makes a token that code and JSON can hold where they held `value`."""
    if _EMAIL.fullmatch(value):
        return _email
    if _UUID.fullmatch(value):
        return _uuid
    if _is_address(value):
        return _ipv6 if ":" in value else _ipv4
    if value.isascii() and _DIGITS.fullmatch(value):
        return _digits
    return _word


def _email(_: str, __: str, digest: bytes) -> str:
    return f"user-{digest.hex()[:_MARK_CHARS]}@example.com"  # RFC 2606: nobody's


def _uuid(value: str, _: str, digest: bytes) -> str:
    made = bytearray(digest[:16])
    made[6], made[8] = made[6] & 0x0F | 0x80, made[8] & 0x3F | 0x80  # RFC 9562, version 8: whatever its maker wants
    text = str(uuid.UUID(bytes=bytes(made)))
    return text.upper() if value == value.upper() else text


def _is_address(value: str) -> bool:
    if not (_IPV4.fullmatch(value) or _IPV6.fullmatch(value)):
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _ipv4(_: str, __: str, digest: bytes) -> str:
    # Three digits at the end: no address begins with another.
    return f"{_TEST_NETS[digest[0] % 3]}.{100 + int.from_bytes(digest[1:3]) % 155}"


def _ipv6(_: str, __: str, digest: bytes) -> str:
    groups = [f"{int.from_bytes(digest[at : at + 2]) | 0x1000:x}" for at in range(0, 12, 2)]
    return ":".join(["2001", "db8", *groups])  # RFC 3849: for documentation


def _digits(value: str, _: str, digest: bytes) -> str:
    """As many digits, in the same groups, that fail the check of cards: no shop takes them."""
    made = "".join(_as_digit(char, byte, is_first) for char, byte, is_first in _placed(value, digest))
    if luhn("".join(filter(str.isdigit, made)).encode()):
        return made[:-1] + str((int(made[-1]) + 1) % 10)
    return made


def _placed(value: str, digest: bytes) -> Iterator[tuple[str, int, bool]]:
    is_first = True
    for place, char in enumerate(value):
        yield char, digest[place % len(digest)] ^ place // len(digest), is_first
        is_first = is_first and not char.isdigit()


def _as_digit(char: str, byte: int, is_first: bool) -> str:
    if not char.isdigit():
        return char
    # A number's first digit is no 0 in JSON, and stays one where it was one.
    return str(byte % 10) if not is_first else "0" if char == "0" else str(1 + byte % 9)
