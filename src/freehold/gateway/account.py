"""What becomes known of one exchange while it is served, and the draft of its record.

Holds facts and digests; content only where policy may keep it. `core/receipts.py` says what the digests are of.
"""

import secrets
from collections.abc import Sequence
from dataclasses import fields
from hashlib import sha256

import orjson

from freehold.core.content import Kept
from freehold.core.deferral import Turn
from freehold.core.errors import FreeholdError
from freehold.core.events import (
    Alerted,
    Blocked,
    Event,
    FinishReason,
    Found,
    Held,
    MessageEnd,
    MessageStart,
    PartEnd,
    Payload,
    PromptText,
    ReasoningDelta,
    Refused,
    ServedBy,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    Worked,
)
from freehold.core.exchange import Exchange, ExchangeId, Principal, Sampling
from freehold.core.findings import Alert, Finding, Verdict
from freehold.core.ledger import Draft, LedgerEntry, Status
from freehold.core.measurement import NO_FOOTPRINT, Footprint, Measurement
from freehold.core.ports import Use
from freehold.core.receipts import Claims, content_digest, tokens_digest
from freehold.gateway.sse import SseEvent

UNKNOWN_MODEL = "unknown"  # of a request that could not be read, or that names one nobody serves
_BASE32 = "0123456789abcdefghijklmnopqrstuv"  # RFC 4648's "extended hex", which sorts like the numbers
_PAIRS = tuple(high + low for high in _BASE32 for low in _BASE32)
_SHIFTS = range(120, -1, -10)
_SAMPLING = tuple(field.name for field in fields(Sampling) if field.name not in ("stop", "logit_bias"))


def new_exchange_id(unix_ns: int) -> ExchangeId:
    """128 bits, 48 of them the time: ids sort by when they were made, and nobody guesses one."""
    value = (unix_ns // 1_000_000) << 80 | secrets.randbits(80)
    return ExchangeId("xc_" + "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS]))


class Chain:
    """The response's digest as it grows: h(0) = H(salt), h(n) = H(h(n-1) || data)."""

    __slots__ = ("_link", "links")

    def __init__(self, salt: bytes) -> None:
        self._link = sha256(salt).digest()
        self.links = 0

    def add(self, data: bytes) -> None:
        self._link = sha256(self._link + data).digest()
        self.links += 1

    def extend(self, events: Sequence[SseEvent]) -> None:
        """Add the data of each."""
        link = self._link
        for data, _ in events:
            link = sha256(link + data).digest()
        self._link = link
        self.links += len(events)

    @property
    def digest(self) -> str:
        return self._link.hex()


class Account:
    """The facts of one exchange. `exchange` is None until the request could be read."""

    def __init__(self, *, principal: Principal, dialect: str, operation: str, unix_ns: int, started_at_s: float) -> None:
        self.exchange_id = new_exchange_id(unix_ns)
        self.principal = principal
        self.dialect = dialect
        self.operation = operation
        self.received_at_ns = unix_ns
        self.started_at_s = started_at_s
        self.body = b""
        self.salt = secrets.token_bytes(32)
        self.sent = Chain(self.salt)
        self.exchange: Exchange | None = None
        self.passed: Exchange | None = None  # as the guard let it through, for the upstream
        self.keep_days = 0  # for how long policy keeps it
        self.is_routed = False  # whether anyone serves the model: if not, its name is whatever the client wrote
        self.reserved_microusd: int | None = None  # held of a money budget
        self.was_asked = False  # whether an upstream was: before that nothing ran
        self.served: ServedBy | None = None
        self.usage: Usage | None = None
        self.worked: Worked | None = None
        self.ends: dict[int, MessageEnd] = {}
        self.findings: list[Finding] = []
        self.alerts: list[Alert] = []
        self.blocked: Verdict | None = None
        self.policy_digest = ""  # of the policy that decided on it; empty where none was asked
        self.first_at_s: float | None = None
        self.last_at_s: float | None = None
        self.deltas = 0
        self.turn: Turn | None = None  # of work that could wait
        self.status = Status.COMPLETED
        self.error_code: str | None = None

    def note(self, event: Event) -> None:
        """Keep what the record needs of an event."""
        match event:
            case Payload() | PromptText():  # first, as most are
                pass
            case TextDelta() | ReasoningDelta() | ToolCallStart() | ToolCallDelta():
                self.deltas += 1
            case Found():
                self.findings.append(event.finding)
            case Alerted():
                self.alerts.append(event.alert)
            case MessageStart():
                self.served = event.served
            case Usage():
                self.usage = event
            case Worked():
                self.worked = event
            case MessageEnd():
                self.ends[event.choice] = event
            case Blocked():
                self._note_block(event.verdict)
            case PartEnd() | Held() | Refused():
                pass

    def note_sent(self, now_s: float) -> None:
        """Part of the answer was handed to the client."""
        if self.deltas:
            self.last_at_s = now_s
            if self.first_at_s is None:
                self.first_at_s = now_s

    def fail(self, error: FreeholdError, status: Status) -> None:
        self.status, self.error_code = status, error.code

    def _note_block(self, verdict: Verdict) -> None:
        self.blocked = verdict
        self.status = Status.BLOCKED
        choices = self.exchange.choices if self.exchange else 1
        for choice in range(choices):
            self.ends.setdefault(choice, MessageEnd(finish_reason=FinishReason.CONTENT_FILTER, choice=choice))

    @property
    def model(self) -> str:
        return self.exchange.model if self.exchange and self.is_routed else UNKNOWN_MODEL

    @property
    def finish_reason(self) -> str | None:
        """The first alternative's; a whole answer has one for each."""
        first = self.ends.get(0)
        return first.finish_reason.value if first else None

    @property
    def tokens(self) -> tuple[tuple[int, ...], ...] | None:
        """Those that our engine chose, for each choice; None unless all of them are known."""
        choices = self.exchange.choices if self.exchange else 0
        found = [end.tokens for choice in range(choices) if (end := self.ends.get(choice)) is not None and end.tokens is not None]
        return tuple(found) if found and len(found) == choices else None

    @property
    def ttft_ms(self) -> float | None:
        return None if self.first_at_s is None else (self.first_at_s - self.started_at_s) * 1e3

    @property
    def between_s(self) -> float | None:
        """Mean time between deltas."""
        if self.deltas < 2 or self.first_at_s is None or self.last_at_s is None:
            return None
        return (self.last_at_s - self.first_at_s) / (self.deltas - 1)

    def use(self, now_ns: int) -> Use:
        """The exchange as the meter sees it. Our engine's models have an id; counting tokens is no work of a provider's.

        Work that waited for its turn took nothing meanwhile: what power carried then is not what it ran on.
        """
        served = self.served
        is_remote = served is not None and served.model_id is None and self.operation != "count_tokens"
        return Use(
            worked=self.worked,
            is_remote=is_remote,
            model=served.model if served is not None else self.model,  # a provider says which of its versions it was
            usage=self.usage,
            start_s=self.received_at_ns / 1e9 if self.turn is None else self.turn.ran_s,
            end_s=now_ns / 1e9,
        )

    def draft(
        self,
        *,
        now_s: float,
        now_ns: int,
        energy: Measurement,
        footprint: Footprint = NO_FOOTPRINT,
        cost_microusd: int | None = None,
        kept: Kept | None = None,
    ) -> Draft:
        """The claims to sign and the row to store. Called once the last byte to send is known."""
        usage, tokens = self.usage, self.tokens
        claims = Claims(
            exchange_id=self.exchange_id,
            issued_at_ns=now_ns,
            dialect=self.dialect,
            operation=self.operation,
            status=self.status.value,
            served=self.served,
            request_digest=sha256(self.salt + self.body).hexdigest(),
            response_digest=self.sent.digest,
            response_links=self.sent.links,
            salt=self.salt,
            policy_digest=self.policy_digest,
            verdict_digest=sha256(orjson.dumps(self.findings, option=orjson.OPT_SORT_KEYS)).hexdigest(),
            sampling=sampling_claims(self.exchange.sampling) if self.exchange else {},
            finish_reason=self.finish_reason,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            energy=energy,
            carbon=footprint.carbon,
            tokens_digest=None if tokens is None else tokens_digest(self.salt, tokens),
            content_digest=None if kept is None else content_digest(self.salt, kept.content),
        )
        return Draft(claims=claims, entry=self._entry(claims, energy, footprint, now_s, cost_microusd), kept=kept)

    def _entry(
        self, claims: Claims, energy: Measurement, footprint: Footprint, now_s: float, cost_microusd: int | None
    ) -> LedgerEntry:
        return LedgerEntry(
            exchange_id=self.exchange_id,
            received_at_ns=self.received_at_ns,
            key_id=self.principal.key_id,
            team=self.principal.team,
            dialect=self.dialect,
            operation=self.operation,
            provider=self.served.provider if self.served else None,
            model=self.model,
            model_id=self.served.model_id if self.served else None,
            stream=self.exchange.stream if self.exchange else False,
            status=self.status,
            finish_reason=self.finish_reason,
            error_code=self.error_code,
            input_tokens=claims.input_tokens,
            output_tokens=claims.output_tokens,
            ttft_ms=self.ttft_ms,
            duration_ms=(now_s - self.started_at_s) * 1e3,
            energy=energy,
            findings=tuple(self.findings),
            policy_digest=claims.policy_digest,
            cost_microusd=cost_microusd,
            reserved_microusd=self.reserved_microusd,
            turn=self.turn,
            footprint=footprint,
        )


def sampling_claims(sampling: Sampling) -> dict[str, object]:
    """How tokens were chosen, as asked for. Stop strings are the user's words: their number is enough."""
    asked = {name: value for name in _SAMPLING if (value := getattr(sampling, name)) is not None}
    if sampling.stop:
        asked["stop_strings"] = len(sampling.stop)
    if sampling.logit_bias:  # tokens are words
        asked["biased_tokens"] = len(sampling.logit_bias)
    return asked
