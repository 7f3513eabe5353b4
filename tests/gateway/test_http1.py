import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from freehold.gateway.http1 import _BUFFER_BYTES, _OVERHEAD_BYTES, Answer, HttpClient, post_once
from tests.gateway.test_serve import write_certificate
from tests.gateway.upstreams.provider import END, STREAM, RawProvider, chunked, json_answer, provider

HELLO = json_answer(b"hello")


def client_of(raw: RawProvider, max_connections: int = 4) -> HttpClient:
    return HttpClient("far", raw.url, connect_timeout_s=5, max_connections=max_connections)


@pytest.fixture
async def hello() -> AsyncIterator[RawProvider]:
    async with provider(HELLO) as raw:
        yield raw


async def body_of(answer: Answer) -> bytes:
    pieces = []
    while piece := await answer.read():
        pieces.append(piece)
    return b"".join(pieces)


async def post(client: HttpClient, body: bytes = b"", silence_s: float = 5) -> Answer:
    return await client.post("/chat/completions", {"accept": "text/plain"}, body, silence_s=silence_s)


async def ask(client: HttpClient, body: bytes = b"?", silence_s: float = 5) -> bytes:
    answer = await post(client, body, silence_s)
    try:
        return await body_of(answer)
    finally:
        client.release(answer)


async def test_a_request_says_where_how_long_and_what(hello: RawProvider) -> None:
    client = client_of(hello)
    assert await ask(client, b"four") == b"hello"
    client.close()
    host = hello.url.removeprefix("http://").removesuffix("/v1")
    assert hello.requests == [
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\naccept: text/plain\r\ncontent-length: 4\r\n\r\nfour".encode()
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=9), max_size=4), st.lists(st.integers(0, 200), max_size=5))
async def test_a_body_is_the_same_wherever_the_network_cuts(pieces: list[bytes], places: list[int]) -> None:
    whole = STREAM + b"".join(map(chunked, pieces)) + END
    edges = [0, *sorted(place % len(whole) for place in places), len(whole)]
    async with provider(*[whole[start:end] for start, end in pairwise(edges)]) as raw:
        client = client_of(raw)
        assert [await ask(client), await ask(client)] == [b"".join(pieces)] * 2
        client.close()
    assert raw.connections == 1


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.booleans())
async def test_any_bytes_give_an_answer_or_an_upstream_error(junk: bytes, has_head: bool) -> None:
    async with provider(STREAM * has_head + junk, closes=True) as raw:
        client = client_of(raw)
        try:
            await ask(client)
        except UpstreamError:
            pass
        finally:
            client.close()


async def test_a_connection_the_provider_closed_or_talks_on_is_not_used_again() -> None:
    for script, closes in (
        ((HELLO,), True),
        ((HELLO + b"HTTP/1.1 200 OK\r\n",), False),
        ((json_answer(b"hello", "200 OK", "connection: close"),), False),
    ):
        async with provider(*script, closes=closes) as raw:
            client = client_of(raw)
            assert await ask(client) == b"hello"
            await asyncio.sleep(0.02)
            assert await ask(client) == b"hello"
            client.close()
        assert raw.connections == 2


async def test_an_answer_left_in_the_middle_closes_its_connection() -> None:
    async with provider(STREAM, chunked(b"x"), asyncio.Event()) as raw:
        client = client_of(raw)
        answer = await post(client)
        assert await answer.read() == b"x"
        client.release(answer)
        async with asyncio.timeout(5):
            await raw.left.wait()
        client.close()


async def test_words_before_the_answer_are_passed_over() -> None:
    async with provider(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", HELLO) as raw:
        client = client_of(raw)
        answer = await post(client)
        assert (answer.status, "link" in answer.headers, await body_of(answer)) == (200, False, b"hello")
        client.release(answer)
        client.close()


async def test_an_offer_to_upgrade_is_passed_over() -> None:
    async with provider(json_answer(b"hello", "200 OK", "upgrade: h2,h2c", "connection: upgrade, keep-alive")) as raw:
        client = client_of(raw)
        assert await ask(client) == b"hello"
        client.close()


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async with provider(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nall of it", closes=True) as raw:
        client = client_of(raw)
        assert await ask(client) == b"all of it"
        client.close()


@pytest.mark.parametrize(
    "script",
    [
        [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"],
        [STREAM + chunked(b"cut off")],
        [STREAM + b"5\r\nabc"],
        [b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nx: " + b"y" * (_OVERHEAD_BYTES + 1)],
        [b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 1000 + b"\r\n"] * (_OVERHEAD_BYTES // 1000 + 1)],
        [STREAM + chunked(b"x") + b"0\r\n", *[b"x: " + b"y" * 1000 + b"\r\n"] * (_OVERHEAD_BYTES // 1000 + 1)],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"],
    ],
    ids=["short", "no-last-chunk", "half-a-chunk", "upgrade", "one-long-header", "many-headers", "trailers", "two-lengths"],
)
async def test_what_is_cut_off_or_endless_is_broken(script: list[bytes]) -> None:
    async with provider(*script, closes=True) as raw:
        client = client_of(raw)
        with pytest.raises(UpstreamBroken, match="broke the connection off"):
            await ask(client)
        client.close()


async def test_a_reader_that_stalls_stops_the_provider() -> None:
    piece = chunked(b"x" * 65_536)
    async with provider(STREAM, *[piece] * 1000, END) as raw:
        client = client_of(raw)
        answer = await post(client, silence_s=0.2)
        await asyncio.sleep(0.4)  # longer than the timeout: this silence is ours
        assert len(await answer.read()) < _BUFFER_BYTES + (1 << 20)
        assert 0 < len(await body_of(answer)) < 1000 * 65_536
        client.release(answer)
        client.close()


async def test_silence_is_a_timeout() -> None:
    async with provider(STREAM, chunked(b"x"), asyncio.Event()) as raw:
        client = client_of(raw)
        with pytest.raises(UpstreamTimeout, match="silent"):
            await ask(client, silence_s=0.05)
        client.close()


async def test_who_comes_above_the_limit_waits_for_a_connection(hello: RawProvider) -> None:
    client = client_of(hello, max_connections=2)
    assert await asyncio.gather(*(ask(client) for _ in range(8))) == [b"hello"] * 8
    client.close()
    assert hello.connections == 2


async def test_a_failure_gives_its_place_back() -> None:
    async with provider(b"nonsense\r\n\r\n", closes=True) as raw:
        client = client_of(raw, max_connections=1)
        for _ in range(3):
            with pytest.raises(UpstreamBroken):
                await ask(client)
        client.close()


async def test_over_tls_a_certificate_must_be_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with provider(HELLO, tls=tls) as raw:
        client = client_of(raw)
        with pytest.raises(UpstreamUnavailable, match="can't be reached"):
            await ask(client)
        client.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        client = client_of(raw)
        assert [await ask(client), await ask(client)] == [b"hello"] * 2
        client.close()
    assert len(raw.requests) == 2


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/x HTTP/1.1\r\nhost: elsewhere", {}), ("/x", {"traceparent": "a\r\nhost: elsewhere"}), ("/x", {"a\nb": "c"})],
)
async def test_a_line_that_would_end_early_is_never_sent(target: str, headers: dict[str, str], hello: RawProvider) -> None:
    client = client_of(hello)
    with pytest.raises(UpstreamBroken, match="no header may have"):
        await client.post(target, headers, b"", silence_s=5)
    client.close()
    assert hello.connections == 0


async def test_who_takes_a_long_request_slowly_is_not_silent() -> None:
    """What it takes is a sign of life: the clock runs from when nothing more of the request moves."""

    left = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(256 << 10):  # noqa: ASYNC110  # to be slow is what it is for
                await asyncio.sleep(0.01)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(slowly, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient("far", f"http://127.0.0.1:{port}/v1", connect_timeout_s=5, max_connections=1)
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(UpstreamTimeout):
        await ask(client, bytes(24 << 20), silence_s=0.1)
    assert asyncio.get_running_loop().time() - began_s > 0.3
    client.close()
    server.close()
    await left.wait()


async def test_one_post_gives_the_whole_answer_and_keeps_the_query() -> None:
    async with provider(json_answer(b"{}", "201 Created")) as raw:
        answered = await post_once("there", f"{raw.url}/hook/?a=b", {}, b"x", timeout_s=5, limit_bytes=10)
    assert answered == (201, "application/json", b"{}")
    assert raw.requests[0].startswith(b"POST /v1/hook/?a=b HTTP/1.1\r\n")


async def test_one_post_is_bounded_in_time_and_size(hello: RawProvider) -> None:
    with pytest.raises(UpstreamBroken, match="more than 4 bytes"):
        await post_once("there", hello.url, {}, b"", timeout_s=5, limit_bytes=4)
    async with provider(STREAM, asyncio.Event()) as raw:
        with pytest.raises(UpstreamTimeout, match=r"within 0\.05 s"):
            await post_once("there", raw.url, {}, b"", timeout_s=0.05, limit_bytes=4)
