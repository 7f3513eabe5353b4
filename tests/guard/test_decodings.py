from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.decodings import BUDGET_BYTES, DEPTH, decodings, may_be_encoded, span
from freehold.guard.fold import fold

TEXT = b"the token is hunter2-and-more"


@pytest.mark.parametrize(
    "written",
    [
        "".join(f"%{b:02X}" for b in TEXT).encode(),
        "".join(f"&#{b};" for b in TEXT).encode(),
        b64encode(TEXT),
        TEXT.hex().encode(),
        b64encode(TEXT.hex().encode()),
        b"AAAAAAAAAAAAAAAAAAAAAAAA " + TEXT[::-1],
    ],
)
def test_a_view_says_what_was_hidden_and_where(written: bytes) -> None:
    views = [view for view in decodings(written, 0) if TEXT in view.data]
    assert views
    at = views[0].data.index(TEXT)
    start, end = span(views[0], at, at + len(TEXT))
    assert 0 <= start < end <= len(written)
    assert end - start >= min(len(TEXT), len(written))


def test_invisible_characters_are_left_out() -> None:
    (view, *_) = decodings(fold("pass\u200bword"), 0)
    assert view.data == b"password"
    assert span(view, 3, 5) == (3, 6)


def test_context_is_only_unescaped() -> None:
    window = b64encode(TEXT) + b" x"
    assert list(decodings(window, len(window) - 1)) == [] or all(
        view.data[:4] != b"the " for view in decodings(window, len(window) - 1)
    )


@given(st.binary(max_size=300).map(lambda data: fold(data.decode("latin-1") + " ")))
def test_any_garbage_gives_views_whose_spans_lie_in_it(window: bytes) -> None:
    for view in decodings(window, 0):
        assert view.place(0)[0] >= 0
        start, end = span(view, 0, len(view.data))
        assert 0 <= start < end <= len(window)


def test_the_work_is_bounded() -> None:
    window = b64encode(b64encode(b"%41" * 20_000))
    assert sum(len(view.data) for view in decodings(window, 0)) <= BUDGET_BYTES
    assert DEPTH == 2


@pytest.mark.parametrize(
    "name", ["ArgumentDefaultsHelpFormatter", "get_positional_keywords", "MAX_OPEN_FILES_A_PROCESS", "x = getElementsByTagName"]
)
def test_a_long_name_is_not_decoded(name: str) -> None:
    assert not may_be_encoded(name.encode(), len(name))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=40, max_size=80))
def test_base64_is(text: str) -> None:
    run = b64encode(text.encode() + b"7").rstrip(b"=")
    assert may_be_encoded(run, len(run)) or not any(48 <= byte <= 57 for byte in run)
