"""What a receipt states: claims about one exchange as an in-toto Statement v1, and back.

The subject is the response, by the chain of `core/receipts.py`; the predicate holds everything else the node claims, and the
digest of the receipt before it, so that none can be taken out of the chain unseen. A receipt proves what the node *claimed* when
it answered; that the claim is true needs the node's honesty, or running the exchange again.
"""

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from freehold.core.errors import MalformedArtefact
from freehold.core.events import ServedBy
from freehold.core.exchange import ExchangeId
from freehold.core.measurement import Carbon, Measurement
from freehold.core.receipts import Claims
from freehold.provenance.envelope import canonical_json, parse_json

STATEMENT_MEDIA_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:freehold:receipt:v1"
_SERVED = tuple(field.name for field in fields(ServedBy))
_ALWAYS = ("provider", "model", "model_id", "template_digest", "build", "seed", "response_id")
_SECONDS_CHARS = len("2026-01-01T00:00:00")
CHAIN = "sha256Chain"  # not "sha256": a plain digest of the body would not agree with it


class _Subject(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    digest: dict[str, str]


class _Predicate(msgspec.Struct, forbid_unknown_fields=True):
    exchange_id: str
    issued_at: str  # RFC 3339, UTC, nanoseconds
    dialect: str
    operation: str
    status: str
    served: ServedBy | None
    request_digest: str
    response_links: int
    policy_digest: str
    verdict_digest: str
    sampling: dict[str, Any]
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    energy: Measurement | None
    previous: str | None
    carbon: Carbon | msgspec.UnsetType = msgspec.UNSET  # left out where it is unknown, as in receipts of before there was one
    tokens_digest: str | msgspec.UnsetType = msgspec.UNSET
    content_digest: str | msgspec.UnsetType = msgspec.UNSET


class _Statement(msgspec.Struct, forbid_unknown_fields=True):
    type_: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicateType: str  # noqa: N815 - in-toto's own name
    predicate: _Predicate


def encode(claims: Claims, previous: str | None) -> bytes:
    predicate = _Predicate(
        exchange_id=claims.exchange_id,
        issued_at=timestamp(claims.issued_at_ns),
        dialect=claims.dialect,
        operation=claims.operation,
        status=claims.status,
        served=None if claims.served is None else _told(claims.served),  # type: ignore[arg-type]  # a part of its fields
        request_digest=claims.request_digest,
        response_links=claims.response_links,
        policy_digest=claims.policy_digest,
        verdict_digest=claims.verdict_digest,
        sampling=dict(claims.sampling),
        finish_reason=claims.finish_reason,
        input_tokens=claims.input_tokens,
        output_tokens=claims.output_tokens,
        energy=claims.energy,
        previous=previous,
        carbon=msgspec.UNSET if claims.carbon is None else claims.carbon,
        tokens_digest=claims.tokens_digest or msgspec.UNSET,
        content_digest=claims.content_digest or msgspec.UNSET,
    )
    subject = _Subject(name="response", digest={CHAIN: claims.response_digest})
    return canonical_json(_Statement(type_=STATEMENT_TYPE, subject=[subject], predicateType=PREDICATE_TYPE, predicate=predicate))


def _told(served: ServedBy) -> dict[str, Any]:
    """What is unknown of what computed an answer is left out; the fields of the first receipts are always there."""
    return {name: value for name in _SERVED if (value := getattr(served, name)) is not None or name in _ALWAYS}


def decode(payload: bytes, salt: bytes = b"") -> tuple[Claims, str | None]:
    """The claims and the digest of the receipt before. The salt is not in a receipt: it is as given."""
    statement = parse_json(payload, _Statement, "receipt statement")
    kinds = (statement.type_, statement.predicateType)
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise MalformedArtefact(f"statement is {kinds[0][:60]!r} with {kinds[1][:60]!r}, expected {PREDICATE_TYPE!r}")
    if [list(s.digest) for s in statement.subject] != [[CHAIN]]:
        raise MalformedArtefact(f"receipt must have one subject with one digest {CHAIN!r}")
    p = statement.predicate
    claims = Claims(
        exchange_id=ExchangeId(p.exchange_id),
        issued_at_ns=_unix_ns(p.issued_at),
        dialect=p.dialect,
        operation=p.operation,
        status=p.status,
        served=p.served,
        request_digest=p.request_digest,
        response_digest=statement.subject[0].digest[CHAIN],
        response_links=p.response_links,
        salt=salt,
        policy_digest=p.policy_digest,
        verdict_digest=p.verdict_digest,
        sampling=p.sampling,
        finish_reason=p.finish_reason,
        input_tokens=p.input_tokens,
        output_tokens=p.output_tokens,
        energy=p.energy,
        carbon=None if p.carbon is msgspec.UNSET else p.carbon,
        tokens_digest=p.tokens_digest or None,
        content_digest=p.content_digest or None,
    )
    return claims, p.previous


def timestamp(unix_ns: int) -> str:
    seconds, ns = divmod(unix_ns, 1_000_000_000)
    return f"{_second(seconds)}.{ns:09d}Z"


@lru_cache(maxsize=4)  # a busy node signs hundreds of receipts a second
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()[:_SECONDS_CHARS]


def _unix_ns(text: str) -> int:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    try:
        if len(fraction) != 9 or not fraction.isascii() or not fraction.isdigit():
            raise ValueError(fraction)
        return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 1_000_000_000 + int(fraction)
    except (ValueError, OverflowError) as exc:
        raise MalformedArtefact(f"receipt time {text[:40]!r} is not RFC 3339 in UTC with nanoseconds") from exc


def request_digest(salt: bytes, body: bytes) -> str:
    return sha256(salt + body).hexdigest()


def response_digest(salt: bytes, links: Iterable[bytes]) -> tuple[str, int]:
    """The chain over what was sent, and how many links it has."""
    state, count = sha256(salt).digest(), 0
    for link in links:
        state = sha256(state + link).digest()
        count += 1
    return state.hex(), count
