from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import TokenLogprob
from freehold.engine.stops import Piece, StopFilter


def play(stops: list[str], pieces: list[str]) -> tuple[str, list[TokenLogprob], bool]:
    stop_filter = StopFilter(stops)
    out: list[Piece] = []
    for i, piece in enumerate(pieces):
        out.append(stop_filter.receive(piece, TokenLogprob(token=piece, token_bytes=piece.encode(), logprob=-float(i))))
        if stop_filter.stopped:
            break
    else:
        out.append(stop_filter.close())
    return "".join(piece.text for piece in out), [logprob for piece in out for logprob in piece.logprobs], stop_filter.stopped


def test_a_stop_string_over_several_tokens_is_never_sent() -> None:
    stop_filter = StopFilter(["</end>"])
    assert [stop_filter.receive(piece).text for piece in ("hello", " <", "/e", "nd", ">tail")] == ["hello", "", "", "", " "]
    assert stop_filter.stopped


def test_text_that_only_began_like_a_stop_string_is_sent_once_that_is_known() -> None:
    stop_filter = StopFilter(["</end>"])
    assert [stop_filter.receive(piece).text for piece in ("a", "</", "en", "x")] == ["a", "", "", "</enx"]
    assert not stop_filter.stopped


def test_what_is_held_at_the_end_is_released() -> None:
    stop_filter = StopFilter(["</end>"])
    assert stop_filter.receive("a</e").text == ""
    assert stop_filter.close().text == "a</e"


def test_the_first_stop_string_in_the_text_wins() -> None:
    text, _, stopped = play(["late", "early"], ["an early and a late one"])
    assert (text, stopped) == ("an ", True)


def test_overlapping_beginnings_are_held_by_the_longest() -> None:
    stop_filter = StopFilter(["aab"])
    assert [stop_filter.receive(piece).text for piece in ("a", "a", "a", "b")] == ["", "", "a", ""]
    assert stop_filter.stopped


def test_without_stop_strings_text_passes_at_once() -> None:
    assert StopFilter([]).receive("anything").text == "anything"


def test_log_probabilities_wait_for_their_text_and_the_cut_token_is_cut() -> None:
    text, logprobs, stopped = play(["END"], ["one", " two E", "ND more"])
    assert (text, stopped) == ("one two ", True)
    found = [(token.token, token.token_bytes, token.logprob) for token in logprobs]
    assert found == [("one", b"one", 0.0), (" two ", b" two ", -1.0)]


texts = st.text("ab<é", max_size=12)


@settings(max_examples=200)
@given(st.lists(st.text("ab<é", min_size=1, max_size=4), max_size=3), st.lists(texts, max_size=8))
def test_a_stop_string_is_never_sent_and_nothing_else_is_lost(stops: list[str], pieces: list[str]) -> None:
    whole = "".join(pieces)
    text, logprobs, stopped = play(stops, pieces)
    assert stopped == any(stop in whole for stop in stops)
    assert not any(stop in text for stop in stops)
    assert b"".join(token.token_bytes for token in logprobs).decode() == text
    if stopped:
        assert whole.startswith(text)
        assert any(whole.startswith(stop, len(text)) for stop in stops)
    else:
        assert text == whole
