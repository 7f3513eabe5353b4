"""Hostile clients and hostile providers, against a real node: others are answered, and nothing is left of them after."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.integration import nodes, scripted
from tests.integration.hostile_cases import (
    BAD_BODIES,
    BROKEN,
    LIMITS,
    MIB,
    ODD,
    UPSTREAM,
    Vitals,
    address,
    error_message,
    flood,
    head,
    plain,
    raise_file_limit,
    settled,
    vitals,
)
from tests.integration.leak_cases import GITHUB, PLAIN
from tests.integration.leak_dialects import DIALECTS, UPSTREAMS
from tests.integration.leak_probe import POLICY, Prober, configuration, prober
from tests.integration.nodes import Node
from tests.integration.scripted import Script, ScriptedProvider

LOOSE_FDS = 24  # connections to providers that are kept for the next request
PATIENCE_S = 40.0
IDLE_CONNECTIONS = 10_000
GROWTH_BYTES = 50 * MIB


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with scripted.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, provider: ScriptedProvider) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("home")
    (home / "freehold.toml").write_text(configuration(provider, LIMITS, UPSTREAM))
    (home / "policy.toml").write_text(POLICY)
    raise_file_limit()
    with nodes.running(home, preexec=raise_file_limit) as started:
        yield started


@contextlib.asynccontextmanager
async def unharmed(node: Node, provider: ScriptedProvider) -> AsyncIterator[Prober]:
    """Files, threads and memory are back to where they were, others are answered, and nothing failed unforeseen."""
    async with prober(node.url, node.client_key, provider) as asking:
        await others_are_answered(asking)
        before, lines = vitals(node), len(node.log)
        yield asking
        await others_are_answered(asking)
    after = await settled(node, Vitals(before.fds + LOOSE_FDS, before.threads + 2, 0))
    assert after.fds <= before.fds + LOOSE_FDS
    assert after.threads <= before.threads + 8  # of the pool that hashes and writes, made on demand
    unforeseen = [line for line in node.log[lines:] if "unexpected_error" in line]
    assert unforeseen == []


async def others_are_answered(asking: Prober) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for name, dialect in DIALECTS.items():
            script = Script(pieces=dialect.stream("text", ["Fine, ", "thank you."]))
            came = await asking.ask(name, UPSTREAMS[name], script, stream=True)
            assert came.status == 200
            assert any("thank you." in text for text in came.texts)


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and the rest, up to the connection's end."""
    data = await reader.read()
    return (int(data.split(b" ", 2)[1]), data) if data else (0, b"")


# --- Providers ---


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_provider_that_talks_nonsense_never_ends_an_answer_cleanly(
    node: Node, provider: ScriptedProvider, name: str
) -> None:
    async def one(case: str, client: str, *, stream: bool) -> None:
        async with asyncio.timeout(PATIENCE_S):
            came = await asking.ask(client, UPSTREAMS[name], BROKEN[case](name), stream=stream)
        where = (case, client, stream, came.body[-500:])
        assert (came.status >= 400) != came.is_stream, where
        assert len(error_message(client, came.documents[-1])) > 15, where
        assert "internal_error" not in came.texts[0].lower(), where

    async with unharmed(node, provider) as asking, asyncio.TaskGroup() as group:
        for case in BROKEN:
            group.create_task(one(case, name, stream=True))
            group.create_task(one(case, name, stream=False))
            other = list(DIALECTS)[(list(DIALECTS).index(name) + len(case)) % len(DIALECTS)]
            group.create_task(one(case, other, stream=True))


@pytest.mark.parametrize("name", DIALECTS)
async def test_an_odd_answer_comes_through_or_is_refused_and_leaks_nothing(
    node: Node, provider: ScriptedProvider, name: str
) -> None:
    async with unharmed(node, provider) as asking:
        for case, make in ODD.items():
            for client in (name, "openai.chat" if name != "openai.chat" else "anthropic.messages"):
                async with asyncio.timeout(PATIENCE_S):
                    came = await asking.ask(client, UPSTREAMS[name], make(name), stream=True)
                assert [text for text in came.texts if PLAIN[1].leaks(text)] == [], (case, client)
                assert "internal_error" not in came.texts[0].lower(), (case, client)


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_long_stream_passes_in_bounded_memory(node: Node, provider: ScriptedProvider, name: str) -> None:
    async with unharmed(node, provider):
        before, most, received = vitals(node), 0, 0
        async for received in streamed(node, provider, flood(name, 64 * MIB), name):  # noqa: B007  # the last one counts
            most = max(most, vitals(node).rss_bytes)
        assert received > 60 * MIB
        assert most - before.rss_bytes < GROWTH_BYTES


async def streamed(node: Node, provider: ScriptedProvider, script: Script, name: str) -> AsyncIterator[int]:
    """Bytes received so far, now and then."""
    word, dialect = provider.add(script), DIALECTS[name]
    model = UPSTREAMS[name]
    headers = {"authorization": f"Bearer {node.client_key}", **dialect.headers}
    document = dialect.ask(model, f"Go on, {word}.", True)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as session,
        session.post(node.url + dialect.path(model, True), json=document, headers=headers) as response,
    ):
        assert response.status == 200
        received, told = 0, 0
        async for piece in response.content.iter_any():
            received += len(piece)
            if received - told > MIB:
                told = received
                yield received
    yield received


async def test_a_client_that_stops_reading_stops_its_provider(node: Node, provider: ScriptedProvider) -> None:
    async with unharmed(node, provider) as asking:
        before = vitals(node)
        script = flood("openai.chat", 4096 * MIB)
        word = provider.add(script)
        body = json.dumps(DIALECTS["openai.chat"].ask(UPSTREAMS["openai.chat"], f"Go on, {word}.", True)).encode()
        _, writer = await asyncio.open_connection(*address(node), limit=1024)
        writer.write(head(node, "/v1/chat/completions", len(body)) + body)
        await asyncio.to_thread(script.has_begun.wait, 10)
        written, still = -1, script.written_bytes
        while written != still:  # until nothing more is taken
            written = still
            await asyncio.sleep(1.0)
            still = script.written_bytes
        await others_are_answered(asking)
        assert still < 64 * MIB
        assert vitals(node).rss_bytes - before.rss_bytes < GROWTH_BYTES
        assert await asyncio.to_thread(script.has_ended.wait, PATIENCE_S)  # given up after idle_timeout_s
        writer.close()


async def test_a_client_that_leaves_ends_its_providers_work(node: Node, provider: ScriptedProvider) -> None:
    async with unharmed(node, provider):
        scripts = [flood(name, 4096 * MIB) for name in DIALECTS]
        for name, script in zip(DIALECTS, scripts, strict=True):
            async for _ in streamed(node, provider, script, name):
                break
        for script in scripts:
            assert await asyncio.to_thread(script.has_ended.wait, PATIENCE_S)


# --- Clients ---


async def test_slow_headers_and_slow_bodies_are_cut_off(node: Node, provider: ScriptedProvider) -> None:
    start = head(node, "/v1/messages", 1000)

    async def dribble(at_once: bytes, rest: bytes) -> int:
        reader, writer = await asyncio.open_connection(*address(node))
        status = 0
        with contextlib.suppress(ConnectionError):
            writer.write(at_once)
            for byte in rest:
                writer.write(bytes([byte]))
                await writer.drain()
                try:
                    async with asyncio.timeout(0.5):
                        status, _ = await answer_of(reader)
                    break
                except TimeoutError:
                    continue
            else:
                status, _ = await answer_of(reader)
        writer.close()
        return status

    async with unharmed(node, provider) as asking:
        async with asyncio.timeout(PATIENCE_S):
            slow = asyncio.gather(
                *(dribble(start[:20], start[20:]) for _ in range(150)), *(dribble(start, b"{" + b" " * 400) for _ in range(150))
            )
            await asyncio.sleep(1.0)
            await others_are_answered(asking)
            statuses = await slow
        assert {408} <= set(statuses) <= {408, 0}  # 0: the answer was lost to a byte that came after it


async def test_ten_thousand_idle_connections_leave_others_alone(node: Node, provider: ScriptedProvider) -> None:
    async with unharmed(node, provider) as asking:
        before, idle = vitals(node), list[asyncio.StreamWriter]()
        gate = asyncio.Semaphore(256)
        request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"

        async def open_one() -> None:
            async with gate:
                for _ in range(4):  # where the machine is busy the headers' clock may end one before its request is seen
                    reader, writer = await asyncio.open_connection(*address(node), limit=2048)
                    idle.append(writer)
                    writer.write(request)  # idle after an answer: a connection that never asked is closed by the headers' clock
                    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                        await reader.readuntil(b'"ok"}')
                        return
                raise AssertionError("the node ends connections that have asked")

        try:
            async with asyncio.timeout(4 * PATIENCE_S):
                await asyncio.gather(*(open_one() for _ in range(IDLE_CONNECTIONS)))
            during = vitals(node)
            assert during.fds >= before.fds + IDLE_CONNECTIONS
            assert during.rss_bytes - before.rss_bytes < IDLE_CONNECTIONS * (32 << 10)
            await others_are_answered(asking)
        finally:
            for writer in idle:
                writer.close()


async def test_more_connections_than_allowed_are_refused_with_a_sentence(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("small")
    with scripted.serving() as provider:
        limits = LIMITS.replace("12000", "20").replace("header_timeout_s = 2.0", "header_timeout_s = 30.0")
        (home / "freehold.toml").write_text(configuration(provider, limits))
        (home / "policy.toml").write_text(POLICY)
        with nodes.running(home) as small:
            pairs = [await asyncio.open_connection(*address(small)) for _ in range(20)]
            reader, writer = await asyncio.open_connection(*address(small))
            status, data = await answer_of(reader)
            assert status == 503
            assert b"too_many_connections" in data
            for _, one in [*pairs, (reader, writer)]:
                one.close()
            async with prober(small.url, small.client_key, provider) as asking:
                await asyncio.sleep(0.5)
                await others_are_answered(asking)


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_bad_body_is_refused_in_the_clients_dialect(node: Node, provider: ScriptedProvider, name: str) -> None:
    dialect, model = DIALECTS[name], UPSTREAMS[name]
    async with unharmed(node, provider), aiohttp.ClientSession() as session:
        for case, (spoil, status) in BAD_BODIES.items():
            script = Script()
            good = json.dumps(plain(name, model, provider.add(script))).encode()
            headers = {"authorization": f"Bearer {node.client_key}", "content-type": "application/json", **dialect.headers}
            async with asyncio.timeout(PATIENCE_S):
                url = node.url + dialect.path(model, False)
                async with session.post(url, data=io.BytesIO(spoil(good)), headers=headers) as answer:
                    told = await answer.json(content_type=None)
            assert answer.status == status, (case, told)
            assert len(error_message(name, told)) > 15, case
            assert script.body == b"", case


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "a/b; charset=latin-1"]
)
async def test_what_a_body_is_said_to_be_changes_nothing(
    node: Node, provider: ScriptedProvider, name: str, content_type: str
) -> None:
    """A guard that looked at JSON alone could be told that it is none."""
    dialect, model, script = DIALECTS[name], UPSTREAMS[name], Script(pieces=DIALECTS[name].stream("text", ["ok"]))
    document = plain(name, model, f"{provider.add(script)} {GITHUB}")
    headers = {"authorization": f"Bearer {node.client_key}", **dialect.headers, "content-type": content_type}
    async with aiohttp.ClientSession() as session:
        url = node.url + dialect.path(model, False)
        async with session.post(url, data=json.dumps(document).encode(), headers=headers) as answer:
            await answer.read()
    assert GITHUB[4:].encode() not in script.body


async def test_a_flood_of_headers_is_refused(node: Node, provider: ScriptedProvider) -> None:
    async with unharmed(node, provider):
        for lines in ([f"x-{n}: {'y' * 100}" for n in range(5000)], ["x: " + "y" * MIB], ["y" * MIB]):
            reader, writer = await asyncio.open_connection(*address(node))
            with contextlib.suppress(ConnectionError):
                writer.write(head(node, "/v1/chat/completions", 0, *lines))
                await writer.drain()
            status, data = 0, b""
            with contextlib.suppress(ConnectionError):
                status, data = await answer_of(reader)
            assert status in (0, 400, 431)  # 0: reset, as the client was still sending
            assert b"200 OK" not in data
            writer.close()


async def test_requests_in_one_write_are_answered_in_their_order(node: Node, provider: ScriptedProvider) -> None:
    async with unharmed(node, provider):
        requests, words = b"", []
        for number in range(20):
            script = Script(pieces=DIALECTS["openai.chat"].stream("text", [f"answer {number}, {GITHUB}."]))
            words.append(provider.add(script))
            document = DIALECTS["openai.chat"].ask(UPSTREAMS["openai.chat"], f"Go on, {words[-1]}.", True)
            body = json.dumps(document).encode()
            last = ["connection: close"] if number == 19 else []
            requests += head(node, "/v1/chat/completions", len(body), *last) + body
        reader, writer = await asyncio.open_connection(*address(node))
        writer.write(requests)
        async with asyncio.timeout(PATIENCE_S):
            _, data = await answer_of(reader)
        writer.close()
        places = [data.index(f"answer {number}".encode()) for number in range(20)]
        assert places == sorted(places)
        assert GITHUB[4:10].encode() not in data


async def test_two_lengths_or_a_length_and_chunks_are_not_two_requests(node: Node, provider: ScriptedProvider) -> None:
    """RFC 9112 6.3: whoever reads such a request otherwise than the one before it takes a body's end for a request."""
    async with unharmed(node, provider):
        for line in ("content-length: 5", "transfer-encoding: chunked", "transfer-encoding: chunked, identity"):
            reader, writer = await asyncio.open_connection(*address(node))
            writer.write(
                head(node, "/v1/chat/completions", 50, line, "connection: close") + b"0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n"
            )
            writer.write_eof()
            async with asyncio.timeout(PATIENCE_S):
                _, data = await answer_of(reader)
            writer.close()
            assert data.count(b"HTTP/1.1 ") <= 1
            assert b"HTTP/1.1 200" not in data
