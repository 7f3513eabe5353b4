import pytest

from freehold.core.errors import LimitReached, UpstreamBroken, UpstreamRejected, UpstreamUnavailable
from freehold.gateway.attempt import KEY_REFUSED
from freehold.gateway.config import PriceConfig
from freehold.gateway.prices import PriceList
from freehold.model_audits.collect import Collector, Pace
from freehold.model_audits.spending import Ceiling, Spending, estimate
from freehold.provenance.model_audit.sample import AuditPlan
from tests.model_audits.toy import Clock, ToyUpstream
from tests.provenance.model_audit.talking import plan

PLAN = plan(3, samples=5, max_tokens=6, draws=2, tests=("logprobs", "mmd"))
PRICES = PriceList((PriceConfig(model="toy-*", input_usd=1.0, output_usd=2.0),))


def _collector(
    upstream: ToyUpstream,
    asked: AuditPlan = PLAN,
    *,
    pace: Pace | None = None,
    ceiling: Ceiling | None = None,
    clock: Clock | None = None,
) -> tuple[Collector, Spending]:
    clock = clock or Clock()
    spending = Spending(ceiling or Ceiling(), PRICES, "toy-1", "toy")
    made = Collector(
        upstream, "toy-1", asked, spending, pace or Pace(answers_per_request=4), sleep=clock.sleep, clock=clock.monotonic
    )
    return made, spending


async def test_every_prompt_gets_as_many_answers_and_draws_as_were_planned() -> None:
    upstream = ToyUpstream()
    made, spending = _collector(upstream)
    sample = await made.collect()
    assert list(sample.replies) == ["p0", "p1", "p2"]
    for reply in sample.replies.values():
        assert [len(reply.answers), len(reply.first), reply.input_tokens, reply.output_tokens] == [5, 2, 7, 30]
        assert all(len(answer) == 6 for answer in reply.answers)
    assert sample.served == {("toy-1", "fp_1")}
    assert spending.requests == len(upstream.exchanges) == 1 + 3 * (2 + 2)
    assert {exchange.choices for exchange in upstream.exchanges} == {1, 4}
    assert all(exchange.sampling.temperature == 1.0 and exchange.stream for exchange in upstream.exchanges)
    assert made.cannot == {}


@pytest.mark.parametrize("lack", [{"gives_several": False}, {"refuses_several": True}])
async def test_an_upstream_that_gives_one_answer_at_a_time_is_asked_more_often(lack: dict[str, bool]) -> None:
    upstream = ToyUpstream(**lack)  # type: ignore[arg-type]
    sample = await _collector(upstream)[0].collect()
    assert all(len(reply.answers) == 5 for reply in sample.replies.values())
    assert sum(exchange.choices > 1 for exchange in upstream.exchanges) == 1


async def test_no_log_probabilities_are_told_and_the_answers_are_there_all_the_same() -> None:
    made, _ = _collector(ToyUpstream(tells_logprobs=False))
    sample = await made.collect()
    assert made.cannot == {"logprobs": "logprobs are not supported"}
    assert all(reply.first == () and len(reply.answers) == 5 for reply in sample.replies.values())


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        ({"top_p"}, {"temperature", "max_tokens"}),
        ({"max_tokens"}, {"temperature", "top_p", "max_completion_tokens"}),
        ({"max_tokens", "temperature"}, {"max_completion_tokens"}),
    ],
)
async def test_settings_that_a_provider_does_not_take_are_put_in_another_way(refused: set[str], left: set[str]) -> None:
    upstream = ToyUpstream(refused=frozenset(refused))
    await _collector(upstream)[0].collect()
    settings = {"top_p", "temperature", "max_tokens", "max_completion_tokens"}
    assert settings & upstream.exchanges[-1].document.keys() == left


async def test_another_temperature_is_never_left_out_quietly() -> None:
    upstream = ToyUpstream(refused=frozenset({"temperature"}))
    made, _ = _collector(upstream, plan(1, temperature=0.7))
    with pytest.raises(Exception, match="temperature is not supported"):
        await made.collect()


async def test_a_failed_try_is_made_again_after_as_long_as_the_upstream_asks() -> None:
    clock = Clock()
    fails = [UpstreamUnavailable("busy", retry_after_s=7.0), UpstreamRejected("slow down", status=429), UpstreamBroken("gone")]
    made, _ = _collector(ToyUpstream(fails=list(fails)), clock=clock)
    assert len((await made.collect()).replies) == 3
    assert clock.slept == [7.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (UpstreamRejected("no such account", status=403), 1),
        (UpstreamRejected("your key", status=502, code=KEY_REFUSED), 1),
        (UpstreamBroken("gone"), 5),
    ],
)
async def test_what_does_not_pass_ends_the_audit(error: UpstreamRejected | UpstreamBroken, tries: int) -> None:
    upstream = ToyUpstream(fails=[error] * 100)
    made, _ = _collector(upstream)
    with pytest.raises(type(error)):
        await made.collect()
    assert len(upstream.exchanges) == tries


async def test_a_model_that_says_nothing_cannot_be_judged() -> None:
    made, _ = _collector(ToyUpstream(is_silent=True))
    with pytest.raises(UpstreamBroken, match="15 of 15 answers of toy are empty"):
        await made.collect()


async def test_requests_keep_their_pace() -> None:
    clock = Clock()
    upstream = ToyUpstream()
    made, _ = _collector(upstream, pace=Pace(per_minute=60, concurrency=1), clock=clock)
    began_s = clock.now_s
    await made.collect()
    assert clock.now_s - began_s == pytest.approx(len(upstream.exchanges) - 1, abs=1e-3)


@pytest.mark.parametrize(
    ("ceiling", "said"),
    [(Ceiling(requests=4), "4 requests"), (Ceiling(tokens=150), "150 tokens"), (Ceiling(microusd=150), "0.00015 USD")],
)
async def test_a_ceiling_is_never_passed(ceiling: Ceiling, said: str) -> None:
    upstream = ToyUpstream()
    made, spending = _collector(upstream, ceiling=ceiling)
    with pytest.raises(LimitReached, match=said):
        await made.collect()
    assert spending.requests == len(upstream.exchanges) <= 4 + 3
    assert ceiling.tokens is None or spending.input_tokens + spending.output_tokens <= ceiling.tokens
    assert ceiling.microusd is None or (spending.microusd or 0) <= ceiling.microusd


async def test_what_it_takes_is_never_more_than_was_told_before() -> None:
    for upstream in (ToyUpstream(), ToyUpstream(gives_several=False)):
        made, spending = _collector(upstream, pace=Pace(answers_per_request=4))
        await made.collect()
        told = estimate(PLAN, of_reference=False, per_request=4, prices=PRICES, model="toy-1", upstream="toy")
        assert spending.requests <= (told.requests if upstream.gives_several else told.most_requests)
        assert spending.input_tokens <= told.input_tokens
        assert spending.output_tokens <= told.output_tokens
        assert (spending.microusd or 0) <= (told.microusd or 0)


def test_a_price_that_nobody_set_is_unknown_and_not_nothing() -> None:
    told = estimate(PLAN, of_reference=False, per_request=4, prices=PriceList(()), model="toy-1", upstream="toy")
    assert told.microusd is None
