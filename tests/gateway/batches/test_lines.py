import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.batches.lines import LineReader
from tests.gateway.batches.site import CHAT, line

READER = LineReader(BatchesConfig(lines_limit=6), depth=20, body_limit_bytes=2000, output_tokens=100)

ODD_LINES = st.one_of(
    st.binary(max_size=60),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["custom_id", "method", "url", "body", "model", "stream"]), inner, max_size=5)
        ),
        max_leaves=10,
    ).map(lambda document: json.dumps(document).encode()),
    st.integers(0, 9).map(lambda n: line(f"q{n}").encode()),
    st.just(b"[" * 500),
)


@settings(max_examples=60)
@given(ODD_LINES)
def test_whatever_a_line_is_it_is_read_or_refused(raw: bytes) -> None:
    try:
        request = READER.read(raw, CHAT)
    except InvalidRequest:
        return
    assert json.loads(request.body)["model"] == request.model
    assert request.body in raw
    assert request.units > 0


@settings(max_examples=60)
@given(st.lists(ODD_LINES, max_size=5).map(b"\n".join), st.lists(st.integers(1, 50), max_size=8))
def test_where_a_file_is_cut_does_not_matter(content: bytes, sizes: list[int]) -> None:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(content[at : at + size])
        at += size
    pieces.append(content[at:])
    whole = READER.check([content], CHAT, lambda model: model == "scripted-1")
    assert READER.check(pieces, CHAT, lambda model: model == "scripted-1") == whole
    for at, size in whole.places:
        assert READER.read(content[at : at + size], CHAT)


def test_a_body_is_kept_as_the_bytes_it_is() -> None:
    body = '{ "model" : "m",  "messages": [1e2, "\\u00e9"] }'
    raw = f' {{"custom_id": "a", "method": "POST", "url": "{CHAT}", "body": {body}, "more": 1}}'.encode()
    assert READER.read(raw, CHAT).body == body.encode()


def test_a_mark_that_an_editor_left_before_the_first_line_is_passed_over() -> None:
    content = "\ufeff".encode() + line("a").encode() + b"\r\n"
    checked = READER.check([content], CHAT, lambda model: True)
    ((at, size),) = checked.places
    assert checked.errors == ()
    assert READER.read(content[at : at + size], CHAT).custom_id == "a"


def test_what_a_line_may_take_is_what_it_allows_its_answer() -> None:
    def units(**body: Any) -> float:
        return READER.read(line("a", "x" * 160, **body).encode(), CHAT).units

    assert units(max_tokens=50) < units() < units(max_completion_tokens=500)
    assert units(n=3) > 2.5 * units()
    for absurd in (-4, 1e300, "many", True, None):
        assert 100 < units(max_tokens=absurd, n=absurd) < 120
