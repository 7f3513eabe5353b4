import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import ClientError, InvalidRequest, RequestTooLarge
from freehold.gateway.batches.upload import Form, read_form
from freehold.gateway.body import ClientLeft

BOUNDARY = b"a-boundary"
KIND = b"multipart/form-data; boundary=" + BOUNDARY


class Kept:
    """Implements `Upload`, in memory."""

    def __init__(self) -> None:
        self.data = b""

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self, **facts: object) -> object:
        raise AssertionError("not asked here")

    def abort(self) -> None:
        pass


def form(content: bytes, *, filename: bytes = b"lines.jsonl", name: bytes = b"file", purpose: bytes = b"batch") -> bytes:
    return (
        b"--%b\r\ncontent-disposition: form-data; name=purpose\r\n\r\n%b\r\n" % (BOUNDARY, purpose)
        + b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n' % (BOUNDARY, name, filename)
        + b"content-type: application/octet-stream\r\n\r\n%b\r\n--%b--\r\n" % (content, BOUNDARY)
    )


async def read(pieces: list[bytes], kind: bytes = KIND, limit_bytes: int = 10_000) -> tuple[Form, bytes]:
    left = list(pieces)

    async def receive() -> dict[str, object]:
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    kept = Kept()
    got = await read_form(receive, kind, kept, limit_bytes=limit_bytes, patience_s=5)  # type: ignore[arg-type]
    return got, kept.data


def cut(whole: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(whole[at : at + size])
        at += size
    return [*pieces, whole[at:]]


@settings(max_examples=60)
@given(st.binary(max_size=300).filter(lambda data: BOUNDARY not in data), st.lists(st.integers(1, 80), max_size=8))
async def test_a_file_comes_through_whole_however_it_is_cut(content: bytes, sizes: list[int]) -> None:
    got, data = await read(cut(form(content), sizes))
    assert data == content
    assert (got.filename, got.fields) == ("lines.jsonl", {"purpose": "batch"})


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(0, 300), st.binary(max_size=40))
async def test_whatever_comes_is_read_or_refused(noise: bytes, at: int, kind: bytes) -> None:
    whole = form(b"content")
    for pieces, type_ in (([whole[:at] + noise + whole[at:]], KIND), ([noise], KIND), ([whole[:at]], KIND), ([whole], kind)):
        try:
            await read(pieces, type_)
        except ClientError:
            continue


async def test_what_is_wrong_with_a_form_is_told() -> None:
    with pytest.raises(InvalidRequest, match="no whole field 'file'"):
        await read([form(b"x", name=b"other")])
    with pytest.raises(InvalidRequest, match="no whole field 'file'"):
        await read([form(b"x")[:-6]])
    with pytest.raises(InvalidRequest, match="multipart/form-data"):
        await read([form(b"x")], b"application/json")
    with pytest.raises(InvalidRequest, match="more than 4096 bytes"):
        await read([form(b"x", purpose=b"p" * 5000)])
    with pytest.raises(RequestTooLarge, match="100 bytes"):
        await read([form(b"x" * 101)], limit_bytes=100)
    with pytest.raises(RequestTooLarge):
        await read([form(b"x"), *[b"\r\n" * 40_000] * 3], limit_bytes=100)
    with pytest.raises(ClientLeft):
        await read([])


async def test_a_name_is_no_path() -> None:
    names = {b"../../etc/passwd": "passwd", b"C:\\\\x\\\\y.jsonl": "y.jsonl", b"": "file", b"a\x1b[2Jb": "a[2Jb"}
    for given_name, shown in names.items():
        got, _ = await read([form(b"x", filename=given_name)])
        assert got.filename == shown
