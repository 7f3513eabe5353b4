"""Budgets over a restart: what the gateway counted in memory is what the store reads back from the ledger."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import LimitReached
from freehold.core.exchange import KeyId, Principal
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.limits import DAY_NS, EnergyBudget, Limits, MoneyBudget, Period
from freehold.core.measurement import NOTHING_RAN, UNKNOWN_ENERGY
from freehold.gateway.admission import LimitKeeper
from freehold.gateway.config import PriceConfig
from freehold.gateway.prices import PriceList
from freehold.store.database import open_writer
from freehold.store.rows import INSERT_ENTRY, entry_row
from freehold.store.usage import RecordedUsage
from tests.gateway.test_admission import exchange, joules
from tests.store.drafts import entry

TODAY = 20_781
KEYS = [(KeyId("a"), None), (KeyId("b"), "red"), (KeyId("c"), "red")]
MONEY = MoneyBudget(limit_microusd=10**9, period=Period.MONTH)
WHO = [
    Principal(key_id=key_id, name=key_id, team=team, limits=Limits(money=MONEY), team_limits=Limits(money=MONEY))
    for key_id, team in KEYS
]


def keeper(used: Any = ()) -> LimitKeeper:
    return LimitKeeper(
        prices=PriceList([PriceConfig(model="*", input_usd=1, output_usd=1)]),
        upstreams_for=lambda _model: ["far"],
        is_metered=lambda _upstream: True,
        used=used,
        unix_ns=lambda: TODAY * DAY_NS,
    )


ends = st.tuples(
    st.sampled_from(range(len(WHO))),
    st.integers(0, 31),  # days ago
    st.none() | st.integers(0, 900),  # what it cost
    st.sampled_from(Status),
    st.sampled_from([None, "far"]),
    st.sampled_from([UNKNOWN_ENERGY, NOTHING_RAN]) | st.floats(0.1, 9).map(joules),
)


@settings(max_examples=30)
@given(st.lists(ends, max_size=12))
def test_a_restart_forgets_nothing(finished: list[Any]) -> None:
    before, rows = keeper(), list[LedgerEntry]()
    for n, (who, days_ago, cost, status, provider, energy) in enumerate(finished):
        permit = before.admit(WHO[who], exchange(WHO[who]))
        one = replace(
            entry(f"xc_{n}"),
            key_id=WHO[who].key_id,
            team=WHO[who].team,
            received_at_ns=(TODAY - days_ago) * DAY_NS + n,
            status=status,
            provider=provider,
            cost_microusd=cost if provider else None,
            reserved_microusd=permit.reserved_microusd,
            energy=energy,
        )
        permit.settle(one)
        rows.append(one)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "record.db"
        with closing(open_writer(path, 1.0)) as connection:
            for one in rows:
                connection.execute(INSERT_ENTRY, entry_row(one))
        after = keeper(RecordedUsage(path).since(0))
    for principal in WHO:
        for use, again in zip(
            before._of(principal.key_id, principal.team), after._of(principal.key_id, principal.team), strict=True
        ):
            assert {day: cost for day, cost in use.charged_microusd.items() if cost} == {
                day: cost for day, cost in again.charged_microusd.items() if cost
            }
            assert {d: round(j, 6) for d, j in use.energy_j.items() if j} == {
                d: round(j, 6) for d, j in again.energy_j.items() if j
            }


def test_an_energy_budget_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    with closing(open_writer(path, 1.0)) as connection:
        one = replace(entry("xc_1"), received_at_ns=TODAY * DAY_NS, energy=joules(5.0))
        connection.execute(INSERT_ENTRY, entry_row(one))
    who = Principal(key_id=KeyId("key_1"), name="n", limits=Limits(energy=EnergyBudget(limit_j=5.1, period=Period.DAY)))
    again = keeper(RecordedUsage(path).since(TODAY * DAY_NS))
    again.admit(who, exchange(who)).settle(replace(one, energy=joules(0.2)))
    with pytest.raises(LimitReached, match=r"5\.2 J of its 5\.1 J"):
        again.admit(who, exchange(who))
