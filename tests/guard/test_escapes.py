"""Where a text is full of escapes, what they hide is found as it is where there are few, at a part of the work."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.findings import Action, Mode
from freehold.guard import channel, escapes
from freehold.guard.decodings import decodings
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.examples import sample
from freehold.guard.matcher import Matcher
from freehold.guard.pieces import as_pieces
from freehold.guard.ruling import Hit, Ruling

TOKEN = "ghp_" + sample(36)
RULINGS = [
    Ruling(rule=d.id, category=d.category, confidence=d.confidence, action=Action.MASK, mode=Mode.ENFORCE) for d in DETECTORS
]
MATCHER = Matcher(DETECTORS)


def _unicode(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


PIECES = st.sampled_from(
    [
        *("\\u0041", "%41", "&lt;", "a\u200bb", "\\\\", "\\\\u0041 ", "\\x41,", "%41 ", "A B C D E F G H ", "word ", ", ", "\n"),
        *("phone: ", "%70assword = ", "\\u006bey: ", "Zm9vYmFyZm9vYmFyZm9vYmFyMTIz ", "4111 1111 1111 1111 ", "\\", "{", "}"),
        *(TOKEN, _unicode(TOKEN), quote(_unicode(TOKEN)), "%20".join(TOKEN), f"{_unicode('password')}: hunter2secret9 "),
        *("&#97;da&#64;engines.org ", "ada%40engines.org%20", json.dumps(json.dumps(f'"{TOKEN}"')), TOKEN[::-1] + "%20"),
    ]
)


def _scanned(text: str, many: int, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Hit]]:
    """(what is sent, what was found)."""
    monkeypatch.setattr(escapes, "MANY", many)
    pieces = channel.scan(MATCHER, RULINGS, text)
    return "".join(piece.text for piece in pieces), [piece.hit for piece in pieces if piece.hit is not None]


def _streamed(text: str, chars: int, many: int, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Hit]]:
    monkeypatch.setattr(escapes, "MANY", many)
    stream = channel.TextChannel(MATCHER, RULINGS)
    pieces = [p for at in range(0, len(text), chars) for p in as_pieces(stream.feed(text[at : at + chars]))] + stream.flush()
    stream.close()
    return "".join(piece.text for piece in pieces), [piece.hit for piece in pieces if piece.hit is not None]


@given(st.lists(PIECES, min_size=4, max_size=40).map("".join))
def test_many_escapes_hide_nothing_that_few_do_not(text: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        few = _scanned(text, 10**9, monkeypatch)
        assert _scanned(text, 1, monkeypatch) == few
        for chars in (1, 7, 24):
            assert _streamed(text, chars, 1, monkeypatch) == few


@pytest.mark.parametrize("piece", ["\\u0041 ", "%41,", "&lt; ", "\\\\ ", "\u200b,", "\\\\u0041 ", "&#65;", '"\\u0441",'])
def test_a_text_of_escapes_is_not_decoded_unit_by_unit(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0

    def counting(window: bytes, low: int) -> object:
        nonlocal decoded
        decoded += 1
        return decodings(window, low)

    monkeypatch.setattr(channel, "decodings", counting)
    text = f"{piece * 500} {_unicode(TOKEN)} {piece * 500}"
    hidden = [each for each in channel.scan(MATCHER, RULINGS, text) if each.hidden]
    assert len(hidden) == 1
    assert decoded < 30


def test_what_begins_before_a_unit_hides_no_value_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join("smtp.login('bob@analytical-engine.org', 'muileuvopbjimhkq')")
    _, hits = _scanned(text, 10**9, monkeypatch)
    assert "email" in {hit.ruling.rule for hit in hits}
