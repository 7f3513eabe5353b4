import hashlib
import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from freehold.core.errors import DeviceError, UpstreamUnavailable, VerificationError
from freehold.provenance.download import fetch
from tests.provenance.http_files import Files, serve

CONTENT = hashlib.shake_128(b"wheel").digest(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Notes:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.done: list[int] = []

    def step(self, what: str, total_bytes: int | None) -> None:
        pass

    def advance(self, done_bytes: int) -> None:
        self.done.append(done_bytes)

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def files() -> Iterator[Files]:
    with serve(Files(content={"/w.whl": CONTENT})) as files:
        yield files


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def get(files: Files, target: Path, notes: Notes | None = None, *, url: str = "/w.whl", limit_bytes: int = 1 << 20) -> None:
    fetch(
        lambda: files.url + url, target, sha256=SHA256, limit_bytes=limit_bytes, progress=notes or Notes(), sleep=lambda _: None
    )


def test_a_file_arrives_whole_and_leaves_no_part(files: Files, tmp_path: Path) -> None:
    notes = Notes()
    get(files, tmp_path / "w.whl", notes)
    assert (tmp_path / "w.whl").read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [tmp_path / "w.whl"]
    assert notes.done[-1] == len(CONTENT)


def test_one_that_is_there_and_right_needs_no_address(tmp_path: Path) -> None:
    (tmp_path / "w.whl").write_bytes(CONTENT)

    def no_address() -> str:
        raise AssertionError("asked for an address")

    fetch(no_address, tmp_path / "w.whl", sha256=SHA256, limit_bytes=1, progress=Notes())


def test_an_earlier_try_is_resumed(files: Files, tmp_path: Path) -> None:
    (tmp_path / "w.whl.part").write_bytes(CONTENT[:123_456])
    get(files, tmp_path / "w.whl")
    assert files.requested == ["bytes=123456-"]
    assert (tmp_path / "w.whl").read_bytes() == CONTENT


def test_a_part_that_was_complete_already_is_taken(files: Files, tmp_path: Path) -> None:
    (tmp_path / "w.whl.part").write_bytes(CONTENT)
    get(files, tmp_path / "w.whl")
    assert (tmp_path / "w.whl").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(files: Files, tmp_path: Path) -> None:
    files.honours_range = False
    for part in (CONTENT[:1000], b"?" * 2 * len(CONTENT)):
        (tmp_path / "w.whl").unlink(missing_ok=True)
        (tmp_path / "w.whl.part").write_bytes(part)
        notes = Notes()
        get(files, tmp_path / "w.whl", notes)
        assert (tmp_path / "w.whl").read_bytes() == CONTENT
        assert notes.texts == []


def test_a_connection_that_breaks_again_and_again_ends_right(files: Files, tmp_path: Path) -> None:
    files.cut_after = [100_000] * 6
    notes = Notes()
    get(files, tmp_path / "w.whl", notes)
    assert (tmp_path / "w.whl").read_bytes() == CONTENT
    assert len(files.requested) == 7
    assert len(notes.texts) == 6


def test_a_server_that_is_busy_is_asked_again(files: Files, tmp_path: Path) -> None:
    files.answers = [503, 429]
    get(files, tmp_path / "w.whl")
    assert (tmp_path / "w.whl").read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [b"!" + CONTENT[1:5000], CONTENT + b"more", b"!" * len(CONTENT)])
def test_a_damaged_part_is_thrown_away_with_a_word(files: Files, tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "w.whl.part").write_bytes(damaged)
    notes = Notes()
    get(files, tmp_path / "w.whl", notes)
    assert (tmp_path / "w.whl").read_bytes() == CONTENT
    assert any("damaged" in text for text in notes.texts)


def test_a_damaged_file_is_thrown_away_with_a_word(files: Files, tmp_path: Path) -> None:
    (tmp_path / "w.whl").write_bytes(b"?")
    notes = Notes()
    get(files, tmp_path / "w.whl", notes)
    assert (tmp_path / "w.whl").read_bytes() == CONTENT
    assert any("thrown away" in text for text in notes.texts)


def test_another_file_than_the_pinned_one_is_never_put_in_place(files: Files, tmp_path: Path) -> None:
    files.content["/w.whl"] = CONTENT[:-1] + b"?"
    with pytest.raises(VerificationError, match=SHA256):
        get(files, tmp_path / "w.whl")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_stops_sending_is_stopped(files: Files, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="larger than the 1000 bytes"):
        get(files, tmp_path / "w.whl", limit_bytes=1000)
    assert (tmp_path / "w.whl.part").stat().st_size == 0


def test_no_network_says_what_to_do_and_keeps_what_there_is(files: Files, tmp_path: Path) -> None:
    (tmp_path / "w.whl.part").write_bytes(CONTENT[:5000])
    files.answers = [500] * 10
    with pytest.raises(UpstreamUnavailable, match="5000 bytes are kept: run the same command again"):
        get(files, tmp_path / "w.whl")
    assert (tmp_path / "w.whl.part").read_bytes() == CONTENT[:5000]


def test_a_refusal_is_not_tried_again_and_shows_no_password(files: Files, tmp_path: Path) -> None:
    files.answers = [403]
    files.url = files.url.replace("127.0.0.1", "user:secret@127.0.0.1")
    with pytest.raises(UpstreamUnavailable) as caught:
        fetch(lambda: files.url.replace("user:secret@", ""), tmp_path / "w", sha256=SHA256, limit_bytes=9, progress=Notes())
    assert "403" in caught.value.message
    with pytest.raises(UpstreamUnavailable) as caught:
        get(files, tmp_path / "w.whl")
    assert "secret" not in caught.value.message


def test_a_local_index_is_as_good_as_any(tmp_path: Path) -> None:
    (tmp_path / "served").write_bytes(CONTENT)
    url = (tmp_path / "served").as_uri()
    (tmp_path / "w.whl.part").write_bytes(CONTENT[:10])
    fetch(lambda: url, tmp_path / "w.whl", sha256=SHA256, limit_bytes=1 << 20, progress=Notes())
    assert (tmp_path / "w.whl").read_bytes() == CONTENT


def test_only_known_kinds_of_address_are_opened(tmp_path: Path) -> None:
    with pytest.raises(UpstreamUnavailable, match="'ftp'"):
        fetch(lambda: "ftp://127.0.0.1/x", tmp_path / "w", sha256=SHA256, limit_bytes=9, progress=Notes())


def test_a_full_disk_says_so_and_keeps_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "served").write_bytes(CONTENT)
    script = f"""
import resource, signal
from pathlib import Path
from freehold.core.errors import DeviceError
from freehold.provenance.download import fetch
from freehold.provenance.progress import Silent
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    fetch(lambda: {(tmp_path / "served").as_uri()!r}, Path({str(tmp_path / "w.whl")!r}), sha256={SHA256!r}, limit_bytes=1 << 20,
          progress=Silent())
except DeviceError as exc:
    print(exc.message)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "no space left" in said
    assert (tmp_path / "w.whl.part").read_bytes() == CONTENT[:300_000]


def test_a_directory_that_cannot_be_written_is_a_device_error(files: Files, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DeviceError, match="cannot write"):
        get(files, tmp_path / "file" / "w.whl")


def self_signed() -> bytes:
    """A fresh key and a certificate for 127.0.0.1, as PEM."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, None)
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(pem)


@pytest.fixture
def https_url(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate only `authority.pem` knows."""
    authority = tmp_path / "authority.pem"
    authority.write_bytes(self_signed())
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "w.whl").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(tmp_path / "www"), **kwargs)  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/w.whl"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pips_certificate_authority_is_honoured(https_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "authority.pem"))
    fetch(lambda: https_url, tmp_path / "w.whl", sha256=SHA256, limit_bytes=1 << 20, progress=Notes())
    assert (tmp_path / "w.whl").read_bytes() == CONTENT


def test_an_unknown_certificate_is_refused_with_advice(https_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UpstreamUnavailable, match="PIP_CERT"):
        fetch(lambda: https_url, tmp_path / "w.whl", sha256=SHA256, limit_bytes=1 << 20, progress=Notes())
