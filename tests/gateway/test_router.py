import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import (
    FreeholdError,
    InvalidRequest,
    NotFound,
    NowhereAllowed,
    UpstreamBroken,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from freehold.core.events import Event, MessageStart, Payload, PromptText, ServedBy, TextDelta, Usage
from freehold.core.exchange import Exchange, ExchangeId, KeyId, Principal
from freehold.core.findings import Alert, Channel
from freehold.core.ports import UpstreamStatus
from freehold.gateway.attempt import HELD_BYTES, HELD_EVENTS, HELD_S, KEY_REFUSED, Outcome, Route
from freehold.gateway.config import RoutingConfig
from freehold.gateway.router import Router
from tests.fakes.upstream import ScriptedUpstream, answer, told

Steps = Sequence[Event | Exception | asyncio.Event]

DOWN = UpstreamUnavailable("cannot be reached")
START = MessageStart(served=ServedBy(provider="a", model="m"))


def rejected(status: int, retry_after_s: float | None = None) -> UpstreamRejected:
    return UpstreamRejected("the provider's own words", status=status, retry_after_s=retry_after_s, code="their_code")


class Planned(ScriptedUpstream):
    """Does as the next plan says; when they are used up, it answers with its name."""

    def __init__(self, name: str, *plans: Steps | Exception, models: Sequence[str] = ("m",)) -> None:
        super().__init__(models=models, name=name)
        self.plans: list[Steps] = [[plan] if isinstance(plan, Exception) else plan for plan in plans]
        self.calls = 0

    async def send(self, exchange: Exchange) -> AsyncIterator[list[Event]]:
        self.calls += 1
        self.steps = list(self.plans.pop(0) if self.plans else answer(self.name))
        async for events in super().send(exchange):
            yield events


@dataclass
class World:
    """Time that passes when somebody sleeps, and what was told."""

    now_s: float = 100.0
    slept_s: list[float] = field(default_factory=list)
    told: list[tuple[str, Outcome]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    chance: float = 0.5

    async def sleep(self, wait_s: float) -> None:
        assert wait_s > 0
        self.slept_s.append(wait_s)
        self.now_s += wait_s
        await asyncio.sleep(0)

    def raise_alert(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def router(self, *upstreams: ScriptedUpstream | Route, **config: Any) -> Router:
        routes = [Route(upstream=u) if isinstance(u, ScriptedUpstream) else u for u in upstreams]
        return Router(
            routes,
            RoutingConfig(**config),
            alarm=self,
            on_try=lambda upstream, outcome: self.told.append((upstream, outcome)),
            monotonic_s=lambda: self.now_s,
            sleep=self.sleep,
            rng=lambda: self.chance,
        )


@pytest.fixture
def world() -> World:
    return World()


def exchange(model: str = "m", *, stream: bool = True) -> Exchange:
    return Exchange(
        id=ExchangeId("xc_1"),
        received_at_ns=0,
        principal=Principal(key_id=KeyId("k"), name="n"),
        dialect="openai.chat",
        operation="chat",
        model=model,
        stream=stream,
        body=b"",
        document={},
    )


async def ask(router: Router, may: Callable[[str], bool] = lambda _name: True, *, model: str = "m") -> str:
    return "".join(event.text for event in await told(router.send(exchange(model), may)) if isinstance(event, TextDelta))


async def test_what_an_upstream_says_goes_through_in_order(world: World) -> None:
    upstream = Planned("a")
    router = world.router(upstream)
    assert await told(router.send(exchange())) == list(answer("a"))
    assert world.told == [("a", Outcome.ANSWERED)]
    assert (upstream.calls, upstream.closed_early) == (1, 0)


@pytest.mark.parametrize(
    "failure",
    [DOWN, UpstreamTimeout("silent"), UpstreamBroken("broke"), *map(rejected, (408, 429, 500, 502, 503, 504, 529))],
    ids=repr,
)
async def test_another_upstream_answers_at_once_where_one_fails(world: World, failure: Exception) -> None:
    first, second = Planned("a", failure), Planned("b")
    assert await ask(world.router(first, second)) == "b"
    assert world.slept_s == []
    assert [name for name, _ in world.told] == ["a", "b"]


@pytest.mark.parametrize("failure", [*map(rejected, (400, 404, 409, 413, 422))], ids=repr)
async def test_what_is_the_clients_fault_is_not_tried_again(world: World, failure: FreeholdError) -> None:
    second = Planned("b")
    with pytest.raises(type(failure)) as caught:
        await ask(world.router(Planned("a", failure), second))
    assert caught.value is failure
    assert second.calls == 0
    assert world.told == [("a", Outcome.REJECTED)]


async def test_what_one_upstreams_dialect_cannot_say_another_is_asked_for(world: World) -> None:
    cannot = InvalidRequest("upstream a has no embeddings")
    assert await ask(world.router(Planned("a", cannot), Planned("b"))) == "b"
    first = Planned("a", cannot)
    with pytest.raises(InvalidRequest) as caught:
        await ask(world.router(first))
    assert caught.value is cannot
    assert (first.calls, world.slept_s) == (1, [])


async def test_a_failure_says_more_than_that_others_could_not_be_asked(world: World) -> None:
    """A client that is told 400 gives up; what failed may answer the next time."""
    cannot = InvalidRequest("only a provider of chat completions has it")
    a, b = Planned("a", DOWN, DOWN, DOWN), Planned("b", cannot)
    with pytest.raises(UpstreamUnavailable, match="cannot be reached"):
        await ask(world.router(a, b, tries=3))
    assert (a.calls, b.calls) == (3, 1)  # who could not be asked took no try


async def test_where_the_one_that_could_be_asked_rests_the_client_is_told_when_to_come_again(world: World) -> None:
    cannot = InvalidRequest("only a provider of chat completions has it")
    a, b = Planned("a", rejected(429, 60.0)), Planned("b")
    router = world.router(Route(upstream=a), Route(upstream=b, priority=1))
    assert await ask(router) == "b"
    b.plans = [[cannot]]
    with pytest.raises(UpstreamUnavailable) as caught:
        await ask(router)
    assert caught.value.retry_after_s == pytest.approx(60.0, abs=1)


async def test_a_failure_before_the_first_content_shows_nothing_of_the_failed_try(world: World) -> None:
    held: list[Event] = [
        START,
        Payload(data=b"{}", number=0),
        PromptText(leaf=0, channel=Channel.OTHER, text="id"),
        TextDelta(text=""),
    ]
    first = Planned("a", [*held, Usage(input_tokens=1, output_tokens=None), DOWN])
    events = await told(world.router(first, Planned("b")).send(exchange()))
    assert events == list(answer("b"))


async def test_a_failure_after_the_first_content_is_the_clients_to_know(world: World) -> None:
    second = Planned("b")
    router = world.router(Planned("a", [START, TextDelta(text="so far"), UpstreamBroken("died")]), second)
    stream = router.send(exchange())
    assert await anext(stream) == [START, TextDelta(text="so far")]
    with pytest.raises(UpstreamBroken, match="died"):
        await anext(stream)
    assert second.calls == 0
    assert world.told == [("a", Outcome.BROKEN)]


async def test_an_answer_that_ends_before_it_began_is_tried_again(world: World) -> None:
    assert await ask(world.router(Planned("a", [START], []), tries=3)) == "a"
    assert world.told == [("a", Outcome.FAILED)] * 2 + [("a", Outcome.ANSWERED)]


@pytest.mark.parametrize(
    "signs",
    [
        [Payload(data=b"ping", number=n) for n in range(HELD_EVENTS)],
        [Payload(data=b"x" * HELD_BYTES, number=0), Payload(data=b"x", number=1)],
    ],
    ids=["events", "bytes"],
)
async def test_not_more_is_held_back_than_a_bound(world: World, signs: Steps) -> None:
    gate = asyncio.Event()
    stream = world.router(Planned("a", [*signs, gate])).send(exchange())
    assert await anext(stream) == signs
    await stream.aclose()


async def test_a_client_hears_of_an_upstream_that_only_says_it_is_alive(world: World) -> None:
    class Slow(Planned):
        async def send(self, exchange: Exchange) -> AsyncIterator[list[Event]]:
            for n in range(9):
                yield [Payload(data=b"ping", number=n)]
                world.now_s += HELD_S / 2

    stream = world.router(Slow("a")).send(exchange())
    assert await anext(stream) == [Payload(data=b"ping", number=n) for n in range(4)]
    assert world.now_s == 100 + 1.5 * HELD_S
    await stream.aclose()


async def test_the_same_upstream_is_asked_again_after_a_growing_random_pause(world: World) -> None:
    upstream = Planned("a", *[DOWN] * 4)
    assert await ask(world.router(upstream, tries=5, backoff_s=1, backoff_limit_s=3)) == "a"
    assert world.slept_s == [0.5, 1.0, 1.5, 1.5]
    assert upstream.calls == 5


async def test_when_all_tries_failed_the_last_error_is_told(world: World) -> None:
    last = rejected(429, retry_after_s=600)
    upstream = Planned("a", DOWN, last)
    with pytest.raises(UpstreamRejected) as caught:
        await ask(world.router(upstream, tries=5))
    assert caught.value is last
    assert upstream.calls == 2


async def test_a_short_retry_after_is_waited_for_and_never_cut(world: World) -> None:
    upstream = Planned("a", rejected(429, retry_after_s=7))
    assert await ask(world.router(upstream, backoff_s=1)) == "a"
    assert world.slept_s == [7.5]


async def test_an_upstream_that_said_retry_after_is_left_alone_by_others_too_for_that_model(world: World) -> None:
    first, second = Planned("a", rejected(429, retry_after_s=30), models=("m", "n")), Planned("b")
    router = world.router(Route(upstream=first), Route(upstream=second, priority=1))
    assert [await ask(router) for _ in range(3)] == ["b"] * 3
    assert await ask(router, model="n") == "a"
    world.now_s += 30
    assert await ask(router) == "a"


async def test_a_node_whose_only_upstream_said_to_come_back_late_says_so_without_asking(world: World) -> None:
    upstream = Planned("a", rejected(503, retry_after_s=45))
    router = world.router(upstream)
    with pytest.raises(UpstreamRejected):
        await ask(router)
    world.now_s += 5
    with pytest.raises(UpstreamUnavailable, match=r"a: status 503") as caught:
        await ask(router)
    assert caught.value.retry_after_s == 40
    assert upstream.calls == 1


async def test_patience_has_an_end(world: World) -> None:
    class Hanging(Planned):
        async def send(self, exchange: Exchange) -> AsyncIterator[list[Event]]:
            self.calls += 1
            world.now_s += 100
            for error in [UpstreamTimeout("silent")]:
                raise error
            yield [START]

    upstream = Hanging("a")
    with pytest.raises(UpstreamTimeout):
        await ask(world.router(upstream, tries=10, patience_s=180))
    assert upstream.calls == 2


async def test_a_key_that_the_provider_refuses_is_not_tried_again_there(world: World) -> None:
    refused = UpstreamRejected("refused this node's key", status=502, code=KEY_REFUSED)
    upstream = Planned("a", refused)
    with pytest.raises(UpstreamRejected):
        await ask(world.router(upstream))
    assert upstream.calls == 1
    assert await ask(world.router(Planned("a", refused), Planned("b"))) == "b"


async def test_operators_are_told_that_a_provider_refuses_the_key_or_why_it_can_not_be_reached(world: World) -> None:
    refused = UpstreamRejected("refused this node's key", status=502, code=KEY_REFUSED)
    gone = UpstreamUnavailable("upstream b can't be reached", why="its certificate is not trusted")
    router = world.router(Planned("a", refused), Planned("b", gone), tries=1, breaker_failures=1)
    with pytest.raises(UpstreamUnavailable):
        await ask(router)
    words = [alert.message for alert in world.alerts]
    assert [word.rpartition(": ")[2] for word in words] == ["refuses this node's key", "its certificate is not trusted"]


async def test_a_lower_tier_is_asked_only_when_the_higher_has_none_available(world: World) -> None:
    first, second, third = Planned("a"), Planned("b"), Planned("c")
    router = world.router(Route(upstream=third, priority=5), Route(upstream=first), Route(upstream=second))
    assert Counter([await ask(router) for _ in range(10)]) == {"a": 5, "b": 5}
    first.plans, second.plans = [[DOWN]], [[DOWN]]
    assert await ask(router) == "c"
    first.readiness = second.readiness = UpstreamStatus(ready=False, detail="starting")
    assert await ask(router) == "c"


async def test_an_upstream_that_is_not_ready_is_asked_where_there_is_no_other(world: World) -> None:
    starting = UpstreamUnavailable("the engine is starting", retry_after_s=2)
    engine = Planned("freehold", starting)
    engine.readiness = UpstreamStatus(ready=False, detail="starting")
    assert await ask(world.router(Route(upstream=engine, has_breaker=False))) == "freehold"
    assert world.slept_s == [pytest.approx(2.125)]


async def test_weights_come_out_without_bursts(world: World) -> None:
    router = world.router(Route(upstream=Planned("a"), weight=5), Route(upstream=Planned("b")), Route(upstream=Planned("c")))
    assert "".join([await ask(router) for _ in range(14)]) == "aabacaa" * 2


@settings(max_examples=25)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_weights_are_exact_in_the_long_run(weights: list[int]) -> None:
    world = World()
    router = world.router(*(Route(upstream=Planned(str(n)), weight=weight) for n, weight in enumerate(weights)))

    async def many() -> Counter[str]:
        return Counter([await ask(router) for _ in range(3 * sum(weights))])

    assert asyncio.run(many()) == {str(n): 3 * weight for n, weight in enumerate(weights)}


async def test_what_may_not_have_the_exchange_is_never_asked_not_even_as_the_last(world: World) -> None:
    first, second = Planned("a", *[DOWN] * 9), Planned("b")
    with pytest.raises(UpstreamUnavailable):
        await ask(world.router(first, second), lambda name: name != "b")
    assert second.calls == 0
    with pytest.raises(NowhereAllowed):
        await ask(world.router(first, second), lambda _name: False)


async def test_may_is_asked_again_before_a_retry(world: World) -> None:
    upstream, asked = Planned("a", DOWN), list[str]()

    def once(name: str) -> bool:
        asked.append(name)
        return len(asked) == 1

    with pytest.raises(UpstreamUnavailable):
        await ask(world.router(upstream), once)
    assert upstream.calls == 1
    assert len(asked) == 2


async def test_a_model_nobody_serves_is_told_with_those_there_are(world: World) -> None:
    router = world.router(Planned("a", models=("m", "n")), Planned("b"))
    with pytest.raises(NotFound, match="known models: m, n") as caught:
        await ask(router, model="x")
    assert caught.value.code == "model_not_found"
    assert router.models() == {"m": ["a", "b"], "n": ["a"]}
    assert router.upstreams_for("x") == []


async def test_a_failing_upstream_is_left_alone_told_of_and_probed(world: World) -> None:
    first, second = Planned("a", *[DOWN] * 5), Planned("b")
    router = world.router(Route(upstream=first), Route(upstream=second, priority=1), breaker_failures=5, breaker_open_s=10)
    for _ in range(8):
        assert await ask(router) == "b"
    assert first.calls == 5
    assert router.circuits() == {"a": "open", "b": "closed"}
    assert router.status()["a"] == UpstreamStatus(ready=False, detail="failed too often (cannot be reached); probed in 10 s")
    assert [(alert.kind, alert.severity) for alert in world.alerts] == [("circuit_open", "critical")]
    world.now_s += 10
    assert router.circuits()["a"] == "half_open"
    assert router.status()["a"].ready
    assert await ask(router) == "a"
    assert router.circuits()["a"] == "closed"
    assert [alert.kind for alert in world.alerts] == ["circuit_open", "circuit_closed"]


async def test_a_node_whose_every_circuit_is_open_says_when_it_will_try_again(world: World) -> None:
    upstream = Planned("a", *[DOWN] * 9)
    router = world.router(upstream, tries=1, breaker_failures=2, breaker_open_s=10)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable, match="cannot be reached"):
            await ask(router)
    world.now_s += 4
    with pytest.raises(UpstreamUnavailable, match="left alone") as caught:
        await ask(router)
    assert caught.value.retry_after_s == 6
    assert upstream.calls == 2


async def test_a_probe_whose_client_leaves_makes_room_for_the_next(world: World) -> None:
    upstream = Planned("a", DOWN, DOWN, [asyncio.Event()])
    router = world.router(upstream, tries=2, backoff_s=0.1, breaker_failures=2, breaker_open_s=10)
    with pytest.raises(UpstreamUnavailable):
        await ask(router)
    world.now_s += 10
    probe = asyncio.ensure_future(ask(router))
    await asyncio.sleep(0)
    with pytest.raises(UpstreamUnavailable, match="left alone"):
        await ask(router)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert world.told[-1] == ("a", Outcome.ABANDONED)
    assert await ask(router) == "a"


async def test_limits_and_the_clients_faults_do_not_open_a_circuit(world: World) -> None:
    upstream = Planned("a", *[rejected(429), rejected(400)] * 20)
    router = world.router(upstream, tries=1, breaker_failures=1)
    for _ in range(40):
        with pytest.raises(UpstreamRejected):
            await ask(router)
    assert router.circuits() == {"a": "closed"}


async def test_the_engine_has_no_circuit_and_says_itself_when_it_is_ready(world: World) -> None:
    engine = Planned("freehold", *[DOWN] * 20)
    router = world.router(Route(upstream=engine, has_breaker=False), tries=1)
    for _ in range(20):
        with pytest.raises(UpstreamUnavailable, match="cannot be reached"):
            await ask(router)
    assert router.circuits() == {"freehold": "closed"}


async def test_a_first_text_that_takes_too_long_is_a_timeout_and_another_answers() -> None:
    stuck = Planned("a", [START, asyncio.Event()])
    router = Router([Route(upstream=stuck, first_token_timeout_s=0.01), Route(upstream=Planned("b"), priority=1)])
    assert await ask(router) == "b"
    assert stuck.closed_early == 1


async def test_an_answer_in_one_body_has_no_first_text_to_wait_for(world: World) -> None:
    gate = asyncio.Event()
    router = world.router(Route(upstream=Planned("a", [gate, *answer("late")]), first_token_timeout_s=0.01))
    asyncio.get_running_loop().call_later(0.05, gate.set)
    events = await told(router.send(exchange(stream=False)))
    assert TextDelta(text="late") in events


@pytest.mark.parametrize("after", [[], [TextDelta(text="x")]])
async def test_a_client_that_leaves_ends_the_upstreams_work(world: World, after: Steps) -> None:
    upstream = Planned("a", [START, *after, asyncio.Event()])
    task = asyncio.ensure_future(ask(world.router(upstream)))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert upstream.closed_early == 1


async def test_nothing_told_quotes_a_provider(world: World) -> None:
    router = world.router(Planned("a", *[rejected(500)] * 9), breaker_failures=1, tries=1)
    with pytest.raises(UpstreamRejected):
        await ask(router)
    told = repr([world.told, world.alerts, router.status(), router.circuits()])
    assert "own words" not in told
    assert "their_code" not in told
    with pytest.raises(UpstreamUnavailable) as caught:
        await ask(router)
    assert "own words" not in caught.value.message


FAILURES = st.sampled_from([None, DOWN, UpstreamTimeout("t"), rejected(429), rejected(429, 3), rejected(500), rejected(400)])


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.lists(FAILURES, max_size=6), st.integers(0, 2), st.booleans()), min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(1, 3),
    st.floats(0, 0.999),
)
def test_tries_are_bounded_and_a_refused_upstream_is_never_called(
    plans: list[tuple[list[Exception | None], int, bool]], tries: int, exchanges: int, chance: float
) -> None:
    world = World(chance=chance)
    upstreams = [Planned(str(n), *(list(answer("x")) if f is None else f for f in plan)) for n, (plan, _, _) in enumerate(plans)]
    routes = [Route(upstream=up, priority=priority) for up, (_, priority, _) in zip(upstreams, plans, strict=True)]
    allowed = {str(n) for n, (_, _, may) in enumerate(plans) if may}
    router = world.router(*routes, tries=tries, breaker_failures=2)

    async def run() -> None:
        for n in range(1, exchanges + 1):
            with contextlib.suppress(FreeholdError):
                assert await ask(router, allowed.__contains__)
            assert sum(upstream.calls for upstream in upstreams) <= n * (tries + max(len(allowed) - 1, 0))

    asyncio.run(run())
    assert all(upstream.calls == 0 for upstream in upstreams if upstream.name not in allowed)
    assert len(world.told) == sum(upstream.calls for upstream in upstreams)


@settings(max_examples=40)
@given(st.lists(st.integers(-2, 2), max_size=5), st.integers(1, 3))
def test_an_upstream_added_never_makes_a_served_model_unserved(priorities: list[int], tries: int) -> None:
    broken = [Route(upstream=Planned(f"b{n}", *[DOWN] * 9), priority=priority) for n, priority in enumerate(priorities)]
    router = World().router(*broken, Planned("a"), tries=tries)
    assert asyncio.run(ask(router)) == "a"
