"""A trace played against replicas: how long first tokens wait, how far tokens lie apart, and how many replicas keep both limits.

An event loop for each replica. Requests are dealt out in turn. A replica takes the oldest that waits while it has room; prefill
holds the others up; all that run get a token each step, so time between events is a number of steps of one length. The clock of a
request is tokens made since it began, so the next to finish is at the top of a heap.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from freehold.core.errors import InvalidRequest
from freehold.plan.trace import Arrival

KEPT = 0.95  # of all requests must be within a limit
MOST_REPLICAS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What one replica does: seconds of a prefill by tokens, seconds of a step by sequences, and how many sequences it holds."""

    prefill_s: Callable[[int], float]
    step_s: Callable[[int], float]
    sequences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """Milliseconds. `between` is a request's mean time between its tokens, waits for others' prefills in it."""

    replicas: int
    ttft_p50_ms: float
    ttft_p95_ms: float
    between_p50_ms: float
    between_p95_ms: float
    busy: float  # share of the time in which a replica had something to do

    def keeps(self, ttft_ms: float | None, between_ms: float | None) -> bool:
        is_early = ttft_ms is None or self.ttft_p95_ms <= ttft_ms
        return is_early and (between_ms is None or self.between_p95_ms <= between_ms)


def play(arrivals: Sequence[Arrival], engine: Engine, replicas: int) -> Played:
    steps = [0.0, *(engine.step_s(count) for count in range(1, min(engine.sequences, len(arrivals)) + 1))]
    ttft, between, busy_s, span_s = [], [], 0.0, 0.0
    for at in range(min(replicas, len(arrivals))):
        one = _replica(arrivals[at::replicas], engine, steps)
        ttft += one[0]
        between += one[1]
        busy_s += one[2]
        span_s = max(span_s, one[3])
    first, later = np.quantile(ttft, (0.5, KEPT)) * 1e3, np.quantile(between or [0.0], (0.5, KEPT)) * 1e3
    return Played(
        replicas=replicas,
        ttft_p50_ms=float(first[0]),
        ttft_p95_ms=float(first[1]),
        between_p50_ms=float(later[0]),
        between_p95_ms=float(later[1]),
        busy=busy_s / (span_s * replicas) if span_s > 0 else 0.0,
    )


def _replica(
    arrivals: Sequence[Arrival], engine: Engine, steps: Sequence[float]
) -> tuple[list[float], list[float], float, float]:
    """Seconds to first tokens, seconds between tokens, busy seconds, and when the last token was made."""
    coming, waiting = deque(arrivals), deque[Arrival]()
    running: list[
        tuple[float, int, float, int]
    ] = []  # tokens made when it ends, a tie-break, when its first token came, its tokens
    ttft, between, count = [], [], 0
    now_s = made = busy_s = 0.0
    while coming or waiting or running:
        while coming and coming[0].at_s <= now_s:
            waiting.append(coming.popleft())
        if waiting and len(running) < min(engine.sequences, len(steps) - 1):
            one = waiting.popleft()
            spent = engine.prefill_s(one.prompt_tokens)
            now_s, busy_s, count = now_s + spent, busy_s + spent, count + 1
            ttft.append(now_s - one.at_s)
            if one.output_tokens > 1:  # prefill made the first
                heapq.heappush(running, (made + one.output_tokens - 1, count, now_s, one.output_tokens - 1))
            continue
        if not running:
            now_s = max(now_s, coming[0].at_s)
            continue
        step_s = steps[len(running)]
        ends_s = now_s + (running[0][0] - made) * step_s
        until_s = min(ends_s, max(now_s, coming[0].at_s)) if coming else ends_s
        made, busy_s, now_s = made + (until_s - now_s) / step_s, busy_s + until_s - now_s, until_s
        while running and (running[0][0] <= made + 1e-9):
            _, _, began_s, tokens = heapq.heappop(running)
            between.append((now_s - began_s) / tokens)
    return ttft, between, busy_s, now_s


def fewest(arrivals: Sequence[Arrival], engine: Engine, ttft_ms: float | None, between_ms: float | None) -> Played:
    """Twice as many until the limits are kept, then halving. Raises InvalidRequest where even one request alone breaks them."""
    alone = play(arrivals, engine, len(arrivals))
    if not alone.keeps(ttft_ms, between_ms):
        raise InvalidRequest(
            f"no number of replicas keeps these limits: each alone, 95 % of requests have their first token within "
            f"{alone.ttft_p95_ms:.0f} ms and {alone.between_p95_ms:.1f} ms between tokens; more chips to a replica, or smaller "
            "weights",
            param="trace",
        )
    low, found = 0, play(arrivals, engine, 1)
    while not found.keeps(ttft_ms, between_ms):
        low = found.replicas
        if low >= MOST_REPLICAS:
            raise InvalidRequest(f"more than {MOST_REPLICAS:,} replicas would be needed", param="trace")
        found = play(arrivals, engine, min(2 * low, len(arrivals)))
    while found.replicas - low > 1:
        middle = play(arrivals, engine, (low + found.replicas) // 2)
        low, found = (low, middle) if middle.keeps(ttft_ms, between_ms) else (middle.replicas, found)
    return found
