import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import ConfigError, InvalidRequest, UpstreamBroken, UpstreamUnavailable
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, TextDelta, Usage, Worked
from freehold.core.exchange import Exchange, ExchangeId, KeyId, Message, Principal, ResponseFormat, Sampling, Tool, ToolChoice
from freehold.core.ports import Upstream
from freehold.engine.client import EngineClient
from tests.fakes.tiny_gguf import tiny_gguf
from tests.fakes.upstream import told


def ask(text: str = "hello", *, document: dict[str, Any] | None = None, **changes: Any) -> Exchange:
    sampling = changes.pop("sampling", Sampling(max_tokens=8, seed=5, temperature=1.0))
    values: dict[str, Any] = {
        "id": ExchangeId("xc_1"),
        "received_at_ns": 0,
        "principal": Principal(key_id=KeyId("k"), name="test"),
        "dialect": "openai.chat",
        "operation": "chat",
        "model": "tiny",
        "stream": True,
        "body": b"",
        "document": document or {},
        "messages": (Message(role="user", text=text),),
        "sampling": sampling,
    }
    return Exchange(**(values | changes))


@asynccontextmanager
async def engine(tmp_path: Path, kind: str, data: bytes | None = None, *, ready: bool = True) -> AsyncIterator[EngineClient]:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(tiny_gguf() if data is None else data)
    command = [sys.executable, "-m", "tests.fakes.engine_process", kind, str(file)]
    client = EngineClient(command, tmp_path / "run", "tiny", first_wait_s=0.01)
    upstream: Upstream = client  # which mypy checks
    await client.start()
    try:
        if ready:
            await until(lambda: client.status().ready)
        yield client
    finally:
        await upstream.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.01)


async def drain(events: AsyncIterator[list[Event]]) -> None:
    async for _ in events:
        pass


async def collect(client: EngineClient, exchange: Exchange) -> list[Event]:
    return await told(client.send(exchange))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_what_was_predicted_is_told_beside_what_is_measured(tmp_path: Path) -> None:
    async with engine(tmp_path, "foretells") as client:
        await until(lambda: client.load().token_s is not None)
        assert list(client.fit) == ["predicted: 2 s a token"]
        assert (client.load().token_s, client.load().predicted_token_s) == (2.5, 2.0)
    assert client.load().predicted_token_s is None


async def test_an_exchange_is_answered_by_a_real_engine_process(tmp_path: Path) -> None:
    async with engine(tmp_path, "real") as client:
        assert (client.name, list(client.models)) == ("freehold", ["tiny"])
        assert "context of 256 tokens" in client.status().detail
        events = await collect(client, ask())
        start, usage, worked, end = events[0], *events[-3:]
        assert isinstance(start, MessageStart)
        assert (start.served.provider, start.served.model, start.served.seed) == ("freehold", "tiny", 5)
        assert start.served.model_id == "11" * 32
        assert len(start.served.template_digest or "") == 64
        assert (start.served.build or "").startswith("freehold ")
        assert isinstance(usage, Usage)
        assert usage.input_tokens
        assert usage.output_tokens
        assert isinstance(worked, Worked)
        assert worked.compute_s > 0
        assert isinstance(end, MessageEnd)
        assert end.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
        assert [type(event) for event in events[1:-3]] == [TextDelta, Worked] * (len(events[1:-3]) // 2)
        so_far = [event.compute_s for event in events if isinstance(event, Worked)]
        assert so_far == sorted(so_far)
        assert so_far[0] > 0

        together = await asyncio.gather(*(collect(client, ask(f"text {i}")) for i in range(6)))
        alone = [await collect(client, ask(f"text {i}")) for i in range(6)]
        assert [text_of(events) for events in together] == [text_of(events) for events in alone]

        no_seed = ask(sampling=Sampling(max_tokens=1))
        first = (await collect(client, no_seed))[0]
        assert isinstance(first, MessageStart)
        assert first.served.seed is not None

        with_logprobs = await collect(client, ask(sampling=Sampling(max_tokens=8, seed=5, temperature=1.0, top_logprobs=2)))
        assert text_of(with_logprobs) == text_of(events)
        assert all(len(token.top) == 2 for event in with_logprobs if isinstance(event, TextDelta) for token in event.logprobs)


async def test_a_beginning_known_from_the_same_key_is_not_computed_again(tmp_path: Path) -> None:
    long = "hello world " * 14
    other = Principal(key_id=KeyId("other"), name="test")
    async with engine(tmp_path, "real") as client:
        cached, texts = [], []
        for exchange in (ask(long), ask(long), ask(long, principal=other)):
            events = await collect(client, exchange)
            cached += [event.cached_input_tokens for event in events if isinstance(event, Usage)]
            texts.append(text_of(events))
        await until(lambda: client.load().cached_tokens > 0)
    assert cached[0] == cached[2] == 0
    assert (cached[1] or 0) >= 64
    assert texts[0] == texts[1] == texts[2]


async def test_a_prompt_is_counted_as_it_would_be_read_in(tmp_path: Path) -> None:
    async with engine(tmp_path, "real") as client:
        for text in ("hello", "hello world " * 7):
            usage = next(event for event in await collect(client, ask(text)) if isinstance(event, Usage))
            assert await client.count_tokens(ask(text)) == usage.input_tokens
        start, counted, end = await collect(client, ask(text, operation="count_tokens"))
        assert isinstance(start, MessageStart)
        assert start.served.seed is None
        assert counted == Usage(input_tokens=usage.input_tokens, output_tokens=0)
        assert end == MessageEnd(finish_reason=FinishReason.STOP)
        assert client.stats.running == 0
        with pytest.raises(InvalidRequest, match="no place for tools"):
            await client.count_tokens(ask(tools=(Tool(name="t", description="", parameters={}),)))
        longer_than_the_context = await client.count_tokens(ask("x" * 300))
        assert longer_than_the_context > 256


async def test_a_count_needs_an_engine_that_runs(tmp_path: Path) -> None:
    async with engine(tmp_path, "never-connects", ready=False) as client:
        with pytest.raises(UpstreamUnavailable):
            await client.count_tokens(ask())


REFUSED = [
    (ask("x" * 300), "the prompt has .* tokens; the context of 256"),
    (ask("x" * 10_000), "the messages have 10000 bytes"),
    (ask(sampling=Sampling(temperature=-1.0)), "temperature is -1"),
    (ask(tools=(Tool(name="t", description="", parameters={}),)), "no place for tools"),
    (ask("\ud800"), "surrogate"),
    (ask(sampling=Sampling(logit_bias=((1 << 20, 1.0),))), "logit_bias names token 1048576"),
    (ask(response_format=ResponseFormat(kind="json_schema", schema={"not": {}})), 'Unimplemented keys: \\["not"\\]'),
    (ask(tool_choice=ToolChoice(mode="required")), "there are no tools"),
    (ask(document={"web_search_options": {"x": 1}}), "web_search_options"),
    (ask(messages=(Message(role="user", text="", attachments=1),)), "text alone"),
    (ask(operation="embeddings"), "answers chats"),
]


async def test_what_cannot_be_asked_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    async with engine(tmp_path, "real") as client:
        for exchange, words in REFUSED:
            with pytest.raises(InvalidRequest, match=words):
                await anext(client.send(exchange))
        harmless = {"web_search_options": {}, "user": "someone"}
        assert text_of(await collect(client, ask(document=harmless)))


async def test_a_client_that_leaves_frees_its_sequence(tmp_path: Path) -> None:
    async with engine(tmp_path, "real") as client:
        stream = client.send(ask(sampling=Sampling(max_tokens=200, seed=1, temperature=1.0)))
        async for events in stream:
            if any(isinstance(event, TextDelta) for event in events):
                break
        await stream.aclose()  # type: ignore[attr-defined]
        await until(
            lambda: client.stats.output_tokens > 0 and client.stats.running == 0 and client.stats.free_pages == client.stats.pages
        )
        assert client.stats.output_tokens < 200


async def test_a_client_that_leaves_frees_all_its_answers(tmp_path: Path) -> None:
    async with engine(tmp_path, "real") as client:
        several = ask(choices=3, sampling=Sampling(max_tokens=200, seed=1, temperature=1.0))
        stream = client.send(several)
        async for events in stream:
            if any(isinstance(event, TextDelta) for event in events):
                break
        await stream.aclose()  # type: ignore[attr-defined]
        await until(
            lambda: client.stats.output_tokens > 0 and client.stats.running == 0 and client.stats.free_pages == client.stats.pages
        )
        few = Sampling(max_tokens=8, seed=1, temperature=1.0)
        events = await collect(client, ask(choices=3, sampling=few))
        texts = ["".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == i) for i in range(3)]
        alone = [text_of(await collect(client, ask(sampling=replace(few, seed=1 + i)))) for i in range(3)]
        assert texts == alone
        assert sum(isinstance(event, MessageEnd) for event in events) == 3


async def test_an_answer_by_a_schema_is_given_by_a_real_engine_process(tmp_path: Path) -> None:
    async with engine(tmp_path, "real") as client:
        form = ResponseFormat(kind="json_schema", schema={"enum": ["yes", "no"]})
        for seed in range(3):
            events = await collect(client, ask(response_format=form, sampling=Sampling(seed=seed, temperature=5.0)))
            assert text_of(events) in ('"yes"', '"no"')
            assert events[-1] == MessageEnd(finish_reason=FinishReason.STOP)


async def test_an_engine_killed_mid_answer_says_so_and_comes_back(tmp_path: Path) -> None:
    async with engine(tmp_path, "real") as client:
        process_id = client.process_id
        assert process_id
        stream = client.send(ask(sampling=Sampling(max_tokens=200, seed=1, temperature=1.0)))
        await anext(stream)
        os.kill(process_id, signal.SIGKILL)
        with pytest.raises(UpstreamBroken, match="send the request once more"):
            await drain(stream)
        with pytest.raises(UpstreamUnavailable) as caught:
            await collect(client, ask())
        assert caught.value.retry_after_s
        await until(lambda: client.status().ready)
        assert client.process_id != process_id
        assert text_of(await collect(client, ask()))


async def test_an_engine_that_dies_by_itself_says_so_too(tmp_path: Path) -> None:
    async with engine(tmp_path, "dies") as client:
        stream = client.send(ask())
        with pytest.raises(UpstreamBroken):
            await drain(stream)
        await until(lambda: client.status().ready)


async def test_closing_leaves_no_process_behind(tmp_path: Path) -> None:
    async with engine(tmp_path, "real") as client:
        process_id = client.process_id
    assert process_id
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)
    assert not (tmp_path / "run" / "engine.sock").exists()
    assert not client.status().ready


async def test_a_request_before_the_engine_is_ready_is_told_to_come_back(tmp_path: Path) -> None:
    async with engine(tmp_path, "never-connects", ready=False) as client:
        with pytest.raises(UpstreamUnavailable, match="starting"):
            await collect(client, ask())


async def test_a_model_that_cannot_be_loaded_is_named_in_the_status(tmp_path: Path) -> None:
    async with engine(tmp_path, "real", b"PK\x03\x04", ready=False) as client:
        await until(lambda: "not a GGUF file" in client.status().detail)
        assert not client.status().ready


@pytest.mark.parametrize(
    ("kind", "words"), [("exits", "status 5"), ("nonsense", "makes no sense"), ("other-protocol", "engine protocol")]
)
async def test_a_process_that_is_no_engine_is_named_and_tried_again(tmp_path: Path, kind: str, words: str) -> None:
    async with engine(tmp_path, kind, ready=False) as client:
        await until(lambda: words in client.status().detail)


async def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    client = EngineClient([str(tmp_path / "missing")], tmp_path / "run", "tiny", first_wait_s=0.01)
    await client.start()
    try:
        await until(lambda: "cannot be started" in client.status().detail)
    finally:
        await client.close()


async def test_a_slow_reader_loses_its_own_answer_and_no_other(tmp_path: Path) -> None:
    async with engine(tmp_path, "floods") as client:
        slow = client.send(ask())
        await anext(slow)
        await asyncio.sleep(0.5)  # it reads nothing while 5000 pieces arrive
        with pytest.raises(UpstreamBroken, match="too slowly"):
            await drain(slow)


async def test_the_socket_is_in_a_directory_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    async with engine(tmp_path, "never-connects", ready=False):
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


async def test_a_path_too_long_for_a_socket_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too long for a socket; set TMPDIR"):
        await EngineClient(["x"], tmp_path / ("d" * 120), "tiny").start()
