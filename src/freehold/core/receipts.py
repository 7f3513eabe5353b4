"""What a receipt claims, and the signed receipt itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from struct import pack

from freehold.core.events import ServedBy
from freehold.core.exchange import ExchangeId, KeyId
from freehold.core.measurement import Carbon, Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """One exchange as the node saw it: digests and counts, no content.

    Digests are salted SHA-256, hex. Request = H(salt || body). Response = a chain over what was sent, one link an SSE event's
    data, or one link for a plain body: h(0) = H(salt), h(n) = H(h(n-1) || data). `tokens_digest` and `content_digest` are below,
    None where nothing is known or kept. The salt is disclosed to the exchange's own client, not in the receipt.
    """

    exchange_id: ExchangeId
    issued_at_ns: int
    dialect: str
    operation: str
    status: str
    served: ServedBy | None
    request_digest: str
    response_digest: str
    response_links: int
    salt: bytes = field(repr=False)
    policy_digest: str = ""
    verdict_digest: str = ""
    sampling: Mapping[str, object] = field(default_factory=dict)
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    energy: Measurement | None = None
    carbon: Carbon | None = None
    tokens_digest: str | None = None
    content_digest: str | None = None  # of what policy keeps of the exchange, whether it still is there or not


def tokens_digest(salt: bytes, choices: Iterable[Sequence[int]]) -> str:
    """Over the tokens that our engine chose: H(salt || "tokens" || for each choice its count and its tokens, as u32le)."""
    state = sha256(salt + b"tokens")
    for tokens in choices:
        state.update(pack(f"<{1 + len(tokens)}I", len(tokens), *tokens))
    return state.hexdigest()


def content_digest(salt: bytes, content: bytes) -> str:
    """H(salt || "content" || the kept JSON)."""
    return sha256(salt + b"content" + content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A DSSE envelope over an in-toto statement. `digest` is SHA-256 of the statement, hex: the next receipt names it."""

    exchange_id: ExchangeId
    envelope: bytes  # JSON
    digest: str
    signed_by: KeyId


def exchange_digest(ledger_sha256: bytes, findings_sha256: bytes, receipt_sha256: bytes, envelope_sha256: bytes) -> bytes:
    """What the log binds of one exchange: its ledger row, its findings, its receipt's digest, signer and salt, and the envelope.

    Made of the parts' digests, so that some can be shown without the others.
    """
    return sha256(b"freehold-exchange-v2\n" + ledger_sha256 + findings_sha256 + receipt_sha256 + envelope_sha256).digest()
