"""Calls that wait for a person: asked, answered, timed out, withdrawn; and what the log and the alerts say of it."""

import asyncio
import time
from collections.abc import Callable

import aiohttp
import pytest

from freehold.core.effects import CallJudgement, Effect, EffectKind, Place, Reason
from freehold.core.errors import NotAllowed, NotFound, RecordNotWritten
from freehold.core.events import Held, PartEnd, PartKind, Refused, ToolCallDelta, ToolCallStart
from freehold.core.exchange import ExchangeId, KeyId, Principal
from freehold.core.findings import Action
from freehold.gateway import approvals as room
from freehold.gateway.approvals import AlreadyDecided, HeldCalls
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY
from tests.fakes.oversight import AlarmBell, InMemoryAudit
from tests.gateway.node import TestNode, running

AGENT = Principal(key_id=KeyId("key_agent"), name="agent")
ADMIN = Principal(key_id=KeyId("key_admin"), name="admin", is_admin=True)
EXCHANGE = ExchangeId("xc_1")
SECRET_ARGUMENTS = '{"command":"rm -rf /srv/plans"}'


def held(timeout_s: float = 5.0, choice: int = 0, part: int = 0) -> Held:
    effect = Effect(kind=EffectKind.DELETE, place=Place.ELSEWHERE, target="/srv/plans", because="rm deletes what it is given")
    reason = Reason(action=Action.ASK, effect=effect, rule="preset production")
    return Held(
        choice=choice,
        part=part,
        tool="bash",
        arguments=SECRET_ARGUMENTS,
        judgement=CallJudgement(action=Action.ASK, reasons=(reason,), words="it deletes files outside the working folder"),
        timeout_s=timeout_s,
        released=(
            ToolCallStart(call_id="call_1", name="bash", choice=choice, part=part),
            ToolCallDelta(arguments=SECRET_ARGUMENTS, choice=choice, part=part),
            PartEnd(kind=PartKind.TOOL_CALL, choice=choice, part=part),
        ),
        refused=Refused(choice=choice, part=part, call_id="call_1", tool="bash", text="The call was stopped: it deletes."),
    )


@pytest.fixture
def audit() -> InMemoryAudit:
    return InMemoryAudit()


@pytest.fixture
def bell() -> AlarmBell:
    return AlarmBell()


@pytest.fixture
def calls(audit: InMemoryAudit, bell: AlarmBell) -> HeldCalls:
    return HeldCalls(audit, bell, unix_ns=time.time_ns)


async def asked(calls: HeldCalls, timeout_s: float = 5.0) -> "asyncio.Task[bool]":
    task = asyncio.ensure_future(calls.ask(held(timeout_s), AGENT, EXCHANGE))
    await until(lambda: calls.waiting() or task.done())
    return task


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("approved", "outcome"), [(True, "approved"), (False, "denied")])
async def test_a_persons_answer_decides_and_is_in_the_log(
    calls: HeldCalls, audit: InMemoryAudit, approved: bool, outcome: str
) -> None:
    task = await asked(calls)
    question = calls.waiting()[0]
    assert question.arguments == SECRET_ARGUMENTS
    calls.decide(question.id, approved=approved, by=ADMIN, note="as agreed")
    assert await task is approved
    assert [row[0] for row in audit.rows] == ["approval_asked", "approval_decided"]
    assert audit.rows[1][1] == {"id": question.id, "outcome": outcome, "by": "key_admin", "note": "as agreed"}
    assert not calls.waiting()


async def test_nobodys_answer_is_no(calls: HeldCalls, audit: InMemoryAudit) -> None:
    assert await calls.ask(held(timeout_s=0.01), AGENT, EXCHANGE) is False
    assert audit.rows[1][1]["outcome"] == "timed_out"


async def test_what_a_call_says_is_in_no_log_and_no_alert(calls: HeldCalls, audit: InMemoryAudit, bell: AlarmBell) -> None:
    await calls.ask(held(timeout_s=0.01), AGENT, EXCHANGE)
    said = repr((audit.rows, bell.alerts))
    assert "plans" not in said
    assert "effect-delete-elsewhere" in said
    assert bell.alerts[0].kind == "approval_asked"


async def test_a_question_is_withdrawn_with_its_exchange(calls: HeldCalls, audit: InMemoryAudit) -> None:
    task = await asked(calls)
    question = calls.waiting()[0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert audit.rows[1][1]["outcome"] == "withdrawn"
    with pytest.raises(NotFound):
        calls.decide(question.id, approved=True, by=ADMIN)


async def test_the_key_that_called_does_not_decide_on_its_call(calls: HeldCalls) -> None:
    task = await asked(calls)
    question = calls.waiting()[0]
    with pytest.raises(NotAllowed):
        calls.decide(question.id, approved=True, by=AGENT)
    calls.decide(question.id, approved=False, by=ADMIN)
    with pytest.raises(AlreadyDecided):
        calls.decide(question.id, approved=True, by=ADMIN)
    assert await task is False


async def test_no_call_goes_on_whose_decision_cannot_be_written(calls: HeldCalls, audit: InMemoryAudit) -> None:
    task = await asked(calls)
    audit.failing = True
    calls.decide(calls.waiting()[0].id, approved=True, by=ADMIN)
    with pytest.raises(RecordNotWritten):
        await task
    audit.failing = True
    with pytest.raises(RecordNotWritten):
        await calls.ask(held(), AGENT, EXCHANGE)
    assert not calls.waiting()


async def test_too_many_questions_are_refused(calls: HeldCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WAITING_LIMIT", 1)
    task = await asked(calls)
    assert await calls.ask(held(), AGENT, EXCHANGE) is False
    calls.decide(calls.waiting()[0].id, approved=True, by=ADMIN)
    assert await task is True


async def test_an_admin_sees_and_answers_over_http() -> None:
    async with running(TestNode()) as node, aiohttp.ClientSession(node.url) as http:
        admin, client = ({"authorization": f"Bearer {key}"} for key in (ADMIN_KEY, CLIENT_KEY))
        task = await asked(node.approvals)
        async with http.get("/v1/approvals", headers=client) as answer:
            assert answer.status == 403
        async with http.get("/v1/approvals", headers=admin) as answer:
            [shown] = (await answer.json())["data"]
        assert shown["arguments"] == SECRET_ARGUMENTS
        assert shown["reasons"][0]["effect"] == "effect-delete-elsewhere"
        path = f"/v1/approvals/{shown['id']}"
        async with http.post(path, headers=client, json={"decision": "approve"}) as answer:
            assert answer.status == 403
        async with http.post(path, headers=admin, json={"decision": "maybe"}) as answer:
            assert answer.status == 400
        async with http.post(path, headers=admin, data=b"x" * 10_000) as answer:
            assert answer.status == 400
        async with http.post(path, headers=admin, json={"decision": "approve", "note": "fine"}) as answer:
            assert (await answer.json())["decision"] == "approve"
        assert await task is True
        async with http.get(path, headers=admin) as answer:
            assert answer.status == 404
