from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken
from freehold.gateway.sse import SseEvent, SseParser, frame

LIMIT_BYTES = 1000

STREAM_PIECES = st.sampled_from(
    [
        b"data: one",
        b"data:two",
        b"data",
        b"event: ping",
        b": comment",
        b"id: 7",
        b"nonsense",
        b"",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
    ]
)


def parse(*pieces: bytes) -> list[SseEvent]:
    parser = SseParser(limit_bytes=LIMIT_BYTES)
    return [event for piece in pieces for event in parser.feed(piece)]


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[start:end] for start, end in pairwise(edges)]


@settings(max_examples=150)
@given(st.lists(STREAM_PIECES, max_size=15).map(b"".join), st.lists(st.integers(0, 500), max_size=8))
def test_where_the_stream_is_cut_does_not_matter(whole: bytes, places: list[int]) -> None:
    assert parse(*cut(whole, places)) == parse(whole)


@settings(max_examples=100)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_any_bytes_cut_anywhere_give_the_same_events(whole: bytes, places: list[int]) -> None:
    assert parse(*cut(whole, places)) == parse(whole)


@given(st.lists(st.binary(max_size=30).filter(lambda data: not set(data) & set(b"\r\n")), max_size=5))
def test_what_was_framed_is_read_back(payloads: list[bytes]) -> None:
    for name in (b"", b"message"):
        events = [(data, name) for data in payloads]
        assert parse(b"".join(map(frame, events))) == events


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_of_the_grammar_ends_a_line(end: bytes) -> None:
    whole = end.join([b"event: delta", b"data: one", b"data: two", b"", b"data: three", b"", b""])
    assert parse(whole + b"data: never ended") == [(b"one\ntwo", b"delta"), (b"three", b"")]


def test_a_byte_order_mark_comments_and_unknown_fields_are_skipped() -> None:
    assert parse(b"\xef\xbb", b"\xbf: hello\nretry: 5\nid: 1\nfoo\ndata: x\n\n") == [(b"x", b"")]


def test_an_event_without_data_is_none() -> None:
    assert parse(b"event: ping\n\ndata: x\n\n") == [(b"x", b"")]


def test_an_event_the_stream_ends_within_is_dropped() -> None:
    assert parse(b"data: x\n\ndata: y\n") == [(b"x", b"")]


def test_a_line_above_the_limit_is_refused_while_it_arrives() -> None:
    with pytest.raises(UpstreamBroken, match="1000 bytes"):
        parse(b"data: ", *[b"x" * 100] * 11)


def test_many_small_lines_of_one_event_count_together() -> None:
    with pytest.raises(UpstreamBroken):
        parse(*[b"data: 0123456789\n"] * 101)


def test_events_within_the_limit_do_not_add_up() -> None:
    assert len(parse(*[b"data: 0123456789\n\n"] * 500)) == 500
