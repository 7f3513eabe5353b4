"""What a channel gives out: pieces of its text, masks in the place of what policy hides, and what was found."""

from typing import NamedTuple

from freehold.guard.ruling import Hit, Ruling


class Piece(NamedTuple):
    """`text` may be sent; it stands for `chars` characters of the original, and is not them where `hidden`."""

    text: str
    chars: int
    hit: Hit | None = None
    hidden: bool = False


def as_pieces(taken: str | list[Piece]) -> list[Piece]:
    return [Piece(taken, len(taken))] if isinstance(taken, str) else taken


class Output:
    """Cuts pieces out of the held text. Takes indices in folded data, where `held_from` is the held text's start."""

    __slots__ = ("_held_from", "_origin", "_pieces", "_text")

    def __init__(self, pieces: list[Piece], text: str, held_from: int, origin: int) -> None:
        self._pieces, self._text, self._held_from, self._origin = pieces, text, held_from, origin

    def clean(self, start: int, stop: int) -> None:
        if stop > start:
            self._pieces.append(Piece(self._text[start - self._held_from : stop - self._held_from], stop - start))

    def hit(self, hit: Hit) -> None:
        self.open(hit)
        self.found(Hit(self._origin + hit.start, self._origin + hit.end, hit.ruling))

    def open(self, hit: Hit) -> None:
        """What stands for the value, or the value itself where policy leaves it."""
        if hit.ruling.hides:
            self._pieces.append(Piece(hit.ruling.mask, hit.end - hit.start, None, True))
        else:
            self.clean(hit.start, hit.end)

    def swallowed(self, start: int, stop: int, ruling: Ruling) -> None:
        if not ruling.hides:
            self.clean(start, stop)
        elif stop > start:
            self._pieces.append(Piece("", stop - start, None, True))

    def found(self, hit: Hit) -> None:
        """`hit` counts from the start of the channel."""
        self._pieces.append(Piece("", 0, hit))
