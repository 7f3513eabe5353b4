"""What a channel gives out: pieces of its text, masks in the place of what policy hides, and what was found."""

from collections.abc import Iterable
from typing import NamedTuple

from freehold.guard.ruling import Hit, Ruling
from freehold.guard.seal import UNSEALED, Digest, Seal


class Piece(NamedTuple):
    """`text` may be sent; it stands for `chars` characters of the original, and is not them where `hidden`."""

    text: str
    chars: int
    hit: Hit | None = None
    hidden: bool = False


def as_pieces(taken: str | list[Piece]) -> list[Piece]:
    return [Piece(taken, len(taken))] if isinstance(taken, str) else taken


def inner(pieces: Iterable[Piece], start: int, chars: int) -> list[Piece]:
    """Of a text's pieces, those of its `chars` characters from `start` on, as if they were all there is."""
    cut: list[Piece] = []
    at = -start
    for piece in pieces:
        if piece.hit is not None:
            first, last = max(0, piece.hit.start - start), min(chars, piece.hit.end - start)
            if first < last:
                cut.append(piece._replace(hit=piece.hit._replace(start=first, end=last)))
            continue
        first, last = max(at, 0), min(at + piece.chars, chars)
        if first < last:
            text = piece.text if piece.hidden else piece.text[first - at : last - at]
            cut.append(piece._replace(text=text, chars=last - first))
        at += piece.chars
    return cut


class Output:
    """Cuts pieces out of the held text. Takes indices in folded data, where `held_from` is the held text's start."""

    __slots__ = ("_held_from", "_origin", "_pieces", "_seal", "_text")

    def __init__(self, pieces: list[Piece], text: str, held_from: int, origin: int, seal: Seal = UNSEALED) -> None:
        self._pieces, self._text, self._held_from, self._origin = pieces, text, held_from, origin
        self._seal = seal

    def clean(self, start: int, stop: int) -> None:
        if stop > start:
            self._pieces.append(Piece(self._said(start, stop), stop - start))

    def hit(self, hit: Hit) -> None:
        """What stands for the value, or the value itself where policy leaves it, and what was found."""
        value = self._said(hit.start, hit.end)
        if self._seal.is_own_token(value):
            self.clean(hit.start, hit.end)
            return
        if hit.ruling.hides:
            self._pieces.append(Piece(self._seal.stand_in(hit.ruling, value), hit.end - hit.start, None, True))
        else:
            self.clean(hit.start, hit.end)
        self.found(Hit(self._origin + hit.start, self._origin + hit.end, hit.ruling, self._seal.digest(value)))

    def open(self, hit: Hit) -> Digest:
        """The beginning of a value that goes on: a token would have to wait for its end, so it is masked."""
        if hit.ruling.hides:
            self._pieces.append(Piece(hit.ruling.mask, hit.end - hit.start, None, True))
        else:
            self.clean(hit.start, hit.end)
        return self._seal.begin(self._said(hit.start, hit.end))

    def swallowed(self, start: int, stop: int, ruling: Ruling, digest: Digest) -> None:
        self._seal.go_on(digest, self._said(start, stop))
        if not ruling.hides:
            self.clean(start, stop)
        elif stop > start:
            self._pieces.append(Piece("", stop - start, None, True))

    def found(self, hit: Hit) -> None:
        """`hit` counts from the start of the channel."""
        self._pieces.append(Piece("", 0, hit))

    def _said(self, start: int, stop: int) -> str:
        return self._text[start - self._held_from : stop - self._held_from]
