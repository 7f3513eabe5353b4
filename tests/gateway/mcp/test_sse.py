from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken
from freehold.gateway.mcp.sse import EventReader, ServerEvent, frame

STREAM = (
    b"\xef\xbb\xbf: hello\r\nid: 1-2\rretry: 50\ndata: {\ndata:}\n\nevent: message\ndata\n\nid: bad id\ndata: x\r\n\r\ndata: lost"
)
EVENTS = [ServerEvent(data=b"{\n}", id="1-2", retry_ms=50), ServerEvent(data=b""), ServerEvent(data=b"x")]


@given(st.lists(st.integers(0, len(STREAM))))
def test_where_the_stream_is_cut_does_not_matter(cuts: list[int]) -> None:
    edges = sorted({0, *cuts, len(STREAM)})
    reader = EventReader(1000)
    pieces = [STREAM[start:end] for start, end in pairwise(edges)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS


@given(st.lists(st.binary(max_size=50)))
def test_any_bytes_are_events_or_our_own_error(pieces: list[bytes]) -> None:
    reader = EventReader(60)
    try:
        for piece in pieces:
            reader.feed(piece)
    except UpstreamBroken:
        pass


@pytest.mark.parametrize("line", [b"x", b"data: x\n"])
def test_an_event_above_the_limit_is_refused_while_it_comes(line: bytes) -> None:
    reader = EventReader(1000)
    with pytest.raises(UpstreamBroken, match="larger than 1000 bytes"):
        list(map(reader.feed, [line] * 2000))


def test_what_is_framed_reads_as_it_was() -> None:
    event = ServerEvent(data=b'{"a":1}', id="7", retry_ms=3)
    assert EventReader(1000).feed(frame(event.data, event)) == [event]
    assert frame(b"{}", ServerEvent(data=b"")) == b"event: message\ndata: {}\n\n"
