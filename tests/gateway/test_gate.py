"""An answer whose tool calls wait for a person, or are refused: over HTTP, with the official client, streamed and whole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from freehold.core.events import (
    Alerted,
    Event,
    FinishReason,
    Held,
    MessageEnd,
    MessageStart,
    PartEnd,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import KeyId, Principal
from freehold.core.findings import Alert
from freehold.core.ledger import Status
from freehold.gateway import answering
from tests.fakes.upstream import MODEL, SERVED, ScriptedUpstream
from tests.gateway.node import TestNode, running
from tests.gateway.test_approvals import SECRET_ARGUMENTS, held, until

ADMIN = Principal(key_id=KeyId("k3"), name="admin", is_admin=True)
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "tidy up"}]


class HoldingJudge:
    """A `Judge`: holds every call, or refuses it."""

    def __init__(self, *, refuses: bool = False, timeout_s: float = 5.0) -> None:
        self._refuses, self._timeout_s = refuses, timeout_s

    def receive(self, event: Event) -> list[Event]:
        match event:
            case ToolCallStart() | ToolCallDelta():
                return []
            case PartEnd():
                question: Held = held(self._timeout_s, event.choice, event.part)
                return [question.refused if self._refuses else question]
        return [event]

    def close(self) -> list[Event]:
        return []

    def weighs(self, event: Event | None) -> int:
        return 0


@contextlib.asynccontextmanager
async def asking(*, refuses: bool = False, timeout_s: float = 5.0) -> AsyncIterator[TestNode]:
    call = held().released
    steps: list[Event] = [
        MessageStart(served=SERVED),
        TextDelta(text="I will."),
        *call,
        Usage(input_tokens=3, output_tokens=5),
        MessageEnd(finish_reason=FinishReason.TOOL_CALLS),
    ]
    node = TestNode(upstream=ScriptedUpstream(*steps))
    node.guard.make_judge = lambda: HoldingJudge(refuses=refuses, timeout_s=timeout_s)
    async with running(node):
        yield node


async def decided(node: TestNode, *, approved: bool) -> None:
    """Answer the next question."""
    await until(node.approvals.waiting)
    node.approvals.decide(node.approvals.waiting()[0].id, approved=approved, by=ADMIN)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("approved", "reason", "text", "calls"),
    [
        (True, "tool_calls", "I will.", [("bash", SECRET_ARGUMENTS)]),
        (False, "stop", "I will.\n\nThe call was stopped: it deletes.", []),
    ],
)
async def test_a_held_call_goes_on_as_a_person_says(
    stream: bool, approved: bool, reason: str, text: str, calls: list[tuple[str, str]]
) -> None:
    async with asking() as node:
        answering = asyncio.ensure_future(decided(node, approved=approved))
        assert await told(node, stream=stream) == (text, calls, reason)
        await answering
        [entry] = [draft.entry for draft in node.recorder.drafts]
        assert (entry.status, entry.finish_reason) == (Status.COMPLETED, reason)
        outcomes = [facts["outcome"] for kind, facts, _ in node.audit.rows if kind == "approval_decided"]
        assert outcomes == ["approved" if approved else "denied"]
        assert [alert.kind for alert in node.alarm.alerts] == ["approval_asked"]


async def told(node: TestNode, *, stream: bool) -> tuple[str, list[tuple[str, str]], str | None]:
    """(text, calls, finish reason) as the client gets them."""
    async with node.sdk() as sdk:
        return await (_streamed(sdk) if stream else _whole(sdk))


async def _whole(sdk: openai.AsyncOpenAI) -> tuple[str, list[tuple[str, str]], str | None]:
    whole = (await sdk.chat.completions.create(model=MODEL, messages=MESSAGES)).choices[0]
    made = [(call.function.name, call.function.arguments) for call in whole.message.tool_calls or () if call.type == "function"]
    return whole.message.content or "", made, whole.finish_reason


async def _streamed(sdk: openai.AsyncOpenAI) -> tuple[str, list[tuple[str, str]], str | None]:
    text, reason, calls = "", None, dict[int, list[str]]()
    async for chunk in await sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
            for piece in choice.delta.tool_calls or ():
                known = calls.setdefault(piece.index, ["", ""])
                if piece.function is not None:
                    known[0] += piece.function.name or ""
                    known[1] += piece.function.arguments or ""
    return text, [(name, arguments) for name, arguments in calls.values()], reason


async def test_a_refused_call_asks_nobody() -> None:
    async with asking(refuses=True) as node:
        text, calls, reason = await told(node, stream=True)
        assert (text, calls, reason) == ("I will.\n\nThe call was stopped: it deletes.", [], "stop")
        assert not node.audit.rows


class AlertingJudge(HoldingJudge):
    """Lets all go on, and says so."""

    def receive(self, event: Event) -> list[Event]:
        alert = Alert(kind="call_not_held", severity="warning", message="a call of a streaming tool")
        return [Alerted(alert=alert), event] if isinstance(event, PartEnd) else [event]


async def test_what_a_judge_wants_told_reaches_the_operators() -> None:
    async with asking() as node:
        node.guard.make_judge = AlertingJudge
        await told(node, stream=True)
        assert [alert.kind for alert in node.alarm.alerts] == ["call_not_held"]


async def test_nobodys_answer_refuses_the_call() -> None:
    async with asking(timeout_s=0.05) as node:
        _, calls, reason = await told(node, stream=False)
        assert (calls, reason) == ([], "stop")


async def test_a_stream_shows_signs_of_life_while_a_person_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "_SIGN_OF_LIFE_S", 0.01)
    async with asking() as node, node.sdk() as sdk:
        response = await sdk.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES, stream=True)
        lines = response.http_response.aiter_lines()
        async for line in lines:
            if line.startswith(":"):
                break
        await decided(node, approved=True)
        rest = [line async for line in lines]
        assert rest[-2 if not rest[-1] else -1] == "data: [DONE]"
        assert any("rm -rf" in line for line in rest)


async def test_a_client_that_leaves_withdraws_the_question() -> None:
    async with asking() as node, node.sdk() as sdk:
        stream = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content == "I will.":
                break
        await until(node.approvals.waiting)
        await stream.close()
        await until(lambda: node.recorder.drafts)
        assert node.audit.rows[-1][1]["outcome"] == "withdrawn"
        assert node.recorder.drafts[0].entry.status is Status.CANCELLED


async def test_an_answer_ends_with_an_error_where_the_decision_cannot_be_written() -> None:
    async with asking() as node:
        node.audit.failing = True
        with pytest.raises(openai.APIError):
            await told(node, stream=True)
