from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.findings import Channel, Context, Direction
from freehold.guard import GuardConfig
from freehold.guard.channel import TextChannel, scan
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.examples import sample
from freehold.guard.matcher import Matcher
from freehold.guard.pieces import Piece, as_pieces
from freehold.guard.policy import Policy
from freehold.guard.policy_file import PolicyFile

MATCHER = Matcher(DETECTORS)
RULINGS = Policy(GuardConfig(), PolicyFile(), DETECTORS, MATCHER.digest).table(Context(), Direction.RESPONSE).of(Channel.TEXT)
TOKEN = "ghp_" + sample(36)


def fed(*pieces: str) -> list[Piece]:
    channel = TextChannel(MATCHER, RULINGS)
    out = [piece for text in pieces for piece in as_pieces(channel.feed(text))] + channel.flush()
    channel.close()
    return out


def test_clean_text_comes_back_as_text_and_the_open_word_stays() -> None:
    channel = TextChannel(MATCHER, RULINGS)
    assert channel.feed("good morn") == "good "
    assert channel.feed("ing") == ""
    assert channel.flush() == [Piece("morning", 7)]


def test_a_backslash_waits_for_what_it_escapes_and_is_sent_alone_at_the_end() -> None:
    channel = TextChannel(MATCHER, RULINGS)
    assert channel.feed("so \\") == "so "
    assert channel.flush() == [Piece("\\", 1)]


def test_a_clean_text_known_whole_is_one_piece() -> None:
    assert scan(MATCHER, RULINGS, "nothing here") == [Piece("nothing here", 12)]


@given(st.lists(st.sampled_from([TOKEN, "word ", "\n", "\\", "é ", "a@b.org ", "x" * 700, "12 34 ", "b" * 70_000]), max_size=6))
@settings(max_examples=60)
def test_a_text_known_whole_comes_to_what_it_comes_to_in_a_stream(texts: list[str]) -> None:
    whole, streamed = scan(MATCHER, RULINGS, "".join(texts)), fed(*texts)
    assert "".join(p.text for p in whole) == "".join(p.text for p in streamed)
    assert [p.hit for p in whole if p.hit] == [p.hit for p in streamed if p.hit]
    assert sum(p.chars for p in whole) == sum(p.chars for p in streamed)
