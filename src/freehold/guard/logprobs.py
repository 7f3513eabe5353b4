"""Lets a token's log-probability out with its text, and never without.

A token belongs to the characters its bytes make. Tokens whose bytes are not the text of their channel could say anything: from
the first that differs on, none is sent. Of the likeliest others at its place those are sent that are plain tokens.
"""

from collections import deque
from dataclasses import replace
from typing import NamedTuple

from freehold.core.events import TokenLogprob, is_plain_token


class _Placed(NamedTuple):
    start: int  # characters
    end: int
    entry: TokenLogprob


class LogprobQueue:
    """The tokens of one channel whose text is still held."""

    __slots__ = ("_chars", "_held", "_released", "_text_ahead", "_tokens_ahead", "is_open")

    def __init__(self) -> None:
        self._held: deque[_Placed] = deque()
        self._text_ahead = b""  # text no token has come for
        self._tokens_ahead = b""  # tokens whose text has not come
        self._chars = 0  # characters begun by the tokens so far
        self._released = 0  # characters
        self.is_open = True  # False: none will come any more

    def add(self, text: str, entries: tuple[TokenLogprob, ...]) -> None:
        """Take a delta's text and the tokens that end in it."""
        if not self.is_open:
            return
        if text and not entries and not self._held and self._chars == 0:
            self.is_open = False  # this channel has none
            return
        self._text_ahead += text.encode("utf-8", "surrogatepass")
        for entry in entries:
            self._place(entry if all(map(_is_plain, entry.top)) else replace(entry, top=tuple(filter(_is_plain, entry.top))))
        self._compare()

    def release(self, chars: int, hidden: bool) -> tuple[TokenLogprob, ...]:
        """The tokens that lie in the next `chars` characters; none of those that touch a hidden one."""
        start, self._released = self._released, self._released + chars
        if hidden:
            self._held = deque(p for p in self._held if p.end <= start or p.start >= self._released)
        out = []
        while self._held and self._held[0].end <= self._released:
            out.append(self._held.popleft().entry)
        return tuple(out) if self.is_open else ()

    def _place(self, entry: TokenLogprob) -> None:
        data = entry.token_bytes
        begins_inside = bool(data) and data[0] & 0xC0 == 0x80
        start = self._chars - begins_inside
        self._chars += sum(byte & 0xC0 != 0x80 for byte in data)
        self._tokens_ahead += data
        self._held.append(_Placed(start, self._chars, entry))

    def _compare(self) -> None:
        common = min(len(self._text_ahead), len(self._tokens_ahead))
        if self._text_ahead[:common] != self._tokens_ahead[:common]:
            self.is_open = False
            self._held.clear()
        self._text_ahead, self._tokens_ahead = self._text_ahead[common:], self._tokens_ahead[common:]


def _is_plain(other: tuple[str, bytes, float]) -> bool:
    token, token_bytes, _ = other
    return is_plain_token(token) and is_plain_token(token_bytes.decode("utf-8", "replace"))
