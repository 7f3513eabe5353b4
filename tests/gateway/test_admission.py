from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import LimitReached, NotAllowed
from freehold.core.exchange import Exchange, ExchangeId, KeyId, Message, Principal, Sampling
from freehold.core.findings import Alert
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.limits import DAY_NS, DayUse, EnergyBudget, Limits, MoneyBudget, Period
from freehold.core.measurement import NOTHING_RAN, UNKNOWN_ENERGY, Grade, Measurement
from freehold.gateway.admission import BUSY_RETRY_S, LimitKeeper
from freehold.gateway.config import LimitsConfig, PriceConfig
from freehold.gateway.prices import PriceList
from tests.fakes.ledger import entry

MONDAY = 20_780 - (20_780 + 3) % 7
NOON_NS = DAY_NS // 2
DOLLAR_A_TOKEN = PriceConfig(model="m", input_usd=1e6, output_usd=1e6)
ALICE = Principal(key_id=KeyId("key_1"), name="alice")


@dataclass(slots=True)
class Alarms:
    """Implements `Alarm`."""

    alerts: list[Alert] = field(default_factory=list)

    def raise_alert(self, alert: Alert) -> None:
        self.alerts.append(alert)


class Desk:
    """A keeper with clocks a test turns, and what it told."""

    def __init__(
        self, *prices: PriceConfig, used: Sequence[DayUse] = (), metered: bool = True, config: LimitsConfig | None = None
    ) -> None:
        self.now_s = 1000.0
        self.unix_ns = MONDAY * DAY_NS + NOON_NS
        self.refused: list[str] = []
        self.alarms = Alarms()
        self.keeper = LimitKeeper(
            prices=PriceList(prices),
            upstreams_for=lambda model: ["far"] if model == "m" else [],
            is_metered=lambda _upstream: metered,
            config=config,
            used=used,
            alarm=self.alarms,
            on_refused=self.refused.append,
            monotonic_s=lambda: self.now_s,
            unix_ns=lambda: self.unix_ns,
        )

    def admit(self, who: Principal, *, waits: bool = False, **ask: Any) -> Any:
        return self.keeper.admit(who, exchange(who, **ask), waits=waits)

    def finished(self, **changes: Any) -> LedgerEntry:
        facts: dict[str, Any] = {"provider": "far", "cost_microusd": 0, "received_at_ns": self.unix_ns, "energy": UNKNOWN_ENERGY}
        return entry(**{**facts, **changes})


def exchange(who: Principal, *, body_bytes: int = 0, attachments: int = 0, text: str = "", **changes: Any) -> Exchange:
    message = Message(role="user", text=text, attachments=attachments)
    whole = Exchange(
        id=ExchangeId("xc_1"),
        received_at_ns=0,
        principal=who,
        dialect="openai.chat",
        operation="chat",
        model="m",
        stream=True,
        body=b" " * body_bytes,
        document={},
        messages=(message,),
        sampling=Sampling(max_tokens=10),
    )
    return replace(whole, **changes)


def limited(who: Principal = ALICE, **limits: Any) -> Principal:
    return replace(who, limits=Limits(**limits))


def of_team(name: str, **limits: Any) -> Principal:
    return Principal(key_id=KeyId(f"key_{name}"), name=name, team="red", team_limits=Limits(**limits))


def dollars(limit: int, period: Period = Period.DAY) -> MoneyBudget:
    return MoneyBudget(limit_microusd=limit * 1_000_000, period=period)


def joules(value: float) -> Measurement:
    return Measurement(grade=Grade.MODELLED, source="model", energy_j=value, low_j=value, high_j=value)


def test_a_key_without_limits_is_admitted_and_nothing_is_held() -> None:
    desk = Desk()
    for _ in range(1000):
        assert desk.admit(ALICE).reserved_microusd is None


def test_a_model_outside_the_keys_or_the_teams_globs_is_refused() -> None:
    desk = Desk()
    desk.admit(replace(ALICE, models=("m*",), team_models=("*",)))
    for who in (replace(ALICE, models=("gpt-*", "o1")), replace(ALICE, models=("*",), team="red", team_models=("gpt-*", "o1"))):
        with pytest.raises(NotAllowed, match=r"'alice' may not use this model; .*gpt-\*, o1") as caught:
            desk.admit(who)
        assert (caught.value.status, caught.value.code) == (403, "model_not_allowed")
    assert desk.refused == ["model", "model"]


def test_requests_a_minute_are_exact_and_a_refused_one_does_not_count() -> None:
    desk, who = Desk(), limited(requests_per_min=3)
    for _ in range(3):
        desk.admit(who)
        desk.now_s += 10
    for _ in range(5):
        with pytest.raises(LimitReached, match=r"'alice' may use 3 requests in a minute.*try again in 30\.0 s") as caught:
            desk.admit(who)
        assert (caught.value.retry_after_s, caught.value.status) == (30, 429)
        assert caught.value.code == "rate_limit_exceeded"
    desk.now_s += 30
    desk.admit(who)
    with pytest.raises(LimitReached):
        desk.admit(who)


def test_tokens_a_minute_count_the_guess_until_the_provider_has_counted() -> None:
    desk, who = Desk(), limited(tokens_per_min=100)
    permit = desk.admit(who, body_bytes=240)  # 60 and 10
    with pytest.raises(LimitReached, match="tokens"):
        desk.admit(who, body_bytes=120)
    permit.settle(desk.finished(input_tokens=20, output_tokens=5))
    desk.admit(who, body_bytes=120)


def test_what_an_answer_used_beyond_the_guess_keeps_the_next_ones_waiting() -> None:
    desk, who = Desk(), limited(tokens_per_min=100)
    desk.admit(who).settle(desk.finished(input_tokens=500, output_tokens=5))
    desk.now_s += 59
    with pytest.raises(LimitReached) as caught:
        desk.admit(who)
    assert caught.value.retry_after_s == pytest.approx(1)
    desk.now_s += 1
    desk.admit(who)


def test_max_tokens_is_what_a_client_fears_and_a_rate_counts_what_is_expected() -> None:
    desk, who = Desk(config=LimitsConfig(expected_output_tokens=20)), limited(tokens_per_min=100)
    for _ in range(5):
        desk.admit(who, sampling=Sampling(max_tokens=32_000))
    with pytest.raises(LimitReached):
        desk.admit(who)


def test_an_exchange_larger_than_the_whole_rate_gets_its_turn() -> None:
    desk, who = Desk(), limited(tokens_per_min=10)
    desk.admit(who, body_bytes=4000)
    with pytest.raises(LimitReached):
        desk.admit(who)


@pytest.mark.parametrize(("provider", "status", "left"), [(None, Status.FAILED, 100), ("far", Status.FAILED, 30)])
def test_tokens_that_were_never_counted_stay_as_guessed_if_a_provider_answered(
    provider: str | None, status: Status, left: int
) -> None:
    desk, who = Desk(), limited(tokens_per_min=100)
    uncounted = desk.finished(provider=provider, status=status, input_tokens=None, output_tokens=None)
    desk.admit(who, body_bytes=240).settle(uncounted)
    desk.admit(who, body_bytes=(left - 10) * 4)
    with pytest.raises(LimitReached):
        desk.admit(who)


def test_exchanges_at_the_same_time_are_limited_and_a_settled_one_gives_its_place_back() -> None:
    desk, who = Desk(), limited(concurrent=2)
    first, second = desk.admit(who), desk.admit(who)
    with pytest.raises(LimitReached, match="2 requests at the same time") as caught:
        desk.admit(who)
    assert caught.value.retry_after_s == 1
    first.settle(None)
    first.settle(None)  # a second time is none
    third = desk.admit(who)
    with pytest.raises(LimitReached):
        desk.admit(who)
    second.settle(desk.finished())
    third.settle(desk.finished())
    assert [desk.admit(who) for _ in range(2)]


def test_a_teams_limits_hold_for_all_its_keys_together() -> None:
    desk = Desk()
    desk.admit(of_team("a", requests_per_min=2))
    desk.admit(of_team("b", requests_per_min=2))
    with pytest.raises(LimitReached, match="team 'red'"):
        desk.admit(of_team("c", requests_per_min=2))


def test_what_the_team_refuses_is_not_drawn_from_the_key() -> None:
    desk = Desk()
    who = replace(of_team("a", concurrent=1), limits=Limits(requests_per_min=2))
    permit = desk.admit(who)
    for _ in range(9):
        with pytest.raises(LimitReached, match="team 'red'"):
            desk.admit(who)
    permit.settle(None)
    desk.admit(who)


def test_limits_that_change_hold_for_the_next_request() -> None:
    desk = Desk()
    for _ in range(5):
        desk.admit(limited(requests_per_min=5))
    with pytest.raises(LimitReached):
        desk.admit(limited(requests_per_min=5))
    desk.admit(limited(requests_per_min=6))
    desk.admit(ALICE)


def test_a_budget_is_used_up_by_what_exchanges_cost() -> None:
    desk, who = Desk(DOLLAR_A_TOKEN), limited(money=dollars(50))
    desk.admit(who).settle(desk.finished(cost_microusd=30_000_000))
    desk.admit(who).settle(desk.finished(cost_microusd=20_000_000))
    with pytest.raises(
        LimitReached, match=r"used \$50\.00 of its \$50\.00 for this day; the next begins 20.*T00:00:00Z"
    ) as caught:
        desk.admit(who)
    assert (caught.value.code, caught.value.retry_after_s) == ("insufficient_quota", 43_200)
    desk.unix_ns += DAY_NS
    desk.admit(who)


def test_running_exchanges_hold_the_most_they_can_cost() -> None:
    desk, who = Desk(DOLLAR_A_TOKEN), limited(money=dollars(25))
    first = desk.admit(who)
    assert first.reserved_microusd == 10_000_000
    desk.admit(who)
    with pytest.raises(
        LimitReached, match=r"hold \$20\.00; this one may cost up to \$10\.00: ask for fewer max_tokens"
    ) as caught:
        desk.admit(who)
    assert (caught.value.code, caught.value.retry_after_s) == ("insufficient_quota", 1)
    desk.admit(who, sampling=Sampling(max_tokens=5)).settle(None)
    first.settle(desk.finished(cost_microusd=4_000_000))
    desk.admit(who)


def test_an_answer_without_a_limit_is_taken_for_the_expected_length() -> None:
    desk, who = Desk(DOLLAR_A_TOKEN, config=LimitsConfig(expected_output_tokens=7)), limited(money=dollars(100))
    assert desk.admit(who, sampling=Sampling(), choices=3).reserved_microusd == 21_000_000
    assert desk.admit(who, sampling=Sampling(), operation="embeddings", body_bytes=8).reserved_microusd == 2_000_000


def test_a_negative_length_holds_no_less_than_a_token() -> None:
    assert Desk(DOLLAR_A_TOKEN).admit(limited(money=dollars(9)), sampling=Sampling(max_tokens=-5)).reserved_microusd == 1_000_000


def test_counting_tokens_uses_none() -> None:
    desk, who = Desk(DOLLAR_A_TOKEN), limited(money=dollars(1), tokens_per_min=1)
    for _ in range(3):
        permit = desk.admit(who, operation="count_tokens", body_bytes=4000)
        assert permit.reserved_microusd == 0
        permit.settle(desk.finished(operation="count_tokens", input_tokens=1000, output_tokens=0))


def test_an_attachment_counts_as_an_image_and_not_by_its_bytes() -> None:
    desk, who = Desk(DOLLAR_A_TOKEN), limited(money=dollars(100_000))
    permit = desk.admit(who, body_bytes=4_000_000, attachments=2, text="x" * 400)
    assert permit.reserved_microusd == (100 + 3200 + 10) * 1_000_000
    assert desk.admit(who, body_bytes=4000, attachments=2).reserved_microusd == 1_010_000_000


@pytest.mark.parametrize(
    ("changes", "charged"),
    [
        ({"provider": "far", "status": Status.CANCELLED}, 10),
        ({"provider": None, "status": Status.CANCELLED}, 10),
        ({"provider": "far", "status": Status.FAILED}, 10),
        ({"provider": None, "status": Status.FAILED}, 0),
        ({"provider": None, "status": Status.BLOCKED}, 0),
    ],
)
def test_a_cost_that_stays_unknown_is_charged_as_what_was_held(changes: dict[str, Any], charged: int) -> None:
    desk, who = Desk(DOLLAR_A_TOKEN), limited(money=dollars(20))
    desk.admit(who).settle(desk.finished(cost_microusd=None, **changes))
    desk.admit(who, sampling=Sampling(max_tokens=20 - charged))
    with pytest.raises(LimitReached):
        desk.admit(who, sampling=Sampling(max_tokens=1))


def test_a_model_without_a_price_is_refused_to_a_key_with_a_budget_unless_allowed() -> None:
    desk, who = Desk(), limited(money=dollars(1))
    with pytest.raises(NotAllowed, match=r"what m costs is not known.*\[\[prices\]\]") as caught:
        desk.admit(who)
    assert caught.value.code == "price_unknown"
    desk.admit(ALICE)
    lenient = Desk(config=LimitsConfig(unknown_price="allow"), used=[used(MONDAY, 999_999)])
    lenient.admit(who).settle(lenient.finished(cost_microusd=1))
    with pytest.raises(LimitReached):
        lenient.admit(who)


def test_what_costs_nothing_is_admitted_when_the_budget_is_used_up() -> None:
    free = PriceConfig(model="m", input_usd=0, output_usd=0)
    Desk(free, used=[used(MONDAY, 5_000_000)]).admit(limited(money=dollars(5)))


def used(day: int, charged_microusd: int, *, key_id: str = "key_1", team: str | None = None, energy_j: float = 0.0) -> DayUse:
    return DayUse(
        key_id=key_id,
        team=team,
        day=day,
        exchanges=1,
        tokens=1,
        charged_microusd=charged_microusd,
        unknown_costs=0,
        energy_j=energy_j,
        unknown_energies=0,
    )


def test_a_restart_forgets_nothing_and_a_period_counts_its_own_days() -> None:
    days = [used(MONDAY - 1, 7_000_000), used(MONDAY, 1_000_000), used(MONDAY, 2_000_000, key_id="key_2")]
    tight: list[tuple[Period, int]] = [(Period.DAY, 1), (Period.WEEK, 1), (Period.MONTH, 8)]
    for period, spent in tight:
        desk = Desk(DOLLAR_A_TOKEN, used=days)
        desk.admit(limited(money=dollars(spent + 10, period))).settle(None)
        with pytest.raises(LimitReached):
            desk.admit(limited(money=dollars(spent + 9, period)))


def test_a_teams_use_before_the_restart_counts_for_the_team() -> None:
    desk = Desk(DOLLAR_A_TOKEN, used=[used(MONDAY, 4_000_000, key_id="x", team="red"), used(MONDAY, 5_000_000, team="red")])
    with pytest.raises(LimitReached, match=r"team 'red' has used \$9\.00"):
        desk.admit(of_team("new", money=dollars(9)))


def test_an_exchange_counts_for_the_day_it_came_in() -> None:
    desk, who = Desk(DOLLAR_A_TOKEN), limited(money=dollars(10))
    permit = desk.admit(who)
    before_midnight = desk.finished(cost_microusd=10_000_000)
    desk.unix_ns += DAY_NS
    permit.settle(before_midnight)
    desk.admit(who)


def test_an_energy_budget_admits_until_it_is_used_up() -> None:
    desk, who = Desk(), limited(energy=EnergyBudget(limit_j=5, period=Period.WEEK))
    desk.admit(who).settle(desk.finished(energy=joules(4.9)))
    desk.admit(who).settle(desk.finished(energy=joules(0.2)))
    with pytest.raises(LimitReached, match=r"used 5\.1 J of its 5 J for this week") as caught:
        desk.admit(who)
    assert caught.value.retry_after_s == 6.5 * 86_400


def test_an_upstream_that_is_not_metered_is_refused_to_a_key_with_an_energy_budget_unless_allowed() -> None:
    who = limited(energy=EnergyBudget(limit_j=5, period=Period.DAY))
    with pytest.raises(NotAllowed, match="energy") as caught:
        Desk(metered=False).admit(who)
    assert caught.value.code == "energy_unknown"
    desk = Desk(metered=False, config=LimitsConfig(unknown_energy="allow"))
    for _ in range(9):
        desk.admit(who).settle(desk.finished())


def test_operators_are_told_once_that_a_budget_is_used_up() -> None:
    desk, who = Desk(DOLLAR_A_TOKEN, used=[used(MONDAY, 9_000_000)]), limited(money=dollars(9))
    for _ in range(3):
        with pytest.raises(LimitReached):
            desk.admit(who)
    assert [alert.kind for alert in desk.alarms.alerts] == ["budget_reached"]
    assert "'alice' has used up its $9.00" in desk.alarms.alerts[0].message
    assert desk.refused == ["money"] * 3


def test_what_waits_is_not_under_way_until_it_begins() -> None:
    desk, who = Desk(), limited(concurrent=1, requests_per_min=2, tokens_per_min=30)
    permits = [desk.admit(who, waits=True) for _ in range(3)]
    live = desk.admit(who)
    assert permits[0].wait_s() == BUSY_RETRY_S
    with pytest.raises(LimitReached, match="1 request at the same time"):
        permits[0].begin()
    live.settle(desk.finished(input_tokens=3, output_tokens=7))
    for _ in range(2):
        assert permits[0].wait_s() == 0
        permits[0].begin()  # the second changes nothing
    with pytest.raises(LimitReached, match="1 request at the same time"):
        desk.admit(who)
    permits[0].settle(desk.finished(input_tokens=3, output_tokens=7))
    desk.now_s += 10
    assert permits[1].wait_s() == 50
    desk.now_s += 50
    permits[1].begin()
    permits[1].settle(None)
    permits[2].settle(None)
    desk.admit(who).settle(None)


def test_a_key_and_the_node_have_so_many_that_wait() -> None:
    desk = Desk(config=LimitsConfig(waiting_per_key=2, waiting=3))
    bob = replace(ALICE, key_id=KeyId("key_2"), name="bob")
    permits = [desk.admit(ALICE, waits=True), desk.admit(ALICE, waits=True)]
    with pytest.raises(LimitReached, match=r"'alice' may have 2 requests that wait.*make them a batch") as caught:
        desk.admit(ALICE, waits=True)
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (429, "too_many_waiting", 60)
    desk.admit(ALICE).settle(None)  # a live one is another matter
    other = desk.admit(bob, waits=True)
    with pytest.raises(LimitReached, match="this node may have 3 requests that wait"):
        desk.admit(bob, waits=True)
    permits[0].begin()
    desk.admit(bob, waits=True)
    for permit in (*permits, other):
        permit.settle(None)
    assert desk.refused == ["waiting", "waiting"]


def test_what_waits_holds_its_money_and_costs_nothing_if_it_never_begins() -> None:
    desk, who = Desk(DOLLAR_A_TOKEN), limited(money=dollars(15))
    waiting = desk.admit(who, waits=True)  # ten dollars
    with pytest.raises(LimitReached, match="requests under way hold"):
        desk.admit(who)
    left: dict[str, Any] = {"status": Status.CANCELLED, "provider": None, "cost_microusd": None, "energy": NOTHING_RAN}
    waiting.settle(desk.finished(**left, input_tokens=None, output_tokens=None))
    desk.admit(who, sampling=Sampling(max_tokens=15))


def test_an_energy_budget_that_was_used_up_meanwhile_lets_nothing_begin() -> None:
    desk, who = Desk(), limited(energy=EnergyBudget(limit_j=5, period=Period.DAY))
    waiting = desk.admit(who, waits=True)
    desk.admit(who).settle(desk.finished(energy=joules(6)))
    assert waiting.wait_s() == 43_200
    with pytest.raises(LimitReached, match="has used 6 J"):
        waiting.begin()
    assert desk.refused == ["energy"]
    desk.unix_ns += DAY_NS
    waiting.begin()


def test_every_reason_told_is_one_of_those_announced() -> None:
    metered, bare = Desk(DOLLAR_A_TOKEN, used=[used(MONDAY, 10**9, energy_j=9)]), Desk(metered=False)
    cases: list[tuple[Desk, Principal]] = [
        (metered, replace(ALICE, models=("x",))),
        (metered, limited(money=dollars(1))),
        (metered, limited(energy=EnergyBudget(limit_j=1, period=Period.DAY))),
        (bare, limited(money=dollars(1))),
        (bare, limited(energy=EnergyBudget(limit_j=1, period=Period.DAY))),
    ]
    for desk, who in cases:
        with pytest.raises((NotAllowed, LimitReached)):
            desk.admit(who)
    crowded = Desk(config=LimitsConfig(waiting=1))
    crowded.admit(ALICE, waits=True)
    with pytest.raises(LimitReached):
        crowded.admit(ALICE, waits=True)
    for limits in ({"concurrent": 1}, {"requests_per_min": 1}, {"tokens_per_min": 1}):
        metered.admit(limited(replace(ALICE, key_id=KeyId(str(limits))), **limits))
        with pytest.raises(LimitReached):
            metered.admit(limited(replace(ALICE, key_id=KeyId(str(limits))), **limits))
    assert {*metered.refused, *bare.refused, *crowded.refused} == set(LimitKeeper.REASONS)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["ask", "end", "wait"]), st.integers(0, 30)), max_size=60), st.integers(1, 60))
def test_a_budget_is_never_overdrawn_by_answers_within_their_max_tokens(steps: list[tuple[str, int]], limit: int) -> None:
    desk, who, running, spent = Desk(DOLLAR_A_TOKEN), limited(money=dollars(limit, Period.MONTH)), [], 0
    for what, amount in steps:
        if what == "ask":
            try:
                running.append((desk.admit(who, sampling=Sampling(max_tokens=amount + 1)), amount + 1))
            except LimitReached:
                continue
        elif what == "end" and running:
            permit, most = running.pop(amount % len(running))
            cost = min(amount, most)
            permit.settle(desk.finished(cost_microusd=cost * 1_000_000))
            spent += cost
        elif what == "wait":
            desk.now_s += amount
        assert spent + sum(most for _, most in running) <= limit


@pytest.mark.parametrize(("microusd", "text"), [(0, "$0.00"), (250_000, "$0.25"), (1234, "$0.001234"), (12_345_678, "$12.35")])
def test_amounts_are_told_in_dollars(microusd: int, text: str) -> None:
    desk = Desk(DOLLAR_A_TOKEN, used=[used(MONDAY, microusd)])
    with pytest.raises(LimitReached) as caught:
        desk.admit(limited(money=dollars(13)), sampling=Sampling(max_tokens=99))
    assert f"has used {text} of its $13.00" in caught.value.message
