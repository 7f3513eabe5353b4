import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.events import Event, PromptText
from freehold.core.findings import Channel, Context, Direction
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.channel import scan
from freehold.guard.clean import SHORT_CHARS, Clean
from freehold.guard.detectors.examples import sample
from freehold.guard.matcher import Matcher
from freehold.guard.pieces import Piece
from freehold.guard.policy_file import PolicySource
from freehold.guard.ruling import Rulings
from freehold.guard.seal import Seal

PLAIN = "The museum is open on Mondays, and closed on all other days."
KEY = f"my key is AKIA{'QZ3MR7XKD2VWTN5B'} and the rest of it is {sample(20)}."
MUSEUMS = """
[[detectors]]
id = "museums"
category = "places"
pattern = "Mondays"
must_match = ["open on Mondays"]
must_not_match = ["open on Sundays"]
"""
RULES: tuple[Rulings, ...] = ((None,), (None, None))


def says(guard: StreamGuard, *texts: str, key_id: str = "key_1", channel: Channel = Channel.USER) -> list[Event]:
    stage = guard.open(Context(key_id=key_id)).stage(Direction.REQUEST)
    events = [PromptText(leaf=at, channel=channel, text=text) for at, text in enumerate(texts)]
    return [*(out for event in events for out in stage.receive(event)), *stage.close()]


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters each scan of a whole text had."""
    seen: list[int] = []

    def counting(matcher: Matcher, rulings: Rulings, text: str, seal: Seal) -> list[Piece]:
        seen.append(len(text))
        return scan(matcher, rulings, text, seal)

    monkeypatch.setattr("freehold.guard.redactor.scan", counting)
    return seen


def test_a_clean_text_of_the_same_key_is_scanned_once(scans: list[int]) -> None:
    guard = StreamGuard(GuardConfig(engine="re2"))
    first = says(guard, PLAIN)
    assert says(guard, PLAIN) == first
    assert len(scans) == 1
    says(guard, PLAIN, key_id="key_2")
    assert len(scans) == 2


def test_a_text_with_a_finding_is_found_each_time() -> None:
    guard = StreamGuard(GuardConfig(engine="re2"))
    first = says(guard, PLAIN, KEY)
    assert len(first) > 2
    assert says(guard, PLAIN, KEY) == says(guard, PLAIN, KEY) == first


def test_what_is_clean_under_one_policy_is_asked_anew_under_the_next() -> None:
    guard = StreamGuard(GuardConfig(engine="re2"))
    says(guard, PLAIN)
    guard.adopt(guard.prepare(PolicySource(name="policy.toml", text=MUSEUMS)))
    assert any("[REDACTED" in event.text for event in says(guard, PLAIN) if isinstance(event, PromptText))


def test_nobody_s_texts_are_kept_and_none_of_an_answer(scans: list[int]) -> None:
    guard = StreamGuard(GuardConfig(engine="re2"))
    for _ in range(2):
        says(guard, PLAIN, key_id="")
        stage = guard.open(Context(key_id="key_1")).stage(Direction.RESPONSE)
        stage.receive(PromptText(leaf=0, channel=Channel.OTHER, text=PLAIN))
    assert len(scans) == 4


@given(st.text(min_size=SHORT_CHARS), st.text())
def test_place_rulings_and_key_are_part_of_it(text: str, before: str) -> None:
    clean = Clean()
    places = [(text, before, rulings, key) for rulings in RULES for key in ("a", "b")]
    places += [(text, before + "x", RULES[0], "a"), (text + "x", before, RULES[0], "a"), (before + text, "", RULES[1], "b")]
    digests = {clean.digest(*place) for place in places}
    assert len(digests) == len(places) - (not before)
    assert clean.digest(*places[0]) in digests


def test_the_oldest_are_forgotten_unless_they_come_again() -> None:
    clean = Clean(limit=3)
    digests = [clean.digest(f"{PLAIN} {number}", "", RULES[0], "a") or b"" for number in range(12)]
    for digest in digests:
        clean.add(digest)
        assert clean.has(digests[0])
    assert not clean.has(digests[1])
    assert clean.has(digests[11])
    assert PLAIN not in repr(vars(clean))


def test_a_short_text_is_not_kept() -> None:
    assert Clean().digest("x" * (SHORT_CHARS - 1), "", RULES[0], "a") is None
