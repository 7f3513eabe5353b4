import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from freehold.core.errors import ConfigError
from freehold.gateway.config import GatewayConfig
from freehold.gateway.report_config import is_loopback
from freehold.gateway.serve import Corked, bind, check_bind, event_loop, serving

QUICK = GatewayConfig(port=0, header_timeout_s=0.2, header_limit_bytes=1000, max_connections=3, shutdown_timeout_s=1)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without reading the body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def talk(url: str, *pieces: bytes, pause_s: float = 0) -> bytes:
    """All the server says until it closes the connection."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(10):
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            return await reader.read()
        except ConnectionError:
            return b"reset"
        finally:
            writer.close()


async def test_what_is_written_in_one_go_leaves_in_one_write() -> None:
    written: list[bytes] = []

    class Transport:
        write = written.append

        def is_closing(self) -> bool:
            return b"closed" in written

        def close(self) -> None:
            written.append(b"closed")

    transport = Corked(Transport(), asyncio.get_running_loop())  # type: ignore[arg-type]
    transport.write(b"head ")
    transport.write(b"words")
    assert not written
    await asyncio.sleep(0)
    large = b"x" * HIGH_WATER_LIMIT
    transport.write(large)
    assert written == [b"head words", large]
    transport.write(b"last")
    transport.close()
    transport.write(b"too late")
    await asyncio.sleep(0)
    assert written[2:] == [b"last", b"closed"]


async def test_a_request_and_the_next_on_the_same_connection_are_answered() -> None:
    request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    async with serving(app, QUICK, bind(QUICK, has_keys=True)) as url:
        assert (await talk(url, request, request + last)).count(b"200 OK") == 3


async def test_an_offer_of_http_2_is_passed_over_and_the_body_read() -> None:
    """As Java's own client makes it with each first request."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    body = b"upgrade: h2c\r\nupgrade: h2c\r\n"
    for last in (b"HTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\n\r\n", b"Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n\r\n"):
        head = (
            b"POST / HTTP/1.1\r\nhost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\ncontent-length: %d\r\n" % len(body)
            + last
        )
        async with serving(echo, QUICK, bind(QUICK, has_keys=True)) as url:
            assert (await talk(url, head + body)).endswith(b"\r\n\r\n" + body)
            assert (await talk(url, head, body, pause_s=0.05)).endswith(b"\r\n\r\n" + body)


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no bound for what is not sent yet")
async def test_a_client_that_reads_nothing_is_not_written_for() -> None:
    written_bytes, is_gone = 0, False

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal written_bytes
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not is_gone:
            await send({"type": "http.response.body", "body": b"x" * 4096, "more_body": True})
            written_bytes += 4096

    async with serving(endless, QUICK, bind(QUICK, has_keys=True)) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
            client.connect((host, int(port)))
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            before = -1
            while written_bytes > before:
                before = written_bytes
                await asyncio.sleep(0.2)
            is_gone = True
    assert 0 < written_bytes < 1 << 20


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"GET / HT"],
        [b"GET / HTTP/1.1\r\nx-a: 1\r\n"],
        [b"\r\n"] * 4,
        [b"GET / HTTP/1.1\r\n", b"a: 1\r\n", b"b: 2\r\n", b"c: 3\r\n"],
        [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nx: "],
        [b"POST / HTTP/1.1\r\ncontent-length: 99\r\n\r\n", b"a", b"b", b"c"],
    ],
    ids=["nothing", "half a line", "no end", "empty lines", "trickle", "second request", "body after the answer"],
)
async def test_headers_that_do_not_come_close_the_connection(pieces: list[bytes]) -> None:
    async with serving(app, QUICK, bind(QUICK, has_keys=True)) as url:
        said = await talk(url, *pieces, pause_s=0.08)
    assert b"408 Request Timeout" in said
    assert b'"code":"request_timeout"' in said


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / HTTP/1.1\r\nx: " + b"y" * 2000 + b"\r\n\r\n"],
        [b"GET /" + b"y" * 2000 + b" HTTP/1.1\r\n\r\n"],
        [b"GET / HTTP/1.1\r\nx: ", *[b"y" * 300] * 4],
        [b"GET / HTTP/1.1\r\n", *[b"abc: 12345\r\n" * 20] * 5],
    ],
    ids=["one header", "the path", "in pieces", "many"],
)
async def test_headers_above_the_limit_are_refused(pieces: list[bytes]) -> None:
    async with serving(app, QUICK, bind(QUICK, has_keys=True)) as url:
        said = await talk(url, *pieces, pause_s=0.01)
    assert b"431 Request Header Fields Too Large" in said
    assert b"1000 bytes" in said


async def test_what_is_not_http_is_refused_in_json() -> None:
    async with serving(app, QUICK, bind(QUICK, has_keys=True)) as url:
        said = await talk(url, b"\x16\x03\x01 hello\r\n\r\n")
    assert b"400 Bad Request" in said
    assert b'"code":"invalid_http"' in said


async def test_a_body_larger_than_the_header_limit_is_no_header() -> None:
    request = b"POST / HTTP/1.1\r\ncontent-length: 9000\r\nconnection: close\r\n\r\n"
    async with serving(app, QUICK, bind(QUICK, has_keys=True)) as url:
        assert b"200 OK" in await talk(url, request + b"x" * 500)


async def test_one_connection_too_many_is_told_so_and_others_go_on() -> None:
    async with serving(app, QUICK, bind(QUICK, has_keys=True)) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert b"503 Service Unavailable" in await talk(url)
        held[0][1].write(b"GET / HTTP/1.1\r\n\r\n")
        assert b"200 OK" in await held[0][0].readline()
        for _, writer in held:
            writer.close()


async def test_tls_is_served_with_the_configured_certificate(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    config = GatewayConfig(port=0, tls_certificate=str(certificate), tls_key=str(key), shutdown_timeout_s=1)
    async with serving(app, config, bind(config, has_keys=True)) as url:
        assert url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(certificate))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b"200 OK" in await reader.read()
        writer.close()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key(), serial_number=1)
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    certificate_path, key_path = folder / "node.pem", folder / "node.key"
    certificate_path.write_bytes(builder.sign(key, SHA256()).public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_path.write_bytes(key.private_bytes(*pem))
    return certificate_path, key_path


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("a.b", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_beyond_loopback_keys_and_tls_are_needed(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    tls = GatewayConfig(host="0.0.0.0", tls_certificate=str(certificate), tls_key=str(key))
    check_bind(tls, has_keys=True)
    check_bind(GatewayConfig(host="127.0.0.1"), has_keys=False)
    check_bind(GatewayConfig(host="0.0.0.0", allow_insecure_bind=True), has_keys=False)
    with pytest.raises(ConfigError, match=r"freehold keys create"):
        check_bind(tls, has_keys=False)
    with pytest.raises(ConfigError, match=r"gateway\.tls_certificate and gateway\.tls_key.*allow_insecure_bind"):
        check_bind(GatewayConfig(host="0.0.0.0"), has_keys=True)
    with pytest.raises(ConfigError, match="no file"):
        check_bind(GatewayConfig(tls_certificate="/nowhere.pem", tls_key="/nowhere.key"), has_keys=True)


def test_a_certificate_that_is_none_or_has_another_key_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    certificate, key = write_certificate(tmp_path / "a")
    _, other_key = write_certificate(tmp_path / "b")
    for pair in ((certificate, other_key), (key, key), (certificate, certificate)):
        config = GatewayConfig(tls_certificate=str(pair[0]), tls_key=str(pair[1]))
        with pytest.raises(ConfigError, match="PEM certificate"):
            check_bind(config, has_keys=True)


def test_a_taken_port_and_a_strange_address_are_explained() -> None:
    taken = bind(GatewayConfig(port=0), has_keys=True)
    taken.listen()
    with pytest.raises(ConfigError, match=r"gateway\.port"):
        bind(GatewayConfig(port=taken.getsockname()[1]), has_keys=True)
    taken.close()
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1"):
        bind(GatewayConfig(host="192.0.2.1", allow_insecure_bind=True), has_keys=True)


def test_the_event_loop_runs() -> None:
    loop = event_loop()
    assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
    loop.close()
