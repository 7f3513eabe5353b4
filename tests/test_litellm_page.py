"""`docs/litellm.md`: its worked example is a configuration that does what the page says."""

import re
from pathlib import Path

import pytest

from freehold import config as configuration
from freehold.core.events import Usage
from freehold.gateway.attempt import Route
from freehold.gateway.prices import PriceList
from freehold.gateway.router import Router
from freehold.gateway.upstreams import make_upstream

PAGE = (Path(__file__).parent.parent / "docs" / "litellm.md").read_text(encoding="utf-8")


def snippet(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, language
    return found[1]


@pytest.fixture
def config(tmp_path: Path) -> configuration.Config:
    path = tmp_path / "freehold.toml"
    path.write_text(snippet("toml"), encoding="utf-8")
    return configuration.load(path)


def test_the_example_routes_as_the_page_says(config: configuration.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"os\.environ/(\w+_API_KEY)", snippet("yaml")):
        monkeypatch.setenv(name, "a-key")
    routes = [Route(upstream=make_upstream(one), weight=one.weight, priority=one.priority) for one in config.upstreams]
    router = Router(routes, config.routing)
    assert router.models() == {
        "gpt-4o": ["openai", "azure-eu", "anthropic-for-gpt-4o"],
        "claude-sonnet": ["anthropic"],
        "coder": ["vllm"],
    }
    assert [route.weight for route in routes if "gpt-4o" in route.upstream.models] == [3, 1, 1]


def test_each_model_of_the_example_has_its_price_at_each_of_its_upstreams(config: configuration.Config) -> None:
    prices = PriceList(config.prices)
    million = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    costs = {
        (model, upstream.name): prices.cost_microusd(model, upstream.name, million)
        for upstream in config.upstreams
        for model in upstream.models
    }
    assert costs == {
        ("gpt-4o", "openai"): 12_500_000,
        ("gpt-4o", "azure-eu"): 12_500_000,
        ("gpt-4o", "anthropic-for-gpt-4o"): 18_000_000,
        ("claude-sonnet", "anthropic"): 18_000_000,
        ("coder", "vllm"): 0,
    }
    per_token = [float(cost) for cost in re.findall(r"put_cost_per_token: (\S+)", snippet("yaml"))]
    assert [cost * 1e6 for cost in per_token] == [config.prices[0].input_usd, config.prices[0].output_usd]


def test_limits_of_the_example_are_its_own(config: configuration.Config) -> None:
    assert config.gateway.body_limit_bytes == 8 << 20
    assert (config.routing.tries, config.routing.breaker_failures, config.routing.breaker_open_s) == (3, 3, 30)
    assert config.guard.categories["personal_data"].mode == "enforce"


def test_every_key_of_the_example_is_explained() -> None:
    used = set(re.findall(r"^[ -]*([a-z_]+):", snippet("yaml"), re.MULTILINE))
    explained = "\n".join(line for line in PAGE.splitlines() if line.startswith(("| ", "## ")))
    assert len(used) > 20
    assert {key for key in used if not re.search(rf"\b{key}\b", explained)} == set()
