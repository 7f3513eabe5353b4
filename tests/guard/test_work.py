"""What the guard does for a text grows with its length, whatever the text: counted in bytes searched, not in seconds."""

import base64
from collections.abc import Iterable

import pytest

from freehold.core.findings import Action, Mode
from freehold.guard.channel import SLICE_CHARS, TextChannel, scan, scan_slices
from freehold.guard.decodings import decodings
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.examples import sample
from freehold.guard.escapes import hidden_stretches
from freehold.guard.matcher import Engine, Flag, Match, Matcher, Wanted
from freehold.guard.pieces import Piece, as_pieces
from freehold.guard.ruling import Ruling
from tests.guard.playing import ENGINES

TOKEN = "ghp_" + sample(36)
RULINGS = [
    Ruling(rule=d.id, category=d.category, confidence=d.confidence, action=Action.MASK, mode=Mode.ENFORCE) for d in DETECTORS
]
CHARS = 12_000


class CountingMatcher(Matcher):
    searched_bytes = 0

    def find(self, window: bytes, low: int, detectors: Iterable[int] | None = None, high: int | None = None) -> list[Match]:
        kinds = None if detectors is None else list(detectors)
        self.searched_bytes += len(window) * (1 if kinds is None else len(kinds))
        return super().find(window, low, kinds, high)


MATCHERS: dict[Engine, CountingMatcher] = {engine: CountingMatcher(DETECTORS, engine) for engine in ENGINES}


def work(engine: Engine, text: str, cut_chars: int) -> int:
    matcher = MATCHERS[engine]
    matcher.searched_bytes = 0
    channel = TextChannel(matcher, RULINGS)
    for at in range(0, len(text), cut_chars):
        channel.feed(text[at : at + cut_chars])
    channel.flush()
    channel.close()
    return matcher.searched_bytes


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cut_chars", [997, 10**6])
@pytest.mark.parametrize(
    "piece",
    [
        'password = "',
        "password=secret user=",
        "token: ",
        "-----BEGIN ",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "eyJ",
        "AKIA",
        "%41",
        "&#65;",
        "\\u0041",
        "a b c d ",
        "12 34 ",
        "Zm9vYmFy",
        "aB3+",
        "data:\n  a: Zm9vYmFy\n",
        "https://a:b@",
        "x" * 19 + " ",
        "[" * 7,
    ],
)
def test_twice_the_text_is_twice_the_work(piece: str, cut_chars: int, engine: Engine) -> None:
    text = piece * (CHARS // len(piece))
    once, twice = work(engine, text, cut_chars), work(engine, text * 2, cut_chars)
    assert twice <= 2.3 * once + 20_000


@pytest.mark.parametrize("piece", ["\\", "\u200b", "%41"])
def test_a_run_of_escapes_is_not_read_again_with_every_delta(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counting(matcher: Matcher, wanted: Wanted, data: bytes, origin: int) -> list[Flag]:
        read.append(len(data))
        return hidden_stretches(matcher, wanted, data, origin)

    monkeypatch.setattr("freehold.guard.channel.hidden_stretches", counting)
    work("hyperscan", piece * (CHARS // len(piece)), 16)
    assert 0 < sum(read) < 2 * CHARS


def test_what_an_escape_may_be_before_is_not_decoded_unit_by_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []

    def counting(window: bytes, low: int) -> object:
        judged.append(low)
        return decodings(window, low)

    monkeypatch.setattr("freehold.guard.channel.decodings", counting)
    work("hyperscan", "%41 word " * (CHARS // 9), 24)
    assert len(judged) < 40


@pytest.mark.parametrize("tail", ["", TOKEN, 'password = "open', "\\"])
def test_a_text_in_slices_comes_to_what_it_comes_to_whole(tail: str) -> None:
    text = ("word " * 7000 + f"use {TOKEN} and " + "QUJD" * 9000 + " é ") * 2 + TOKEN[:9] + "\n" + tail
    assert len(text) > 2 * SLICE_CHARS
    matcher = MATCHERS["hyperscan"]
    sliced = [piece for pieces in scan_slices(matcher, RULINGS, text) for piece in pieces]
    assert _result(sliced) == _result(as_pieces(scan(matcher, RULINGS, text)))
    assert TOKEN not in _result(sliced)[0]


def _result(pieces: list[Piece]) -> tuple[str, list[object]]:
    return "".join(piece.text for piece in pieces), [piece.hit for piece in pieces if piece.hit is not None]


def test_what_is_encoded_beyond_the_first_slice_of_a_whole_text_is_decoded() -> None:
    encoded = base64.b64encode(f"token {TOKEN} of it".encode()).decode()
    pieces = scan(MATCHERS[ENGINES[0]], RULINGS, "word " * (SLICE_CHARS // 4) + encoded + " end")
    assert "github-token" in {piece.hit.ruling.rule for piece in pieces if piece.hit is not None}
    assert encoded not in "".join(piece.text for piece in pieces)
