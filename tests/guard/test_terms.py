from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.guard.terms import TermIndex

letters = st.text(alphabet="abA_ #é", max_size=8)
terms = st.sets(
    st.text(alphabet="abA #é", min_size=2, max_size=5).map(str.strip).filter(lambda t: len(t) > 1), min_size=1, max_size=5
)


def found(index: TermIndex, text: str) -> list[tuple[int, int]]:
    spans, at = list[tuple[int, int]](), 0
    while (start := index.next_start(text, at)) is not None:
        end = index.match(text, start)
        if end is None:
            at = start + 1
        else:
            spans.append((start, end))
            at = end
    return spans


def plainly(wanted: set[str], text: str, *, whole_words: bool) -> list[tuple[int, int]]:
    """The same without an index: at every place, every term, longest first."""

    def is_word(at: int) -> bool:
        return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_")

    def fits(at: int, term: str) -> bool:
        end = at + len(term)
        if not text.startswith(term, at):
            return False
        return not whole_words or not ((is_word(at) and is_word(at - 1)) or (is_word(end) and is_word(end - 1)))

    spans, at = list[tuple[int, int]](), 0
    while at < len(text):
        ends = [at + len(term) for term in wanted if fits(at, term)]
        if ends:
            spans.append((at, max(ends)))
        at = max(ends, default=at + 1)
    return spans


@given(terms, letters, st.booleans())
@settings(max_examples=400)
def test_an_index_finds_what_looking_at_every_place_finds(wanted: set[str], text: str, whole_words: bool) -> None:
    index = TermIndex(wanted, whole_words=whole_words)
    expected = plainly(wanted, text, whole_words=whole_words)
    assert found(index, text) == expected
    assert index.may_be_in(text) or not expected


@given(terms, letters, st.booleans())
@settings(max_examples=400)
def test_what_is_not_said_to_go_on_is_decided(wanted: set[str], text: str, whole_words: bool) -> None:
    index = TermIndex(wanted, whole_words=whole_words)
    for start in range(len(text)):
        if not index.may_go_on(text, start):
            ends = {index.match(text + more, start) for more in ("", "a", " b", "#", "éa", "_")}
            assert len(ends) == 1
        if not index.may_be_in(text):
            assert index.next_start(text, 0) is None or index.match(text, start) is None


def test_terms_come_and_go() -> None:
    index = TermIndex()
    assert index.next_start("abc", 0) is None
    index.add("abc")
    index.add("abcd")
    index.add("abc")
    assert (len(index), "abc" in index, index.match("abcd", 0)) == (2, True, 4)
    index.discard("abcd")
    index.discard("nothing")
    assert (index.match("abcd", 0), index.may_go_on("abc", 0)) == (3, False)
    index.discard("abc")
    assert found(index, "abc abcd") == []
