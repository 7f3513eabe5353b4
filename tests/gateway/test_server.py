"""The gateway on a real uvicorn, asked by the official OpenAI SDK and by raw sockets."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest
from starlette.responses import PlainTextResponse

from freehold.core.errors import UpstreamBroken, UpstreamRejected, UpstreamUnavailable
from freehold.core.events import (
    FinishReason,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    Worked,
)
from freehold.core.findings import Action, Direction
from freehold.core.ledger import Status
from freehold.core.measurement import NOTHING_RAN, Grade
from freehold.core.ports import EngineLoad, UpstreamStatus
from freehold.gateway.config import GatewayConfig, RoutingConfig
from freehold.gateway.serve import bind, serving
from freehold.gateway.server import create_app
from tests.fakes.guard import FORBIDDEN, MASK, POLICY_DIGEST, SECRET
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY, OTHER_KEY
from tests.fakes.upstream import MODEL, SERVED, ScriptedUpstream, answer
from tests.gateway.node import TestNode, running

ASK: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def node() -> AsyncIterator[TestNode]:
    async with running() as node:
        yield node


async def post(node: TestNode, body: Any, key: str | None = CLIENT_KEY, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """A plain POST of any bytes to the chat path."""
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{node.url}/v1/chat/completions", data=data, headers=headers) as reply,
    ):
        return reply.status, {name.lower(): value for name, value in reply.headers.items()}, await reply.read()


async def get(node: TestNode, path: str, key: str | None = CLIENT_KEY, method: str = "GET") -> tuple[int, bytes]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession() as session, session.request(method, node.url + path, headers=headers) as reply:
        return reply.status, await reply.read()


def payloads(body: bytes) -> list[bytes]:
    return [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event]


async def recorded(node: TestNode, count: int = 1) -> None:
    """Waits until so many records are kept: a departure is recorded after the client is gone."""
    async with asyncio.timeout(10):
        while len(node.recorder.drafts) < count:  # noqa: ASYNC110  # the recorder is a fake without a bell
            await asyncio.sleep(0.005)


# --- the main job -------------------------------------------------------------------------------------------------------


async def test_the_sdk_gets_a_plain_answer_and_the_record_is_kept(node: TestNode) -> None:
    async with node.sdk() as sdk:
        raw = await sdk.chat.completions.with_raw_response.create(**ASK)
    answered = raw.parse()
    assert answered.choices[0].message.content == "Hello there."
    assert answered.choices[0].finish_reason == "stop"
    assert answered.usage is not None
    assert answered.usage.total_tokens == 10
    (draft,) = node.recorder.drafts
    assert raw.headers["x-freehold-receipt"] == draft.claims.exchange_id
    assert answered.id == f"chatcmpl-{draft.claims.exchange_id}"
    entry = draft.entry
    assert (entry.status, entry.key_id, entry.team, entry.model, entry.stream) == (Status.COMPLETED, "k1", "red", MODEL, False)
    assert (entry.input_tokens, entry.output_tokens, entry.finish_reason) == (7, 3, "stop")
    assert entry.ttft_ms is not None
    assert entry.energy.grade is Grade.UNKNOWN


async def test_the_sdk_gets_a_stream_one_chunk_a_delta(node: TestNode) -> None:
    async with node.sdk() as sdk:
        stream = await sdk.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert said == ["Hello", " there", "."]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert len({chunk.id for chunk in chunks}) == 1


async def test_the_first_delta_arrives_before_the_second_exists() -> None:
    gate = asyncio.Event()
    steps = answer("one ", "two")
    upstream = ScriptedUpstream(*steps[:2], gate, *steps[2:])
    async with running(TestNode(upstream=upstream)) as node, node.sdk() as sdk:
        stream = aiter(await sdk.chat.completions.create(**ASK, stream=True))
        await anext(stream)
        assert (await anext(stream)).choices[0].delta.content == "one "
        gate.set()
        assert (await anext(stream)).choices[0].delta.content == "two"


async def test_tool_calls_and_reasoning_reach_the_sdk() -> None:
    upstream = ScriptedUpstream(
        MessageStart(served=SERVED),
        ReasoningDelta(text="The weather is asked. "),
        ToolCallStart(call_id="c1", name="weather"),
        ToolCallDelta(arguments='{"city":'),
        ToolCallDelta(arguments='"Oslo"}'),
        MessageEnd(finish_reason=FinishReason.TOOL_CALLS),
    )
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    async with running(TestNode(upstream=upstream)) as node, node.sdk() as sdk:
        plain = await sdk.chat.completions.create(**ASK, tools=tools)
        stream = await sdk.chat.completions.create(**ASK, tools=tools, stream=True)
        deltas = [chunk.choices[0].delta async for chunk in stream]
    (call,) = plain.choices[0].message.tool_calls or []
    assert (call.id, call.function.name, call.function.arguments) == ("c1", "weather", '{"city":"Oslo"}')
    assert plain.choices[0].message.reasoning_content == "The weather is asked. "
    pieces = [call for delta in deltas for call in delta.tool_calls or []]
    assert pieces[0].function is not None
    assert (pieces[0].id, pieces[0].function.name) == ("c1", "weather")
    assert "".join(piece.function.arguments or "" for piece in pieces if piece.function) == '{"city":"Oslo"}'
    assert upstream.exchanges[0].tools[0].name == "weather"


async def test_logprobs_reach_the_sdk() -> None:
    token = TokenLogprob(token="Hi", token_bytes=b"Hi", logprob=-0.5, top=(("Hi", b"Hi", -0.5), ("Ho", b"Ho", -1.5)))
    upstream = ScriptedUpstream(
        MessageStart(served=SERVED), TextDelta(text="Hi", logprobs=(token,)), MessageEnd(finish_reason=FinishReason.LENGTH)
    )
    async with running(TestNode(upstream=upstream)) as node, node.sdk() as sdk:
        answered = await sdk.chat.completions.create(**ASK, logprobs=True, top_logprobs=2)
    assert upstream.exchanges[0].sampling.top_logprobs == 2
    (shown,) = answered.choices[0].logprobs.content
    assert (shown.token, shown.bytes, shown.logprob) == ("Hi", [72, 105], -0.5)
    assert [likely.token for likely in shown.top_logprobs] == ["Hi", "Ho"]


async def test_two_alternatives_end_apart() -> None:
    upstream = ScriptedUpstream(
        MessageStart(served=SERVED),
        TextDelta(text="one", choice=0),
        TextDelta(text="two", choice=1),
        MessageEnd(finish_reason=FinishReason.STOP, choice=0),
        MessageEnd(finish_reason=FinishReason.LENGTH, choice=1),
    )
    async with running(TestNode(upstream=upstream)) as node, node.sdk() as sdk:
        answered = await sdk.chat.completions.create(**ASK, n=2)
    assert [(choice.message.content, choice.finish_reason) for choice in answered.choices] == [("one", "stop"), ("two", "length")]


async def test_what_the_engine_worked_becomes_energy_with_a_grade() -> None:
    upstream = ScriptedUpstream(*answer("x")[:-1], Worked(compute_s=2, prefill_s=1, decode_s=1), answer("x")[-1])
    async with running(TestNode(upstream=upstream)) as node, node.sdk() as sdk:
        await sdk.chat.completions.create(**ASK)
    assert (node.recorder.drafts[0].entry.energy.grade, node.recorder.drafts[0].entry.energy.energy_j) == (Grade.MODELLED, 20)


async def test_an_answer_its_client_left_has_cost_what_was_worked_until_then() -> None:
    worked = Worked(compute_s=2, prefill_s=1, decode_s=1)
    upstream = ScriptedUpstream(*answer("x ")[:-1], worked, TextDelta(text="y "), asyncio.Event())
    async with running(TestNode(upstream=upstream)) as node, node.sdk() as sdk:
        async with await sdk.chat.completions.create(**ASK, stream=True) as stream:
            async for chunk in stream:
                if chunk.choices[0].delta.content == "y ":
                    break
        await recorded(node)
    entry = node.recorder.drafts[0].entry
    assert (entry.status, entry.energy.grade, entry.energy.energy_j) == (Status.CANCELLED, Grade.MODELLED, 20)


async def test_sixteen_streams_at_once_stay_apart() -> None:
    class Echo(ScriptedUpstream):
        async def send(self, exchange: Any) -> Any:
            for event in answer(*(f"{exchange.messages[0].text} " for _ in range(20))):
                await asyncio.sleep(0)
                yield [event]

    async with running(TestNode(upstream=Echo())) as node, node.sdk() as sdk:

        async def ask(word: str) -> str:
            stream = await sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": word}], stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        words = [f"w{number}" for number in range(16)]
        assert await asyncio.gather(*map(ask, words)) == [f"{word} " * 20 for word in words]
    assert len(node.recorder.drafts) == 16


# --- the guard, both ways -----------------------------------------------------------------------------------------------


async def test_a_secret_in_the_prompt_does_not_reach_the_upstream(node: TestNode) -> None:
    body = {
        **ASK,
        "messages": [
            {"role": "system", "content": f"the word is {SECRET}"},
            {"role": "user", "content": [{"type": "text", "text": f"{SECRET}?"}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": f'"{SECRET}"'}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": SECRET},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": SECRET, "parameters": {SECRET: 1}}}],
        "unknown": {"deep": [SECRET]},
        SECRET: 1,
    }
    status, _, _ = await post(node, body)
    assert status == 200
    (exchange,) = node.upstream.exchanges
    assert SECRET not in json.dumps(exchange.document)
    assert SECRET not in str([message.text for message in exchange.messages])
    assert exchange.messages[0].text == f"the word is {MASK}"
    findings = node.recorder.drafts[0].entry.findings
    assert len(findings) == 8
    assert {finding.direction for finding in findings} == {Direction.REQUEST}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_secret_cut_anywhere_never_leaks(node: TestNode, stream: bool) -> None:
    for place in range(1, len(SECRET)):
        node.upstream.steps = answer("say ", SECRET[:place], SECRET[place:], " now")
        status, _, body = await post(node, {**ASK, "stream": stream})
        assert status == 200
        assert SECRET[:5].encode() not in body.replace(MASK.encode(), b"")
        assert SECRET[-4:].encode() not in body
        assert MASK.encode() in body
        assert [finding.action for finding in node.recorder.drafts[-1].entry.findings] == [Action.MASK]


async def test_a_forbidden_prompt_is_refused_and_recorded(node: TestNode) -> None:
    async with node.sdk() as sdk:
        with pytest.raises(openai.BadRequestError) as caught:
            await sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": f"say {FORBIDDEN}"}])
    assert caught.value.code == "blocked_by_policy"
    assert "anathema" in caught.value.message  # the rule's name, which here is the word itself
    assert node.upstream.exchanges == []
    entry = node.recorder.drafts[0].entry
    assert (entry.status, entry.error_code) == (Status.BLOCKED, "blocked_by_policy")
    assert entry.energy == NOTHING_RAN
    assert caught.value.response.headers["x-freehold-receipt"] == entry.exchange_id


@pytest.mark.parametrize("stream", [False, True])
async def test_a_forbidden_answer_ends_as_filtered(stream: bool) -> None:
    upstream = ScriptedUpstream(*answer("fine ", FORBIDDEN, " never sent"))
    async with running(TestNode(upstream=upstream)) as node:
        _, _, body = await post(node, {**ASK, "stream": stream})
    assert b"fine" in body
    assert b'"finish_reason":"content_filter"' in body
    assert b"never sent" not in body
    assert FORBIDDEN.encode() not in body
    assert upstream.closed_early == 1 or upstream.yielded == len(upstream.steps)
    entry = node.recorder.drafts[0].entry
    assert (entry.status, entry.finish_reason) == (Status.BLOCKED, "content_filter")


async def test_a_guard_that_fails_lets_nothing_through(node: TestNode, caplog: pytest.LogCaptureFixture) -> None:
    node.guard.broken = True
    status, _, body = await post(node, {**ASK, "messages": [{"role": "user", "content": "private words"}]})
    assert status == 500
    assert json.loads(body)["error"]["code"] == "internal_error"
    assert node.upstream.exchanges == []
    assert node.recorder.drafts[0].entry.status is Status.FAILED
    assert "private words" not in caplog.text
    assert "RuntimeError" in caplog.text


async def test_a_providers_error_message_passes_the_guard() -> None:
    upstream = ScriptedUpstream(UpstreamRejected(f"your {SECRET} is too long", status=400, code="bad"))
    async with running(TestNode(upstream=upstream)) as node:
        status, _, body = await post(node, ASK)
    assert status == 400
    assert json.loads(body)["error"] == {
        "message": f"your {MASK} is too long",
        "type": "invalid_request_error",
        "param": None,
        "code": "bad",
    }


# --- the receipt --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_the_receipt_digests_what_was_received_and_sent(node: TestNode, stream: bool) -> None:
    body = json.dumps({**ASK, "stream": stream, "stream_options": {"include_usage": True} if stream else None}).encode()
    _, headers, raw = await post(node, body)
    claims = node.recorder.drafts[0].claims
    _, answered = await get(node, f"/v1/receipts/{headers['x-freehold-receipt']}")
    receipt = json.loads(answered)
    salt = base64.b64decode(receipt["salt"])
    assert receipt["id"] == headers["x-freehold-receipt"]
    assert receipt["envelope"]["payloadType"] == "test"
    links = [data for data in payloads(raw) if data != b"[DONE]"] if stream else [raw]
    chain = hashlib.sha256(salt).digest()
    for data in links:
        chain = hashlib.sha256(chain + data).digest()
    assert (claims.response_digest, claims.response_links) == (chain.hex(), len(links))
    assert claims.request_digest == hashlib.sha256(salt + body).hexdigest()
    assert claims.policy_digest == POLICY_DIGEST


async def test_a_receipt_is_for_its_own_client_and_admins(node: TestNode) -> None:
    _, headers, _ = await post(node, ASK)
    path = f"/v1/receipts/{headers['x-freehold-receipt']}"
    statuses = {key: (await get(node, path, key))[0] for key in (CLIENT_KEY, ADMIN_KEY, OTHER_KEY, None)}
    assert statuses == {CLIENT_KEY: 200, ADMIN_KEY: 200, OTHER_KEY: 404, None: 401}
    assert (await get(node, "/v1/receipts/xc_none"))[0] == 404


async def test_the_receipt_says_how_tokens_were_chosen_but_no_words(node: TestNode) -> None:
    await post(node, {**ASK, "temperature": 0.5, "seed": 3, "stop": ["private"]})
    assert node.recorder.drafts[0].claims.sampling == {"temperature": 0.5, "seed": 3, "stop_strings": 1}


@pytest.mark.parametrize("stream", [False, True])
async def test_without_a_record_there_is_no_clean_end(node: TestNode, stream: bool) -> None:
    node.recorder.failing = True
    status, _, body = await post(node, {**ASK, "stream": stream})
    error = json.loads(payloads(body)[-1])["error"]
    assert error["code"] == "record_not_written"
    assert "free some space" in error["message"]
    assert b"[DONE]" not in body
    assert b'"finish_reason":"stop"' not in body
    assert status == (200 if stream else 503)


async def test_the_sdk_raises_when_the_record_fails_mid_stream(node: TestNode) -> None:
    node.recorder.failing = True
    async with node.sdk() as sdk:
        with pytest.raises(openai.APIError, match="disk is full"):
            [chunk async for chunk in await sdk.chat.completions.create(**ASK, stream=True)]


async def test_while_records_cannot_be_written_no_request_is_taken(node: TestNode) -> None:
    node.recorder.full = True
    status, _, body = await post(node, ASK)
    assert (status, json.loads(body)["error"]["code"]) == (503, "record_not_written")
    assert node.upstream.exchanges == []
    node.recorder.full = False
    assert (await post(node, ASK))[0] == 200


# --- what goes wrong ----------------------------------------------------------------------------------------------------


async def test_a_wrong_key_is_the_sdks_authentication_error(node: TestNode) -> None:
    async with node.sdk("nonsense") as sdk:
        with pytest.raises(openai.AuthenticationError) as caught:
            await sdk.chat.completions.create(**ASK)
    assert caught.value.code == "invalid_api_key"
    assert node.recorder.drafts == []


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic abc", "Bearer \xff\xfe"])
async def test_a_missing_or_odd_key_is_refused(node: TestNode, authorization: str) -> None:
    status, headers, body = await post(node, ASK, key=None, **({"authorization": authorization} if authorization else {}))
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(body)["error"]["type"] == "authentication_error"


async def test_an_unknown_model_names_the_known_ones(node: TestNode) -> None:
    async with node.sdk() as sdk:
        with pytest.raises(openai.NotFoundError) as caught:
            await sdk.chat.completions.create(model="gpt-99", messages=[{"role": "user", "content": "x"}])
    assert caught.value.code == "model_not_found"
    assert MODEL in caught.value.message
    entry = node.recorder.drafts[0].entry
    assert (entry.error_code, entry.model) == ("model_not_found", "unknown")  # the name is what a client wrote: no content


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"[" * 100_000 + b"]" * 100_000, "json_too_deep"),
        (json.dumps({**ASK, "temperature": 9}).encode(), "invalid_value"),
    ],
)
async def test_a_bad_body_is_a_400_and_recorded(node: TestNode, body: bytes, code: str) -> None:
    status, headers, answered = await post(node, body)
    assert (status, json.loads(answered)["error"]["code"]) == (400, code)
    entry = node.recorder.drafts[0].entry
    assert (entry.status, entry.error_code, entry.exchange_id) == (Status.FAILED, code, headers["x-freehold-receipt"])
    assert (await post(node, ASK))[0] == 200


async def test_64_mib_are_refused_and_the_sdk_is_told(node: TestNode) -> None:
    async with node.sdk() as sdk:
        with pytest.raises(openai.APIStatusError) as caught:
            await sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x" * (64 << 20)}])
    assert caught.value.status_code == 413
    assert "gateway.body_limit_bytes" in caught.value.message


async def test_a_compressed_body_is_refused(node: TestNode) -> None:
    status, _, body = await post(node, b"\x1f\x8b", **{"content-encoding": "gzip"})
    assert status == 400
    assert "compressed" in json.loads(body)["error"]["message"]


async def test_a_client_gone_mid_stream_ends_the_work_and_is_recorded() -> None:
    upstream = ScriptedUpstream(*answer("one ", "two ")[:3], asyncio.Event())
    async with running(TestNode(upstream=upstream)) as node:
        async with node.sdk() as sdk:
            stream = aiter(await sdk.chat.completions.create(**ASK, stream=True))
            for _ in range(3):
                await anext(stream)
        await recorded(node)
    draft = node.recorder.drafts[0]
    assert (draft.entry.status, draft.entry.finish_reason) == (Status.CANCELLED, None)
    assert draft.claims.response_links == 3  # the role and two deltas: what was really sent
    assert upstream.closed_early == 1


async def test_a_client_gone_while_it_waits_for_a_plain_answer_ends_the_work() -> None:
    upstream = ScriptedUpstream(*answer("one ")[:2], asyncio.Event())
    async with running(TestNode(upstream=upstream)) as node:
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.2):
                await post(node, ASK)
        await recorded(node)
    assert node.recorder.drafts[0].entry.status is Status.CANCELLED
    assert node.recorder.drafts[0].claims.response_links == 0
    assert upstream.closed_early == 1


async def test_an_upstream_dead_mid_stream_ends_in_an_error_event() -> None:
    upstream = ScriptedUpstream(*answer("one ", "two")[:2], UpstreamBroken("the engine died; try again"))
    async with running(TestNode(upstream=upstream)) as node:
        status, _, body = await post(node, {**ASK, "stream": True})
        async with node.sdk() as sdk:
            with pytest.raises(openai.APIError, match="the engine died"):
                [chunk async for chunk in await sdk.chat.completions.create(**ASK, stream=True)]
    assert status == 200
    assert json.loads(payloads(body)[-1])["error"]["code"] == "upstream_broken"
    assert b"one " in body
    assert b"[DONE]" not in body
    claims, entry = node.recorder.drafts[0].claims, node.recorder.drafts[0].entry
    assert (entry.status, entry.error_code) == (Status.FAILED, "upstream_broken")
    assert claims.response_links == len(payloads(body))


async def test_an_upstream_that_stops_without_an_end_is_no_clean_answer() -> None:
    upstream = ScriptedUpstream(*answer("one ")[:2])
    async with running(TestNode(upstream=upstream)) as node:
        assert (await post(node, ASK))[0] == 502


async def test_each_dialects_clients_list_the_models_in_their_own_shape(node: TestNode) -> None:
    async with aiohttp.ClientSession() as session:

        async def get(path: str, **headers: str) -> Any:
            async with session.get(node.url + path, headers=headers) as response:
                assert response.status == 200, await response.text()
                return await response.json()

        name = node.upstream.models[0]
        theirs = {"x-api-key": CLIENT_KEY, "anthropic-version": "2023-06-01"}
        page = await get("/v1/models", **theirs)
        assert (page["data"][0]["id"], page["data"][0]["type"], page["has_more"]) == (name, "model", False)
        assert (await get(f"/v1/models/{name}", **theirs))["display_name"] == name
        assert (await get("/v1/models", authorization=f"Bearer {CLIENT_KEY}"))["data"][0]["object"] == "model"
        for version in ("v1beta", "v1"):  # Google's client takes either
            listed = await get(f"/{version}/models", **{"x-goog-api-key": CLIENT_KEY})
            assert listed["models"][0]["name"] == f"models/{name}"
            assert (await get(f"/{version}/models/{name}", **{"x-goog-api-key": CLIENT_KEY}))["name"] == f"models/{name}"
        assert (await get(f"/v1beta/models/{name}?key={CLIENT_KEY}"))["name"] == f"models/{name}"


async def test_a_silent_upstream_is_a_timeout() -> None:
    config, routing = GatewayConfig(port=0, idle_timeout_s=0.1), RoutingConfig(patience_s=0.1)
    async with running(TestNode(upstream=ScriptedUpstream(asyncio.Event()), config=config, routing=routing)) as node:
        status, _, body = await post(node, {**ASK, "stream": True})
    assert (status, json.loads(body)["error"]["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    "error",
    [UpstreamUnavailable("starting again", retry_after_s=2.6), UpstreamRejected("slow down", status=429, retry_after_s=2.6)],
)
async def test_an_upstreams_refusal_before_the_first_event_has_its_status(error: Any) -> None:
    async with running(TestNode(upstream=ScriptedUpstream(error))) as node:
        status, headers, body = await post(node, {**ASK, "stream": True})
    assert (status, headers["retry-after"]) == (error.status, "3")
    assert json.loads(body)["error"]["message"] == error.message


@pytest.mark.parametrize(("code", "told"), [("too_long", "too_long"), (SECRET, "upstream_rejected")])
async def test_a_providers_code_is_screened_like_its_words(code: str, told: str) -> None:
    error = UpstreamRejected(f"not {SECRET}", status=400, code=code)
    async with running(TestNode(upstream=ScriptedUpstream(error))) as node:
        _, _, body = await post(node, ASK)
    said = json.loads(body)["error"]
    assert (said["message"], said["code"]) == (f"not {MASK}", told)
    assert node.recorder.drafts[0].entry.error_code == told


async def test_an_unforeseen_exception_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with running(TestNode(upstream=ScriptedUpstream(ZeroDivisionError("private words")))) as node:
        status, _, body = await post(node, ASK)
    assert status == 500
    assert b"private" not in body
    assert "private" not in caplog.text


async def test_a_guard_that_fails_on_an_error_message_withholds_it(node: TestNode) -> None:
    class Failing(ScriptedUpstream):
        async def send(self, exchange: Any) -> Any:
            yield [answer("x")[0]]
            node.guard.broken = True
            raise UpstreamRejected("private words", status=400)

    node.upstream.send = Failing().send
    status, _, body = await post(node, ASK)
    assert (status, json.loads(body)["error"]["code"]) == (500, "internal_error")
    assert b"private" not in body
    assert node.recorder.drafts[0].entry.status is Status.FAILED


async def test_a_key_ring_that_fails_is_a_500_that_tells_nothing() -> None:
    class Failing:
        def authenticate(self, secret: str) -> Any:
            raise OSError(f"no disk for {secret}")

    async with running(TestNode(keys=Failing())) as node:
        for status, body in (await get(node, "/v1/models"), (await post(node, ASK))[::2]):
            assert status == 500
            assert CLIENT_KEY.encode() not in body


async def test_a_client_that_stalls_does_not_fill_memory() -> None:
    upstream = ScriptedUpstream(MessageStart(served=SERVED), *(TextDelta(text="x" * 1000 + " ") for _ in range(20_000)))
    config = GatewayConfig(port=0, idle_timeout_s=1, shutdown_timeout_s=2)
    async with running(TestNode(upstream=upstream, config=config)) as node:
        _, writer = await asyncio.open_connection(*node.address, limit=1024)
        body = json.dumps({**ASK, "stream": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {CLIENT_KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await recorded(node)  # given up for stalling
        assert upstream.yielded < 18_000
        assert node.recorder.drafts[0].entry.status is Status.CANCELLED
        writer.close()


async def test_a_shutdown_lets_a_stream_finish() -> None:
    gate = asyncio.Event()
    steps = answer("one ", "two")
    context = running(TestNode(upstream=ScriptedUpstream(*steps[:2], gate, *steps[2:])))
    node = await context.__aenter__()
    async with node.sdk() as sdk:
        stream = aiter(await sdk.chat.completions.create(**ASK, stream=True))
        await anext(stream)
        stopping = asyncio.create_task(context.__aexit__(None, None, None))
        await asyncio.sleep(0.15)
        gate.set()
        said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        await stopping
    assert said == "one two"


async def test_a_shutdown_that_cannot_wait_records_what_it_cuts() -> None:
    config = GatewayConfig(port=0, shutdown_timeout_s=1)
    async with running(TestNode(upstream=ScriptedUpstream(*answer("one ")[:2], asyncio.Event()), config=config)) as node:
        session = aiohttp.ClientSession(headers={"authorization": f"Bearer {CLIENT_KEY}"})
        reply = await session.post(f"{node.url}/v1/chat/completions", json={**ASK, "stream": True})
        await reply.content.readany()
    said = await reply.read()
    await session.close()
    assert json.loads(payloads(said)[-1])["error"]["message"].startswith("the node is shutting down")
    assert node.recorder.drafts[0].entry.status is Status.FAILED


async def test_a_shutdown_in_a_hurry_waits_for_no_answer_and_records_it() -> None:
    node, hurry = TestNode(upstream=ScriptedUpstream(*answer("one ")[:2], asyncio.Event())), asyncio.Event()
    config = GatewayConfig(port=0, shutdown_timeout_s=600)
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {CLIENT_KEY}"}) as session:
        async with serving(create_app(node.services()), config, bind(config, has_keys=True), hurry) as url:
            reply = await session.post(f"{url}/v1/chat/completions", json={**ASK, "stream": True})
            await reply.content.readany()
            asyncio.get_running_loop().call_later(0.2, hurry.set)
        said = await reply.read()
    assert json.loads(payloads(said)[-1])["error"]["message"].startswith("the node is shutting down")
    assert node.recorder.drafts[0].entry.status is Status.FAILED


# --- the other paths ----------------------------------------------------------------------------------------------------


async def test_models_are_listed_once_with_their_upstream() -> None:
    node = TestNode(others=[ScriptedUpstream(models=["org/big", MODEL], name="far")])
    async with running(node), node.sdk() as sdk:
        listed = {model.id: model.owned_by async for model in sdk.models.list()}
        assert listed == {MODEL: "scripted", "org/big": "far"}
        assert (await sdk.models.retrieve("org/big")).owned_by == "far"
        with pytest.raises(openai.NotFoundError):
            await sdk.models.retrieve("gpt-99")


async def test_paths_need_keys_where_they_should(node: TestNode) -> None:
    statuses = {
        path: (await get(node, path, None))[0] for path in ("/v1/models", "/v1/models/x", "/healthz", "/readyz", "/metrics")
    }
    assert statuses == {"/v1/models": 401, "/v1/models/x": 401, "/healthz": 200, "/readyz": 200, "/metrics": 200}


async def test_readiness_says_what_is_missing(node: TestNode) -> None:
    node.upstream.readiness = UpstreamStatus(ready=False, detail="loading 40 %")
    status, body = await get(node, "/readyz", None)
    assert (status, json.loads(body)["upstreams"]["scripted"]["detail"]) == (503, "loading 40 %")
    node.upstream.readiness = UpstreamStatus(ready=True, detail="ready")
    node.recorder.full = True
    status, body = await get(node, "/readyz", None)
    assert (status, json.loads(body)["record"]["ready"]) == (503, False)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("OPTIONS", "/v1/chat/completions", 405),
    ],
)
async def test_errors_of_routing_have_the_providers_shape(node: TestNode, method: str, path: str, status: int) -> None:
    answered, body = await get(node, path, method=method)
    assert answered == status
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


async def test_no_answer_invites_other_origins(node: TestNode) -> None:
    _, headers, _ = await post(node, ASK, origin="https://elsewhere.example")
    assert not [name for name in headers if name.startswith("access-control")]


async def test_metrics_count_without_content_and_with_few_labels(node: TestNode) -> None:
    await post(node, {**ASK, "messages": [{"role": "user", "content": f"a {SECRET}"}]})
    for number in range(3):
        await post(node, {**ASK, "model": f"made-up-{number}"})
    node.recorder.failing = True
    await post(node, ASK)
    _, body = await get(node, "/metrics", None)
    page = body.decode()
    assert f'freehold_exchanges_total{{model="{MODEL}",status="completed"}} 1.0' in page
    assert 'freehold_exchanges_total{model="unknown",status="failed"} 3.0' in page
    assert f'freehold_tokens_total{{direction="output",model="{MODEL}"}} 3.0' in page
    assert 'freehold_findings_total{action="mask",direction="request",mode="enforce",rule="sesame"} 1.0' in page
    assert f'freehold_time_to_first_token_seconds_count{{model="{MODEL}"}} 1.0' in page
    assert 'freehold_energy_exchanges_total{grade="nothing-ran"} 3.0' in page
    assert 'freehold_energy_exchanges_total{grade="unknown"} 1.0' in page
    assert "freehold_record_failures_total 1.0" in page
    assert "freehold_active_exchanges 0.0" in page
    assert 'freehold_upstream_ready{upstream="scripted"} 1.0' in page
    assert "made-up" not in page
    assert SECRET not in page


async def test_metrics_show_how_busy_the_engine_is() -> None:
    busy = EngineLoad(running=3, waiting=2, pages=10, free_pages=4, input_tokens_per_s=100, output_tokens_per_s=50)
    load = replace(busy, predicted_token_s=0.5, cached_tokens=64, drafted_tokens=9, accepted_tokens=7, draft_model_s=1.5)
    for engine_load, shown in ((lambda: load, True), (None, False)):
        async with running(TestNode(engine_load=engine_load)) as node:
            page = (await get(node, "/metrics", None))[1].decode()
        for line in (
            'freehold_engine_requests{state="running"} 3.0',
            'freehold_engine_requests{state="waiting"} 2.0',
            'freehold_engine_kv_pages{state="used"} 6.0',
            'freehold_engine_kv_pages{state="free"} 4.0',
            'freehold_engine_tokens_per_second{direction="input"} 100.0',
            'freehold_engine_tokens_per_second{direction="output"} 50.0',
            'freehold_engine_token_seconds{kind="predicted"} 0.5',
            'freehold_engine_spared_tokens{kind="cached"} 64.0',
            'freehold_engine_spared_tokens{kind="drafted"} 9.0',
            'freehold_engine_spared_tokens{kind="accepted"} 7.0',
            "freehold_engine_draft_model_seconds 1.5",
        ):
            assert (line in page) == shown
        assert 'kind="measured"' not in page


async def test_metrics_beyond_loopback_need_an_admin_key() -> None:
    config = GatewayConfig(host="0.0.0.0", port=0, allow_insecure_bind=True)
    async with running(TestNode(config=config)) as node:
        node.url = node.url.replace("0.0.0.0", "127.0.0.1")
        statuses = {key: (await get(node, "/metrics", key))[0] for key in (None, CLIENT_KEY, ADMIN_KEY)}
    assert statuses == {None: 401, CLIENT_KEY: 403, ADMIN_KEY: 200}


async def test_a_dashboard_handed_in_is_mounted_and_its_failures_stay_its_own() -> None:
    async def dashboard(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("broken"):
            raise RuntimeError("private words")
        await PlainTextResponse("the dashboard")(scope, receive, send)

    async with running(TestNode(dashboard=dashboard)) as node:
        assert await get(node, "/dashboard/") == (200, b"the dashboard")
        status, body = await get(node, "/dashboard/broken")
    assert status == 500
    assert b"private" not in body


async def test_one_line_is_logged_an_exchange_and_it_holds_no_content(node: TestNode, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="freehold.gateway")
    await post(node, {**ASK, "messages": [{"role": "user", "content": "private words"}]})
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "freehold.gateway"]
    (line,) = [line for line in lines if line["event"] == "exchange_finished"]
    assert (line["status"], line["model"], line["output_tokens"], line["exchange_id"][:3]) == ("completed", MODEL, 3, "xc_")
    assert "private words" not in caplog.text
    assert "Hello" not in caplog.text


async def test_usage_nobody_counted_is_unknown_in_the_record() -> None:
    upstream = ScriptedUpstream(MessageStart(served=SERVED), Usage(input_tokens=None, output_tokens=None), answer("x")[-1])
    async with running(TestNode(upstream=upstream)) as node:
        await post(node, ASK)
    assert (node.recorder.drafts[0].entry.input_tokens, node.recorder.drafts[0].entry.output_tokens) == (None, None)
