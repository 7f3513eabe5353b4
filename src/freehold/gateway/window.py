"""How much was spent in the last so many seconds, exactly: every span of that length is within the limit, wherever it begins.

A token bucket of the same rate would let twice the limit through around a refill.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Spent:
    """One amount, which may still be corrected."""

    at_s: float
    amount: int
    counts: bool = True


class SlidingWindow:
    """Told the time, never asks for it. Holds one entry for each amount of the span."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._entries: deque[Spent] = deque()
        self._total = 0

    def wait_s(self, amount: int, limit: int, now_s: float) -> float:
        """How long until `amount` fits under `limit`; 0 is now. More than the whole limit fits into an empty window."""
        since_s = self._forget(now_s)
        too_much = self._total + min(amount, limit) - limit
        wait_s = 0.0
        for entry in self._entries:
            if too_much <= 0:
                break
            too_much -= entry.amount
            wait_s = entry.at_s - since_s
        return wait_s

    def spend(self, amount: int, now_s: float) -> Spent:
        entry = Spent(now_s, amount)
        self._entries.append(entry)
        self._total += amount
        return entry

    def correct(self, entry: Spent, amount: int) -> None:
        """Say what was really spent; what is older than the span does not matter any more."""
        if entry.counts:
            self._total += amount - entry.amount
            entry.amount = amount

    def _forget(self, now_s: float) -> float:
        """Drop what is older than the span; gives where it begins."""
        since_s = now_s - self._span_s
        while self._entries and self._entries[0].at_s <= since_s:
            entry = self._entries.popleft()
            entry.counts = False
            self._total -= entry.amount
        return since_s
