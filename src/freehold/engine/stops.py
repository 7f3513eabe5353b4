"""Stop strings over the pieces of an answer: nothing of a stop string is ever sent, however it is cut into tokens.

A token whose text could be, or end with, the beginning of a stop string is held back whole until it is known not to be.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from freehold.core.events import TokenLogprob


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Text that may be sent, and the log-probabilities of the tokens that end in it."""

    text: str = field(repr=False)
    logprobs: tuple[TokenLogprob, ...] = field(repr=False, default=())


class StopFilter:
    """One sequence's. After `stopped`, nothing more may be received."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops: Final = tuple(stops)
        self._held: deque[tuple[str, TokenLogprob | None]] = deque()
        self.stopped = False

    def receive(self, text: str, logprob: TokenLogprob | None = None) -> Piece:
        """One token's text, which may be empty."""
        self._held.append((text, logprob))
        if not self._stops:
            return self.close()
        held = "".join(text for text, _ in self._held)
        found = [at for stop in self._stops if (at := held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._cut(min(found))
        return self._whole(len(held) - self._unsure(held))

    def close(self) -> Piece:
        """What was held back, when the answer ends for another reason."""
        return self._whole(sum(len(text) for text, _ in self._held))

    def _unsure(self, held: str) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = 0
        for stop in self._stops:
            for size in range(min(len(stop) - 1, len(held)), longest, -1):
                if held.endswith(stop[:size]):
                    longest = size
                    break
        return longest

    def _whole(self, chars: int) -> Piece:
        """The tokens that lie in the first `chars` of what is held."""
        text: list[str] = []
        logprobs: list[TokenLogprob] = []
        while self._held and len(self._held[0][0]) <= chars:
            token, logprob = self._held.popleft()
            chars -= len(token)
            text.append(token)
            logprobs += [logprob] if logprob is not None else []
        return Piece(text="".join(text), logprobs=tuple(logprobs))

    def _cut(self, chars: int) -> Piece:
        """As above, and of the token in which the stop string begins only the part before it."""
        whole = self._whole(chars)
        rest = chars - len(whole.text)
        if rest == 0:
            return whole
        text, logprob = self._held[0]
        part = text[:rest]
        parts = () if logprob is None else (replace(logprob, token=part, token_bytes=part.encode()),)
        return Piece(text=whole.text + part, logprobs=whole.logprobs + parts)
