import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.client_proto import ResponseHandler

from freehold.core.errors import (
    ConfigError,
    UpstreamBroken,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, PartEnd, Payload, PromptText, TextDelta, Usage
from freehold.core.exchange import Exchange
from freehold.gateway.config import UpstreamConfig
from freehold.gateway.upstreams import make_upstream
from tests.fakes.upstream import told
from tests.gateway.asking import asked
from tests.gateway.node import TestNode, running
from tests.gateway.upstreams.provider import END, STREAM, RawProvider, chunked, json_answer, provider

PROVIDER_KEY = "sk-provider-0123456789"
HELLO = b'data: {"model":"theirs-1","choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = HELLO + STOP + USAGE + DONE


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PROVIDER_KEY", PROVIDER_KEY)


def exchange(**fields: Any) -> Exchange:
    document = {"model": "ours", "messages": [{"role": "user", "content": "hi"}], "stream": True, **fields}
    return asked(document)


def config(url: str, **settings: Any) -> UpstreamConfig:
    return UpstreamConfig(name="far", url=url, models={"ours": "theirs"}, api_key_env="TEST_PROVIDER_KEY", **settings)


async def ask(raw: RawProvider, times: int = 1, **settings: Any) -> list[Event]:
    upstream = make_upstream(config(raw.url, **settings))
    try:
        for _ in range(times):
            events = await told(upstream.send(exchange()))
    finally:
        await upstream.close()
    return [event for event in events if not isinstance(event, Payload | PromptText | PartEnd)]


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_a_stream_becomes_events_in_the_ports_order() -> None:
    async with provider(STREAM, chunked(WHOLE), END) as raw:
        events = await ask(raw)
    assert isinstance(events[0], MessageStart)
    assert (events[0].served.provider, events[0].served.model, events[0].served.model_id) == ("far", "theirs-1", None)
    assert events[1:] == [
        TextDelta(text="Hello"),
        Usage(input_tokens=3, output_tokens=1),
        MessageEnd(finish_reason=FinishReason.STOP),
    ]


@pytest.mark.parametrize("size", [1, 5, 33])
async def test_where_the_network_cuts_does_not_matter(size: int) -> None:
    pieces = [chunked(WHOLE[start : start + size]) for start in range(0, len(WHOLE), size)]
    async with provider(STREAM, *pieces, END) as raw:
        assert said(await ask(raw)) == "Hello"


async def test_the_provider_gets_its_key_its_model_name_and_is_asked_for_usage() -> None:
    async with provider(STREAM, chunked(WHOLE), END) as raw:
        await ask(raw)
    head, _, body = raw.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1")
    assert f"authorization: bearer {PROVIDER_KEY}".encode() in head.lower()
    assert b"accept-encoding: identity" in head.lower()
    sent = json.loads(body)
    assert (sent["model"], sent["stream"], sent["stream_options"]) == ("theirs", True, {"include_usage": True})


async def test_a_provider_with_the_older_words_is_sent_no_others() -> None:
    """Whether the client speaks its dialect or another: some refuse the newer ones, some pass over them."""
    limited = asked(
        {"model": "ours", "max_completion_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    )
    translated = asked({"model": "ours", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}, "anthropic.messages")
    async with provider(STREAM, chunked(WHOLE), END) as raw:
        for exchange_ in (limited, translated):
            upstream = make_upstream(config(raw.url, max_tokens_name="max_tokens", ask_usage=False))
            await told(upstream.send(exchange_))
            await upstream.close()
    for request in raw.requests:
        sent = json.loads(request.partition(b"\r\n\r\n")[2])
        assert sent["max_tokens"] == 9
        assert not {"max_completion_tokens", "stream_options"} & set(sent)


@pytest.mark.parametrize("asks", [{"stream": False}, {"stream": True, "stream_options": {"include_usage": True}}])
async def test_a_clients_own_body_goes_on_byte_for_byte_where_nothing_changes(asks: dict[str, Any]) -> None:
    document = {"model": "theirs", "messages": [{"role": "user", "content": "hi"}], "new_field": [1.50], **asks}
    body = json.dumps(document, indent=1).encode()
    async with provider(STREAM, chunked(WHOLE), END) as raw:
        upstream = make_upstream(UpstreamConfig(name="far", url=raw.url, models=["theirs"]))
        async for _ in upstream.send(asked(document, body=body)):
            pass
        await upstream.close()
    assert raw.requests[0].partition(b"\r\n\r\n")[2] == body


async def test_an_answer_in_one_body_may_take_longer_than_a_stream_may_be_silent() -> None:
    body = b'{"model":"t","choices":[{"index":0,"message":{"content":"Hello"},"finish_reason":"stop"}]}'
    later = asyncio.Event()
    async with provider(later, json_answer(body)) as raw:
        asyncio.get_running_loop().call_later(0.4, later.set)
        upstream = make_upstream(config(raw.url, idle_timeout_s=0.1))
        events = await told(upstream.send(exchange(stream=False)))
        await upstream.close()
    assert said(events) == "Hello"


async def test_a_connection_is_used_again() -> None:
    async with provider(STREAM, chunked(WHOLE), END) as raw:
        await ask(raw, times=3)
    assert (len(raw.requests), raw.connections) == (3, 1)


async def test_a_stream_that_stays_open_after_its_last_word_is_over() -> None:
    async with provider(STREAM, chunked(WHOLE), asyncio.Event()) as raw:
        assert said(await ask(raw)) == "Hello"


async def test_one_body_instead_of_a_stream_is_understood() -> None:
    body = b'{"model":"t","choices":[{"index":0,"message":{"content":"Hello"},"finish_reason":"stop"}]}'
    async with provider(json_answer(body)) as raw:
        assert said(await ask(raw)) == "Hello"


async def test_aiohttp_goes_back_to_its_parser_once_a_read_and_not_once_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it costs a tenth of a stream: a release in which the mark has another name should be looked at."""
    resumed: list[ResponseHandler] = []
    resume = ResponseHandler.resume_reading

    def counting(self: ResponseHandler, *args: Any, **options: Any) -> None:
        resumed.append(self)
        resume(self, *args, **options)

    monkeypatch.setattr(ResponseHandler, "resume_reading", counting)
    async with provider(STREAM + chunked(HELLO) * 40 + chunked(STOP + USAGE + DONE) + END) as raw:
        events = await ask(raw)
    assert said(events) == "Hello" * 40
    assert len(resumed) < 10


async def test_closing_the_iterator_closes_the_connection() -> None:
    async with provider(STREAM, chunked(HELLO), asyncio.Event()) as raw:
        upstream = make_upstream(config(raw.url))
        events: Any = upstream.send(exchange())
        await anext(events)
        await events.aclose()
        async with asyncio.timeout(5):
            await raw.left.wait()
        await upstream.close()


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ([STREAM, chunked(HELLO)], UpstreamBroken, "broke the connection off"),
        ([STREAM, chunked(HELLO), END], UpstreamBroken, "before the answer's end"),
        ([STREAM, chunked(b"data: {nonsense\n\n")], UpstreamBroken, "not JSON"),
        ([STREAM, chunked(b"<html>oops</html>\n\n"), END], UpstreamBroken, "before the answer's end"),
        ([b"nonsense\r\n\r\n"], UpstreamBroken, "broke the connection off"),
        ([], UpstreamBroken, "broke the connection off"),
        ([json_answer(b"{", "200 OK")], UpstreamBroken, "not JSON"),
        ([b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi"], UpstreamBroken, "neither"),
        ([json_answer(b"{}", "200 OK", "content-encoding: gzip")], UpstreamBroken, "compresses"),
        ([json_answer(b"", "302 Found", "location: http://127.0.0.1:1/steal")], UpstreamBroken, "status 302"),
        ([STREAM, chunked(b'data: {"error":{"message":"overloaded"}}\n\n')], UpstreamRejected, "overloaded"),
    ],
)
async def test_a_provider_that_talks_nonsense_is_told_from_one_that_answers(
    script: list[bytes], error: type[UpstreamError], words: str
) -> None:
    async with provider(*script, closes=True) as raw:
        with pytest.raises(error, match=words) as caught:
            await ask(raw)
    assert PROVIDER_KEY not in caught.value.message


@pytest.mark.parametrize("step", [STREAM + chunked(HELLO), STREAM, b""])
async def test_silence_is_a_timeout(step: bytes) -> None:
    async with provider(step, asyncio.Event()) as raw:
        with pytest.raises(UpstreamTimeout, match="silent"):
            await ask(raw, idle_timeout_s=0.1)


async def test_nobody_there_is_unavailable() -> None:
    async with provider() as raw:
        pass
    with pytest.raises(UpstreamUnavailable, match="can't be reached: connection refused; try again") as caught:
        await ask(raw)
    assert caught.value.why == "connection refused"
    for url, why in (
        ("http://nobody.invalid/v1", "its name is not known"),
        (raw.url.replace("http:", "https:"), "connection refused"),
    ):
        upstream = make_upstream(config(url))
        with pytest.raises(UpstreamUnavailable) as caught:
            await told(upstream.send(exchange()))
        await upstream.close()
        assert caught.value.why == why


async def test_a_provider_without_tls_is_told_from_one_that_is_not_there() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        upstream = make_upstream(config(f"https://127.0.0.1:{port}/v1"))
        with pytest.raises(UpstreamUnavailable, match="speaks no TLS"):
            await told(upstream.send(exchange()))
        await upstream.close()


async def test_more_than_the_limit_is_refused() -> None:
    async with provider(STREAM, *[chunked(HELLO)] * 50, END) as raw:
        with pytest.raises(UpstreamBroken, match="more than 1000 bytes"):
            await ask(raw, answer_limit_bytes=1000)


async def test_an_error_keeps_its_status_message_code_and_patience() -> None:
    body = b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'
    async with provider(json_answer(body, "429 Too Many Requests", "retry-after: 7")) as raw:
        with pytest.raises(UpstreamRejected) as caught:
            await ask(raw)
    error = caught.value
    assert (error.status, error.message, error.code, error.retry_after_s) == (429, "slow down", "rate_limit_exceeded", 7.0)


async def test_a_proxy_on_the_way_is_asked_for_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    async with provider(STREAM, chunked(WHOLE), END) as raw:
        monkeypatch.setenv("TEST_PROXY", raw.url.removesuffix("/v1").replace("//", "//me:word@"))
        upstream = make_upstream(config("http://far.example/v1", proxy_env="TEST_PROXY"))
        assert said(list(await told(upstream.send(exchange())))) == "Hello"
        await upstream.close()
        assert raw.requests[0].startswith(b"POST http://far.example/v1/chat/completions HTTP/1.1\r\n")
        assert b"proxy-authorization: basic bwu6d29yza==" in raw.requests[0].lower()
    with pytest.raises(ConfigError, match="TEST_NONE holds no proxy's URL"):
        make_upstream(config("http://far.example/v1", proxy_env="TEST_NONE"))


async def test_a_proxy_that_refuses_is_told_from_a_provider_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with provider() as raw:
        pass
    monkeypatch.setenv("TEST_PROXY", raw.url.removesuffix("/v1"))
    upstream = make_upstream(config("https://far.example/v1", proxy_env="TEST_PROXY"))
    with pytest.raises(UpstreamUnavailable, match="can't be reached: its proxy does not answer"):
        await told(upstream.send(exchange()))
    await upstream.close()


async def test_patience_may_have_decimals() -> None:
    async with provider(json_answer(b"{}", "429 Too Many Requests", "retry-after: 1.5")) as raw:
        with pytest.raises(UpstreamRejected) as caught:
            await ask(raw)
    assert caught.value.retry_after_s == 1.5


async def test_the_nodes_own_key_refused_is_not_the_clients_fault_and_not_shown() -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {PROVIDER_KEY}"}}).encode()
    async with provider(json_answer(body, "401 Unauthorized")) as raw:
        with pytest.raises(UpstreamRejected, match="operator") as caught:
            await ask(raw)
    assert caught.value.status == 502
    assert PROVIDER_KEY not in caught.value.message


async def test_an_error_that_quotes_the_key_is_cleaned() -> None:
    body = json.dumps({"error": {"message": f"bad header {PROVIDER_KEY}"}}).encode()
    async with provider(json_answer(body, "400 Bad Request")) as raw:
        with pytest.raises(UpstreamRejected, match=r"bad header \[provider key\]"):
            await ask(raw)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error": 5}', b"x" * 100_000])
async def test_an_error_without_words_is_named_by_its_status(body: bytes) -> None:
    async with provider(json_answer(body, "503 Service Unavailable")) as raw:
        with pytest.raises(UpstreamRejected, match="answered with status 503"):
            await ask(raw)


def test_a_missing_key_names_the_variable_or_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TEST_PROVIDER_KEY")
    with pytest.raises(ConfigError, match="TEST_PROVIDER_KEY"):
        make_upstream(config("http://127.0.0.1:1/v1"))
    for content in (None, "", "two\nlines"):
        path = tmp_path / "key"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError, match="far"):
            make_upstream(UpstreamConfig(name="far", url="http://x/v1", models=["m"], api_key_file=str(path)))


def test_a_key_file_lies_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1")
    make_upstream(UpstreamConfig(name="far", url="http://x/v1", models=["m"], api_key_file="key"), tmp_path)


@pytest.mark.parametrize("dialects", [["openai.chatx"], []])
def test_dialects_that_there_are_not_are_refused_with_those_that_there_are(dialects: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"upstream far: dialects .*; there are .*openai\.chat"):
        make_upstream(UpstreamConfig(name="far", url="http://x/v1", models=["m"], dialects=dialects))


def test_a_key_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-1\n")
    upstream = make_upstream(UpstreamConfig(name="far", url="http://x/v1", models=["m"], api_key_file=str(path)))
    assert (upstream.name, list(upstream.models), upstream.status().ready) == ("far", ["m"], True)


async def test_through_the_gateway_a_dying_provider_is_an_error_event() -> None:
    async with provider(STREAM, chunked(HELLO), closes=True) as raw:
        upstream = make_upstream(config(raw.url))
        async with running(TestNode(upstream=upstream)) as node, node.sdk() as sdk:
            seen = []
            with contextlib.suppress(Exception):
                async for chunk in await sdk.chat.completions.create(
                    model="ours", messages=[{"role": "user", "content": "x"}], stream=True
                ):
                    seen.append(chunk.choices[0].delta.content)  # noqa: PERF401  # an exception ends it
        await upstream.close()
    assert "".join(text or "" for text in seen) == "Hello"
    assert node.recorder.drafts[0].entry.error_code == "upstream_broken"


async def test_through_the_gateway_a_provider_is_told_its_own_tier_and_nothing_of_ours() -> None:
    async with provider(STREAM, chunked(WHOLE), END) as raw:
        upstream = make_upstream(UpstreamConfig(name="far", url=raw.url, models=["theirs"]))
        async with running(TestNode(upstream=upstream)) as node, node.sdk() as sdk:
            stream = await sdk.chat.completions.create(
                model="theirs",
                messages=[{"role": "user", "content": "x"}],
                stream=True,
                service_tier="flex",
                extra_body={"priority": "now", "deadline": None},
            )
            async for _ in stream:
                pass
        await upstream.close()
    sent = json.loads(raw.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["service_tier"] == "flex"
    assert not {"priority", "deadline"} & sent.keys()
