import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from freehold.core.exchange import ExchangeId
from freehold.core.measurement import Carbon, Footprint
from freehold.store.database import open_writer, transaction
from freehold.store.reader import RecordReader
from freehold.store.rows import INSERT_ENTRY, entry_row
from freehold.store.totals import RecordedTotals
from tests.store.drafts import MODELLED, entry
from tests.store.logs import broken, check, honest, log_writer, tamper

CARBON = Carbon(g=0.25, low_g=0.1, high_g=0.5, zone="ISL", year=2022)
WHOLE = Footprint(by_tokens_j=3.0, by_time_j=4.0, carbon=CARBON, embodied_g=0.01, water_l=0.002, electricity_microusd=7)
END_NS = 1 << 62


async def test_what_an_exchange_took_comes_back_and_is_bound_by_the_log(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    draft = honest("xc_1")
    draft = replace(draft, claims=replace(draft.claims, carbon=CARBON), entry=replace(draft.entry, footprint=WHOLE))
    with closing(log_writer(path)) as writer:
        await writer.record(draft)
    reader = RecordReader(path)
    assert reader.recent(1)[0][1].footprint == WHOLE
    reader.close()
    assert check(path).broken is None
    for change in ("carbon_g = 0.2", "water_l = 0.001", "energy_by_time_j = NULL", "electricity_microusd = 6"):
        copy = Path(shutil.copy(path, tmp_path / "copy.db"))
        tamper(copy, f"UPDATE ledger SET {change}")
        assert broken(copy).what == "changed"


def test_totals_are_of_what_is_known_and_say_how_much_that_is(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    known = replace(entry("xc_1"), energy=MODELLED, footprint=WHOLE, cost_microusd=5)
    with closing(open_writer(path, 1.0)) as connection, transaction(connection):
        for i, one in enumerate((known, replace(known, exchange_id=ExchangeId("xc_2")), entry("xc_3"))):
            connection.execute(INSERT_ENTRY, entry_row(replace(one, received_at_ns=one.received_at_ns + i)))
    (total,) = RecordedTotals(path).between(0, END_NS)
    assert (total.requests, total.known_requests, total.carbon_requests, total.unknown_costs) == (3, 2, 2, 1)
    assert (total.energy_j, total.low_j, total.by_tokens_j, total.by_time_j) == (7.0, 3.2, 6.0, 8.0)
    assert (total.tokens, total.known_tokens) == (186, 124)
    assert (total.carbon_g, total.water_l, total.electricity_microusd, total.cost_microusd) == (0.5, 0.004, 14, 10)
    assert total.grades == "modelled"
    assert RecordedTotals(path).between(0, known.received_at_ns) == []


async def test_rows_of_the_log_by_their_kind(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    with closing(log_writer(path)) as writer:
        await writer.append("efficiency_event", {"what": "quantised", "models": ["m"]})
        await writer.append("policy_loaded", {"of": "guard"})
    (row,) = RecordedTotals(path).log_rows("efficiency_event", 0, END_NS)
    assert row.facts == {"what": "quantised", "models": ["m"]}
