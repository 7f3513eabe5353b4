"""Placement as the gateway asks for it, decided by the real policy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest

from freehold.core.errors import InvalidRequest, NowhereAllowed, RecordNotWritten
from freehold.core.exchange import Exchange, ExchangeId, KeyId, Principal
from freehold.core.findings import Context, Finding
from freehold.core.ports import Placement, Residency
from freehold.gateway import placement as placements
from freehold.gateway.metrics import Metrics
from freehold.gateway.placement import May, Placer, claimed
from freehold.guard.jurisdictions import day_ns
from freehold.guard.labels import STRICTEST
from freehold.guard.residency import ENGINE, Unrestricted, policy_of
from freehold.guard.residency_config import LabelRuleConfig
from tests.guard.test_residency import BERLIN, EMAIL, EU_ONLY, NOW_NS, policy

LOCAL = LabelRuleConfig(local_only=True)
UPSTREAMS = (ENGINE, "berlin", "oregon")
PLANTED = "sk-live-planted-in-a-prompt"


class Log:
    """Implements `AuditLog` in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict[str, Any], ExchangeId | None]] = []
        self.failing = False

    async def append(self, kind: str, facts: Mapping[str, object], exchange_id: ExchangeId | None = None) -> None:
        if self.failing:
            raise RecordNotWritten("the disk is full; free some space")
        self.rows.append((kind, json.loads(json.dumps(facts)), exchange_id))


class Clock:
    now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def placer(residency: Residency, log: Log, clock: Clock) -> Placer:
    return Placer(residency, log, Metrics(), sorted(STRICTEST), clock)


def exchange(**document: object) -> Exchange:
    return Exchange(
        id=ExchangeId("xc_1"),
        received_at_ns=NOW_NS,
        principal=Principal(key_id=KeyId("key_1"), name="alice"),
        dialect="openai.chat",
        operation="chat",
        model="large",
        stream=True,
        body=PLANTED.encode(),
        document={"messages": [{"role": "user", "content": PLANTED}]} | document,
    )


async def place(
    placer: Placer,
    labels: str = "",
    *,
    findings: Sequence[Finding] = (),
    upstreams: Sequence[str] = UPSTREAMS,
    context: Context | None = None,
    **document: object,
) -> tuple[Placement, May]:
    headers = {b"x-freehold-labels": labels.encode()} if labels else {}
    return await placer.place(exchange(**document), context or Context(model="large"), headers, findings, upstreams)


async def test_the_decision_is_in_the_log_before_anything_can_be_sent(log: Log, clock: Clock) -> None:
    placement, _ = await place(placer(policy(personal=EU_ONLY), log, clock), "personal", findings=(EMAIL,))
    ((kind, facts, exchange_id),) = log.rows
    assert (kind, exchange_id) == ("placement", "xc_1")
    assert facts["allowed"] == list(placement.allowed) == [ENGINE, "berlin"]
    assert facts["rejected"] == {"oregon": ["jurisdiction_not_allowed"]}
    assert facts["origins"] == [["internal", "rule"], ["personal", "detector"]]
    assert facts["found"] == [["email", "personal_data"]]
    assert facts["policy_digest"] == placement.policy_digest


async def test_without_a_durable_decision_nothing_goes_on(log: Log, clock: Clock) -> None:
    log.failing = True
    with pytest.raises(RecordNotWritten):
        await place(placer(policy(), log, clock))


async def test_4_nowhere_is_an_error_with_its_reasons_and_in_the_log(log: Log, clock: Clock) -> None:
    with pytest.raises(NowhereAllowed, match=r"labelled internal, personal: .*oregon: no_rule_for_personal") as caught:
        await place(placer(policy(), log, clock), "personal")
    assert caught.value.status == 451
    assert log.rows[0][1]["allowed"] == []


async def test_4_with_no_upstream_at_all_the_answer_is_no(log: Log, clock: Clock) -> None:
    with pytest.raises(NowhereAllowed):
        await place(placer(policy(), log, clock), upstreams=())


async def test_3_every_try_is_asked_for_at_its_own_time(log: Log, clock: Clock) -> None:
    sites = {"berlin": msgspec.structs.replace(BERLIN, expires_at=date(2026, 11, 23))}
    _, may = await place(placer(policy(sites), log, clock), upstreams=(ENGINE, "berlin"))
    assert may("berlin")
    clock.now_ns = day_ns("2026-11-24")  # the first try took until midnight
    assert not may("berlin")
    assert may(ENGINE)


async def test_3_an_upstream_nobody_asked_about_is_judged_all_the_same(log: Log, clock: Clock) -> None:
    _, may = await place(placer(policy(personal=EU_ONLY), log, clock), "personal", upstreams=(ENGINE,))
    assert (may("berlin"), may("oregon"), may("new-since")) == (True, False, False)


async def test_10_a_stream_and_tools_change_nothing(log: Log, clock: Clock) -> None:
    asked = placer(policy(personal=EU_ONLY), log, clock)
    streamed, _ = await asked.place(exchange(), Context(), {}, (EMAIL,), UPSTREAMS)
    whole, _ = await asked.place(replace(exchange(tools=[{}]), stream=False), Context(), {}, (EMAIL,), UPSTREAMS)
    assert streamed == whole


async def test_11_a_conversation_kept_elsewhere_keeps_its_labels(log: Log, clock: Clock) -> None:
    asked = placer(policy(personal=EU_ONLY), log, clock)
    first, _ = await place(asked, findings=(EMAIL,))
    asked.remember(KeyId("key_1"), "resp_1", first)
    second, may = await place(asked, previous_response_id="resp_1")
    assert second.labels == {"internal", "personal"}
    assert not may("oregon")


@pytest.mark.parametrize(
    "document",
    [{"previous_response_id": "resp_x"}, {"conversation": {"id": "conv_x"}}, {"cachedContent": "c"}, {"container": "c"}],
)
async def test_11_a_conversation_nobody_knows_here_counts_as_the_strictest(
    log: Log, clock: Clock, document: dict[str, Any]
) -> None:
    asked = placer(policy(special_category=LOCAL, state_secret=LOCAL), log, clock)
    placement, _ = await place(asked, **document)
    assert placement.allowed == (ENGINE,)
    with pytest.raises(NowhereAllowed):
        await place(placer(policy(), log, clock), **document)


async def test_11_another_keys_conversation_is_not_known(log: Log, clock: Clock) -> None:
    asked = placer(policy(), log, clock)
    first, _ = await place(asked)
    asked.remember(KeyId("key_2"), "resp_1", first)
    with pytest.raises(NowhereAllowed):
        await place(asked, previous_response_id="resp_1")


async def test_conversations_are_remembered_up_to_a_bound(log: Log, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placements, "REMEMBERED_CONVERSATIONS", 2)
    asked = placer(policy(), log, clock)
    first, _ = await place(asked)
    for number in range(3):
        asked.remember(KeyId("key_1"), f"resp_{number}", first)
    assert (await place(asked, previous_response_id="resp_2"))[0].allowed
    with pytest.raises(NowhereAllowed):
        await place(asked, previous_response_id="resp_0")


async def test_12_the_log_holds_all_that_is_needed_to_decide_again(log: Log, clock: Clock) -> None:
    residency = policy(personal=EU_ONLY)
    context = Context(dialect="openai.chat", model="large", key_id="key_1", labels=frozenset(["personal"]))
    await place(placer(residency, log, clock), context=context, findings=(EMAIL,))
    facts = log.rows[0][1]
    again = policy_of(json.dumps(residency.facts()["policy"]))
    assert again.digest == facts["policy_digest"]
    kept = Context(**(facts["context"] | {"labels": frozenset(facts["context"]["labels"])}))
    found = [(rule, category) for rule, category in facts["found"]]
    decided = again.place_found(kept, facts["claimed"], found, facts["upstreams"], facts["at_ns"])
    assert list(decided.allowed) == facts["allowed"]


async def test_no_content_is_in_the_log(log: Log, clock: Clock) -> None:
    await place(placer(policy(personal=EU_ONLY), log, clock), "personal", findings=(EMAIL,))
    assert PLANTED not in json.dumps(log.rows)


async def test_a_label_that_does_not_exist_is_the_callers_fault(log: Log, clock: Clock) -> None:
    with pytest.raises(InvalidRequest, match="no label 'harmless'"):
        await place(placer(policy(), log, clock), "harmless")
    assert log.rows == []


async def test_where_nothing_is_restricted_nothing_is_logged_and_no_promise_made(log: Log, clock: Clock) -> None:
    free = placer(Unrestricted(), log, clock)
    placement, may = await place(free, findings=(EMAIL,), previous_response_id="resp_x")
    assert placement.allowed == UPSTREAMS
    assert may("anyone")
    assert log.rows == []
    with pytest.raises(InvalidRequest, match="no rules on where data may go"):
        await place(free, "personal")


def test_the_header_lists_labels() -> None:
    assert claimed({b"x-freehold-labels": b" personal, export_controlled ,"}) == ("personal", "export_controlled")
    assert claimed({}) == ()
    assert claimed({b"x-freehold-labels": b"\xff"}) == ("ÿ",)
