"""Drafts for tests, and a signer that signs nothing but keeps the chain."""

from hashlib import sha256

from hypothesis import strategies as st

from freehold.core.events import ServedBy
from freehold.core.exchange import ExchangeId, KeyId, ModelId
from freehold.core.findings import Action, Channel, Direction, Finding, Mode
from freehold.core.ledger import Draft, LedgerEntry, Status
from freehold.core.measurement import UNKNOWN_ENERGY, Grade, Measurement
from freehold.core.receipts import Claims, Receipt
from tests.fakes import ledger

FINDING = ledger.finding(direction=Direction.RESPONSE, channel=Channel.TEXT, start=3, end=23, confidence=0.9)
MODELLED = Measurement(grade=Grade.MODELLED, source="cpu-time-model", energy_j=3.5, low_j=1.6, high_j=8.6)


def draft(
    exchange_id: str = "xc_1",
    *,
    findings: tuple[Finding, ...] = (),
    energy: Measurement = UNKNOWN_ENERGY,
    salt: bytes = b"salt",
    status: Status = Status.COMPLETED,
) -> Draft:
    return Draft(claims=claims(exchange_id, salt=salt), entry=entry(exchange_id, findings=findings, energy=energy, status=status))


def claims(exchange_id: str, *, salt: bytes = b"salt") -> Claims:
    return Claims(
        exchange_id=ExchangeId(exchange_id),
        issued_at_ns=1_795_000_000_000_000_000,
        dialect="openai.chat",
        operation="chat",
        status="completed",
        served=ServedBy(provider="freehold", model="smollm2-135m", model_id=ModelId("ab" * 32), build="0.1.0"),
        request_digest="11" * 32,
        response_digest="22" * 32,
        response_links=50,
        salt=salt,
        sampling={"temperature": 0.7, "max_tokens": 256},
        finish_reason="stop",
        input_tokens=12,
        output_tokens=50,
        energy=MODELLED,
    )


def entry(
    exchange_id: str,
    *,
    findings: tuple[Finding, ...] = (),
    energy: Measurement = UNKNOWN_ENERGY,
    status: Status = Status.COMPLETED,
) -> LedgerEntry:
    return ledger.entry(
        exchange_id=ExchangeId(exchange_id),
        received_at_ns=1_795_000_000_000_000_000,
        team=None,
        model_id=ModelId("ab" * 32),
        status=status,
        input_tokens=12,
        output_tokens=50,
        ttft_ms=8.5,
        duration_ms=250.0,
        energy=energy,
        findings=findings,
        policy_digest="cd" * 32,
    )


class ChainSigner:
    """Implements `ReceiptSigner`: the digest covers the id and the one before, so a gap in the chain shows."""

    def sign(self, claims: Claims, previous: str | None) -> Receipt:
        digest = chain_digest(claims.exchange_id, previous)
        return Receipt(exchange_id=claims.exchange_id, envelope=b"{}", digest=digest, signed_by=KeyId("k"))


def chain_digest(exchange_id: str, previous: str | None) -> str:
    return sha256(f"{previous} {exchange_id}".encode()).hexdigest()


def chain_holds(receipts: list[tuple[str, str]]) -> bool:
    """Whether (exchange id, digest) pairs in order are one unbroken chain from its beginning."""
    previous = None
    for exchange_id, digest in receipts:
        if digest != chain_digest(exchange_id, previous):
            return False
        previous = digest
    return True


def findings() -> st.SearchStrategy[Finding]:
    return st.builds(
        Finding,
        rule=st.text(max_size=20),
        category=st.sampled_from(["credential", "personal_data"]),
        direction=st.sampled_from(Direction),
        channel=st.sampled_from(Channel),
        part=st.integers(0, 100),
        start=st.integers(0, 1 << 40),
        end=st.integers(0, 1 << 40),
        confidence=st.floats(0.01, 1),
        action=st.sampled_from(Action),
        mode=st.sampled_from(Mode),
    )


def entries() -> st.SearchStrategy[LedgerEntry]:
    joules = st.floats(0, 1e9)
    words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return st.builds(
        LedgerEntry,
        exchange_id=words.map(ExchangeId),
        received_at_ns=st.integers(0, 1 << 62),
        key_id=words.map(KeyId),
        team=st.none() | words,
        dialect=words,
        operation=words,
        provider=st.none() | words,
        model=words,
        model_id=st.none() | words.map(ModelId),
        stream=st.booleans(),
        status=st.sampled_from(Status),
        finish_reason=st.none() | words,
        error_code=st.none() | words,
        input_tokens=st.none() | st.integers(0, 1 << 40),
        output_tokens=st.none() | st.integers(0, 1 << 40),
        ttft_ms=st.none() | st.floats(0, 1e9),
        duration_ms=st.floats(0, 1e9),
        energy=st.just(UNKNOWN_ENERGY)
        | st.builds(Measurement, grade=st.just(Grade.MODELLED), source=words, energy_j=joules, low_j=joules, high_j=joules),
        findings=st.lists(findings(), max_size=3).map(tuple),
        policy_digest=words,
        cost_microusd=st.none() | st.integers(0, 1 << 50),
        reserved_microusd=st.none() | st.integers(0, 1 << 50),
    )
