"""What the gateway hands to the record is what the check of the log expects."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.core.errors import RecordNotWritten, UpstreamTimeout
from freehold.core.events import FinishReason, Found, MessageEnd, MessageStart, ServedBy, Usage
from freehold.core.exchange import ExchangeId, KeyId, ModelId, Principal
from freehold.core.ledger import Status
from freehold.core.measurement import UNKNOWN_ENERGY, Measurement
from freehold.gateway.account import Account
from freehold.store.exchanges import verdict_digest
from tests.store.drafts import FINDING, MODELLED
from tests.store.logs import KEYED_FINDING, check, log_writer

NOW_NS = 1_795_000_000_000_000_000


def account() -> Account:
    principal = Principal(key_id=KeyId("key_1"), name="alice", team="red")
    return Account(principal=principal, dialect="openai.chat", operation="chat", unix_ns=NOW_NS, started_at_s=1.0)


def answered() -> Account:
    one = account()
    one.note(MessageStart(served=ServedBy(provider="freehold", model="m", model_id=ModelId("ab" * 32), seed=7)))
    for finding in (FINDING, KEYED_FINDING, replace(FINDING, confidence=1e-5)):
        one.note(Found(finding=finding))
    one.note(Usage(input_tokens=12, output_tokens=50))
    one.note(MessageEnd(finish_reason=FinishReason.STOP))
    return one


def failed() -> Account:
    one = account()
    one.fail(UpstreamTimeout("silent for too long"), Status.FAILED)
    return one


@pytest.mark.parametrize("energy", [UNKNOWN_ENERGY, MODELLED, replace(MODELLED, energy_j=1 / 3)])
@pytest.mark.parametrize("make", [answered, failed, account])
async def test_what_the_gateway_records_holds(tmp_path: Path, make: Callable[[], Account], energy: Measurement) -> None:
    path = tmp_path / "record.db"
    draft = make().draft(now_s=2.5, now_ns=NOW_NS + 1, energy=energy)
    assert draft.claims.verdict_digest == verdict_digest(list(draft.entry.findings))
    with closing(log_writer(path)) as writer:
        await writer.record(draft)
    report = check(path, each_signature=True)
    assert (report.broken, report.exchanges) == (None, 1)


async def test_a_decision_that_does_not_fit_is_refused_and_hurts_no_other(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    with closing(log_writer(path)) as writer:
        with pytest.raises(RecordNotWritten, match="no plain JSON"):
            await writer.append("placement", {"what": object()})
        await writer.append("placement", {"allowed": []}, ExchangeId("xc_1"))
        assert writer.status().ready
    with pytest.raises(RecordNotWritten, match="shutting down"):
        await writer.append("placement", {})
    assert check(path).rows == 1
