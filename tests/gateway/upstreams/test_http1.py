import asyncio
import ssl
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from freehold.gateway.upstreams.http1 import _BUFFER_BYTES, _OVERHEAD_BYTES, Answer, HttpClient
from tests.gateway.test_serve import write_certificate
from tests.gateway.upstreams.provider import END, STREAM, RawProvider, chunked, json_answer, provider

HELLO = json_answer(b"hello")


def client_of(raw: RawProvider, max_connections: int = 4, idle_timeout_s: float = 5) -> HttpClient:
    url = raw.url + "/chat/completions"
    return HttpClient(
        "far",
        url,
        {"accept": "text/plain"},
        connect_timeout_s=5,
        idle_timeout_s=idle_timeout_s,
        max_connections=max_connections,
    )


@pytest.fixture
async def hello() -> AsyncIterator[RawProvider]:
    async with provider(HELLO) as raw:
        yield raw


async def body_of(answer: Answer) -> bytes:
    pieces = []
    while piece := await answer.read():
        pieces.append(piece)
    return b"".join(pieces)


async def ask(client: HttpClient, body: bytes = b"?") -> bytes:
    answer = await client.post(body)
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
        answer = await client.post(b"")
        assert await answer.read() == b"x"
        client.release(answer)
        async with asyncio.timeout(5):
            await raw.left.wait()
        client.close()


async def test_words_before_the_answer_are_passed_over() -> None:
    async with provider(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", HELLO) as raw:
        client = client_of(raw)
        answer = await client.post(b"")
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
        client = client_of(raw, idle_timeout_s=0.2)
        answer = await client.post(b"")
        await asyncio.sleep(0.4)  # longer than the timeout: this silence is ours
        assert len(await answer.read()) < _BUFFER_BYTES + (1 << 20)
        assert 0 < len(await body_of(answer)) < 1000 * 65_536
        client.release(answer)
        client.close()


async def test_silence_is_a_timeout() -> None:
    async with provider(STREAM, chunked(b"x"), asyncio.Event()) as raw:
        client = client_of(raw, idle_timeout_s=0.05)
        with pytest.raises(UpstreamTimeout, match="silent"):
            await ask(client)
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
