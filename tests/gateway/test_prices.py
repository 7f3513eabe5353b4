from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.events import Usage
from freehold.gateway.config import PriceConfig
from freehold.gateway.prices import PriceList

BIG = PriceConfig(model="big", input_usd=2, output_usd=8, cached_input_usd=0.5, cache_write_usd=2.5)


def usage(input_tokens: int | None, output_tokens: int | None, **more: int) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, **more)


def test_each_kind_of_token_has_its_price() -> None:
    prices = PriceList([BIG])
    assert prices.cost_microusd("big", "far", usage(1_000_000, 1_000_000)) == 10_000_000
    assert prices.cost_microusd("big", "far", usage(1000, 0, cached_input_tokens=600, cache_write_tokens=100)) == 600 + 300 + 250


def test_what_is_not_priced_apart_costs_what_input_costs() -> None:
    prices = PriceList([PriceConfig(model="big", input_usd=2, output_usd=8)])
    assert prices.cost_microusd("big", None, usage(10, 0, cached_input_tokens=4, cache_write_tokens=3)) == 20


def test_a_part_of_a_microdollar_is_rounded_up_and_nothing_else_is() -> None:
    prices = PriceList([PriceConfig(model="small", input_usd=0.15, output_usd=0.6)])
    assert prices.cost_microusd("small", None, usage(1, 0)) == 1
    assert prices.cost_microusd("small", None, usage(20, 0)) == 3
    assert prices.cost_microusd("small", None, usage(1_000_000, 0)) == 150_000


@pytest.mark.parametrize("counted", [None, usage(None, 5), usage(5, None)])
def test_an_unknown_count_is_an_unknown_cost(counted: Usage | None) -> None:
    assert PriceList([BIG]).cost_microusd("big", None, counted) is None


def test_what_costs_nothing_need_not_be_counted() -> None:
    prices = PriceList([PriceConfig(model="embed", input_usd=0.02, output_usd=0)])
    assert prices.cost_microusd("embed", None, usage(1000, None)) == 20


def test_an_unknown_price_is_unknown_and_not_nothing() -> None:
    assert PriceList([]).cost_microusd("big", "far", usage(1, 1)) is None
    assert PriceList([]).ceiling_microusd("big", ["far"], 1, 1) is None
    assert PriceList([BIG]).ceiling_microusd("big", [], 1, 1) is None


def test_the_first_entry_that_fits_counts() -> None:
    here = PriceConfig(model="gpt-*", input_usd=1, output_usd=1, upstreams=("near",))
    there = PriceConfig(model="gpt-*", input_usd=3, output_usd=3, upstreams=("far",))
    late = PriceConfig(model="*", input_usd=9, output_usd=9, upstreams=("near",))
    prices = PriceList([here, there, late])
    assert prices.cost_microusd("gpt-5", "near", usage(1, 0)) == 1
    assert prices.cost_microusd("gpt-5", "far", usage(1, 0)) == 3
    assert prices.cost_microusd("gpt-5", None, usage(1, 0)) is None
    assert prices.cost_microusd("other", "near", usage(1, 0)) == 9


def test_the_ceiling_is_the_dearest_upstreams_and_unknown_where_one_is() -> None:
    near = PriceConfig(model="m", input_usd=1, output_usd=1, upstreams=("near",))
    far = PriceConfig(model="m", input_usd=1, output_usd=5, cache_write_usd=4, upstreams=("far",))
    prices = PriceList([near, far])
    assert prices.ceiling_microusd("m", ["near"], 10, 10) == 20
    assert prices.ceiling_microusd("m", ["near", "far"], 10, 10) == 90
    assert prices.ceiling_microusd("m", ["near", "elsewhere"], 10, 10) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_cost_is_above_its_ceiling(plain: int, cached: int, written: int, output: int) -> None:
    counted = usage(plain + cached + written, output, cached_input_tokens=cached, cache_write_tokens=written)
    cost = PriceList([BIG]).cost_microusd("big", "far", counted)
    ceiling = PriceList([BIG]).ceiling_microusd("big", ["far"], plain + cached + written, output)
    assert cost is not None
    assert ceiling is not None
    assert 0 <= cost <= ceiling


@pytest.mark.parametrize("settings", [{"input_usd": -1}, {"output_usd": 1e9}, {"model": ""}, {"input_usd": None}, {"per": 1}])
def test_a_price_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"model": "m", "input_usd": 1, "output_usd": 1, **settings}, PriceConfig)
