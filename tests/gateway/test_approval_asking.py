"""Questions that clients put from outside an exchange: answered on the same request, withdrawn with it, bounded by key."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from freehold.core.errors import LimitReached
from freehold.core.exchange import KeyId
from freehold.gateway import approval_asking as room
from freehold.gateway import approvals
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY, OTHER_KEY
from tests.gateway.node import TestNode, running
from tests.gateway.test_approvals import until

REASON = {"action": "ask", "kind": "persist", "place": "home", "target": "jobs.txt", "because": "sets up jobs", "rule": "r"}


def question(**changed: Any) -> dict[str, Any]:
    return {"tool": "Bash", "arguments": '{"command":"crontab jobs.txt"}', "reasons": [REASON], "timeout_s": 30} | changed


@asynccontextmanager
async def putting(node: TestNode, body: Any, key: str = CLIENT_KEY) -> AsyncIterator[aiohttp.ClientResponse]:
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    async with aiohttp.ClientSession() as http, http.post(f"{node.url}/v1/approvals", data=data, headers=headers) as answer:
        yield answer


async def asked(node: TestNode, method: str, path: str, key: str, body: Any = None) -> int:
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as http, http.request(method, f"{node.url}{path}", json=body, headers=headers) as answer:
        return answer.status


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_persons_answer_ends_the_clients_request(decision: str) -> None:
    async with running() as node, putting(node, question()) as answer:
        assert answer.status == 200
        path = f"/v1/approvals/{answer.headers[room.ID_HEADER]}"
        for key in (CLIENT_KEY, OTHER_KEY):
            assert await asked(node, "GET", path, key) == 403
            assert await asked(node, "POST", path, key, {"decision": "approve"}) == 403
        assert await asked(node, "GET", "/v1/approvals", CLIENT_KEY) == 403
        assert await asked(node, "POST", path, ADMIN_KEY, {"decision": decision}) == 200
        assert await answer.json() == {"id": answer.headers[room.ID_HEADER], "decision": decision}
    assert [row[0] for row in node.audit.rows] == ["approval_asked", "approval_decided"]
    assert node.audit.rows[0][1]["effects"] == ["effect-persist-home"]
    assert node.audit.rows[1][1]["by"] == "k3"
    assert "jobs" not in repr((node.audit.rows, node.alarm.alerts))


async def test_nobodys_answer_is_no_and_blanks_keep_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_BLANK_S", 0.02)
    async with running() as node, putting(node, question(timeout_s=0.2)) as answer:
        text = await answer.text()
    assert json.loads(text)["decision"] == "deny"
    assert text.startswith("   ")
    assert node.audit.rows[1][1]["outcome"] == "timed_out"


async def test_a_client_that_leaves_withdraws_its_question() -> None:
    async with running() as node:
        async with putting(node, question()):
            assert node.approvals.waiting()
        await until(lambda: not node.approvals.waiting())
        await until(lambda: len(node.audit.rows) == 2)
        assert node.audit.rows[1][1]["outcome"] == "withdrawn"


async def test_an_admin_key_does_not_decide_on_its_own_question() -> None:
    async with running() as node, putting(node, question(), ADMIN_KEY) as answer:
        path = f"/v1/approvals/{answer.headers[room.ID_HEADER]}"
        assert await asked(node, "POST", path, ADMIN_KEY, {"decision": "approve"}) == 403


async def test_what_the_log_does_not_hold_is_no_yes() -> None:
    async with running() as node:
        async with putting(node, question()) as answer:
            node.audit.failing = True
            path = f"/v1/approvals/{answer.headers[room.ID_HEADER]}"
            assert await asked(node, "POST", path, ADMIN_KEY, {"decision": "approve"}) == 200
            assert (await answer.json())["decision"] == "deny"
        async with putting(node, question()) as answer:
            assert answer.status == 503
        assert not node.approvals.waiting()


NO_QUESTIONS: list[Any] = [
    b"",
    b"{",
    b"\xff",
    b"[" * 100_000,
    question(reasons=[]),
    question(reasons=[REASON] * (room.REASONS_LIMIT + 1)),
    question(reasons=[REASON | {"kind": "the key is 123"}]),
    question(reasons=[REASON | {"action": "allow"}]),
    question(timeout_s=0),
    question(timeout_s=1e6),
    question(tool=7),
    question(arguments="x" * (room.ARGUMENTS_LIMIT_CHARS + 1)),
    question(decision="approve"),
]


async def test_what_is_no_question_is_told_and_not_put() -> None:
    async with running() as node:
        for body in NO_QUESTIONS:
            async with putting(node, body) as answer:
                assert answer.status == 400
                assert "no question" in (await answer.json())["error"]["message"]
        assert not node.audit.rows


async def test_a_body_without_end_is_cut_and_nobody_asks_without_a_key() -> None:
    async with running() as node:
        async with putting(node, b" " * (room.BODY_LIMIT_BYTES + 1)) as answer:
            assert answer.status == 413
        async with putting(node, question(), "fh_nobody") as answer:
            assert answer.status == 401


async def test_a_key_drowns_nobody_in_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "OPEN_LIMIT", 1)
    async with running() as node, putting(node, question()):
        async with putting(node, question()) as second:
            assert second.status == 429
        async with putting(node, question(), OTHER_KEY) as other:
            assert other.status == 200
        assert len(node.approvals.waiting()) == 2
        monkeypatch.setattr(approvals, "WAITING_LIMIT", 2)
        async with putting(node, question(), ADMIN_KEY) as third:
            assert third.status == 429


def test_a_key_puts_some_questions_a_minute_and_then_waits() -> None:
    now_s, key = 100.0, KeyId("k")
    pace = room._Pace(lambda: now_s)
    for _ in range(room.PER_MINUTE):
        with pace.place(key):
            pass
    with pytest.raises(LimitReached) as refused, pace.place(key):
        pass
    assert refused.value.retry_after_s == 60
    now_s += 61
    with pace.place(key):
        pass


async def test_ten_questions_at_once_have_ten_answers() -> None:
    async def one(node: TestNode) -> str:
        async with putting(node, question()) as answer:
            return str((await answer.json())["decision"])

    async with running() as node:
        working = [asyncio.ensure_future(one(node)) for _ in range(10)]
        await until(lambda: len(node.approvals.waiting()) == 10)
        admin = node.keys.authenticate(ADMIN_KEY)
        for number, waiting in enumerate(node.approvals.waiting()):
            node.approvals.decide(waiting.id, approved=number % 2 == 0, by=admin)
        assert sorted(await asyncio.gather(*working)) == ["approve"] * 5 + ["deny"] * 5
