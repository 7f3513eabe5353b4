from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import VerificationError
from freehold.core.events import ServedBy
from freehold.core.exchange import ExchangeId, ModelId
from freehold.core.receipts import Claims, tokens_digest
from freehold.provenance.replay import (
    FirstDifference,
    check_tokens,
    differences,
    first_difference,
    same_tokens,
    sampling_differences,
)

THEN = ServedBy(
    provider="freehold",
    model="m",
    model_id=ModelId("ab"),
    template_digest="cd",
    build="freehold 1.0.0 vnni kernels",
    seed=7,
    kernels="vnni",
    kv_type="f16",
    libraries="numpy 2.4.6",
    context_tokens=8192,
)

answers = st.lists(st.lists(st.integers(0, 3), max_size=6).map(tuple), max_size=3).map(tuple)


def test_each_thing_that_is_not_as_it_was_is_named_once() -> None:
    assert differences(THEN, THEN) == []
    now = replace(THEN, kernels="avx2", build="freehold 1.0.0 avx2 kernels", seed=8)
    assert [str(found) for found in differences(THEN, now)] == ["kernels: vnni then, avx2 now", "seed: 7 then, 8 now"]
    assert [found.what for found in differences(THEN, replace(THEN, build="freehold 1.1.0 vnni kernels"))] == ["build"]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("model_id", "model"),
        ("template_digest", "chat template"),
        ("kv_type", "keys and values"),
        ("libraries", "libraries"),
        ("context_tokens", "context"),
        ("watermark", "watermark"),
    ],
)
def test_every_claim_that_a_result_depends_on_counts(name: str, what: str) -> None:
    changed: dict[str, Any] = {name: None if name != "watermark" else "ef"}
    (found,) = differences(THEN, replace(THEN, **changed))
    assert found.what == what


def test_parameters_that_are_asked_for_otherwise_are_named() -> None:
    then, now = {"temperature": 0.5, "max_tokens": 9}, {"temperature": 0.6, "top_p": 1.0, "max_tokens": 9}
    named = [str(found) for found in sampling_differences(then, now)]
    assert named == ["temperature: 0.5 then, 0.6 now", "top_p: none then, 1.0 now"]


@given(answers, answers)
def test_the_first_token_that_is_another_is_found(then: tuple[tuple[int, ...], ...], now: tuple[tuple[int, ...], ...]) -> None:
    found = first_difference(then, now)
    empty: tuple[int, ...] = ()
    padded = max(len(then), len(now))
    one, other = ((*side, *[empty] * (padded - len(side))) for side in (then, now))
    assert (found is None) == (one == other)
    if found is not None:
        assert one[: found.choice] == other[: found.choice]
        before, after = one[found.choice], other[found.choice]
        assert before[: found.place] == after[: found.place]
        assert before[found.place : found.place + 1] != after[found.place : found.place + 1]


def test_an_answer_that_ends_early_differs_where_it_ends() -> None:
    assert first_difference([(1, 2, 3)], [(1, 2)]) == FirstDifference(choice=0, place=2, then=3, now=None)


def test_kept_tokens_are_those_of_the_receipt() -> None:
    claims = Claims(
        exchange_id=ExchangeId("x"),
        issued_at_ns=0,
        dialect="",
        operation="",
        status="",
        served=THEN,
        request_digest="",
        response_digest="",
        response_links=0,
        salt=b"s",
        tokens_digest=tokens_digest(b"s", [(1, 2), (3,)]),
    )
    check_tokens(claims, [(1, 2), (3,)])
    assert same_tokens(claims, [(1, 2), (3,)])
    assert same_tokens(replace(claims, tokens_digest=None), [(1, 2), (3,)]) is None
    for forged in ([(1, 2, 3)], [(1,), (2, 3)], [(1, 2), (4,)], []):
        with pytest.raises(VerificationError, match="not those that the receipt was signed over"):
            check_tokens(claims, forged)
