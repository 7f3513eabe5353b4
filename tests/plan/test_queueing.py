"""Traces: their three headings, what is malformed, and what must hold of replicas that play them."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.plan.queueing import Engine, fewest, play
from freehold.plan.trace import Arrival, parse_trace

ENGINE = Engine(prefill_s=lambda tokens: tokens * 1e-4, step_s=lambda batch: 0.01 + 1e-4 * batch, sequences=8)
ARRIVALS = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 2000), st.integers(1, 300)), min_size=1, max_size=40).map(
    lambda rows: tuple(Arrival(at_s=at, prompt_tokens=prompt, output_tokens=output) for at, prompt, output in sorted(rows))
)


def test_one_request_alone_takes_its_prefill_and_its_steps() -> None:
    played = play((Arrival(at_s=0.0, prompt_tokens=1000, output_tokens=101),), ENGINE, 1)
    assert played.ttft_p50_ms == pytest.approx(100)
    assert played.between_p50_ms == pytest.approx(10.1)
    assert played.busy == pytest.approx(1.0)


def test_two_at_once_share_steps_and_the_second_waits_for_the_first_prefill() -> None:
    both = tuple(Arrival(at_s=0.0, prompt_tokens=1000, output_tokens=101) for _ in range(2))
    played = play(both, ENGINE, 1)
    assert played.ttft_p95_ms == pytest.approx(195, abs=1)
    assert played.between_p50_ms == pytest.approx(10.2 + 0.5, abs=0.1)  # the first also waits 100 ms for the second's prefill
    assert play(both, ENGINE, 2).ttft_p95_ms == pytest.approx(100)


def test_a_full_replica_makes_others_wait() -> None:
    many = tuple(Arrival(at_s=0.0, prompt_tokens=1, output_tokens=100) for _ in range(9))
    full, roomy = play(many, ENGINE, 1), play(many, replace(ENGINE, sequences=9), 1)
    assert full.ttft_p95_ms > roomy.ttft_p95_ms + 500


@settings(max_examples=40)
@given(ARRIVALS, st.integers(1, 5))
def test_every_request_ends_and_none_before_it_could(arrivals: tuple[Arrival, ...], replicas: int) -> None:
    played = play(arrivals, ENGINE, replicas)
    quickest = min(one.prompt_tokens for one in arrivals) * 0.1
    assert played.ttft_p50_ms >= quickest * (1 - 1e-9)
    assert played.ttft_p50_ms <= played.ttft_p95_ms
    assert 0 < played.busy <= 1 + 1e-9
    if any(one.output_tokens > 1 for one in arrivals):
        assert played.between_p50_ms >= 10.1 * (1 - 1e-6)


@settings(max_examples=25)
@given(ARRIVALS, st.floats(150, 3000))
def test_the_replicas_found_keep_the_limit_or_nothing_does(arrivals: tuple[Arrival, ...], ttft_ms: float) -> None:
    try:
        found = fewest(arrivals, ENGINE, ttft_ms, None)
    except InvalidRequest:
        assert play(arrivals, ENGINE, len(arrivals)).ttft_p95_ms > ttft_ms
        return
    assert found.ttft_p95_ms <= ttft_ms
    assert found.replicas <= len(arrivals)


@pytest.mark.parametrize(
    "text",
    [
        "arrived_s,prompt_tokens,output_tokens\n5,10,20\n4.5,30,40\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,30,40\n2023-11-16 18:15:47.1805900,10,20\n",
        "arrived_at,x,num_prefill_tokens,num_decode_tokens\n0.5,9,10,20\n0.0,9,30,40\n",
    ],
)
def test_three_headings_are_read_in_the_order_of_arrival(text: str) -> None:
    first, second = parse_trace(text, "trace.csv")
    assert first == Arrival(at_s=0.0, prompt_tokens=30, output_tokens=40)
    assert second.at_s == pytest.approx(0.5)
    assert (second.prompt_tokens, second.output_tokens) == (10, 20)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the first line"),
        ("a,b,c\n1,2,3\n", "the first line"),
        ("arrived_s,prompt_tokens,output_tokens\n", "no requests"),
        ("arrived_s,prompt_tokens,output_tokens\n1,2,3\nsoon,2,3\n", "line 3"),
        ("arrived_s,prompt_tokens,output_tokens\n1,-2,3\n", "line 2"),
        ("arrived_s,prompt_tokens,output_tokens\n1,2\n", "line 2"),
        ("arrived_s,prompt_tokens,output_tokens\nnan,2,3\n", "line 2"),
    ],
)
def test_a_malformed_trace_is_named_by_its_line(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        parse_trace(text, "trace.csv")


@given(st.text(max_size=200))
def test_any_text_is_a_trace_or_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_trace("arrived_s,prompt_tokens,output_tokens\n" + text.replace(",", ";"), "trace.csv")
