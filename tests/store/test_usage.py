from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.core.exchange import KeyId
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.limits import DAY_NS, DayUse
from freehold.store.database import open_writer
from freehold.store.rows import INSERT_ENTRY, entry_row
from freehold.store.usage import RecordedUsage
from tests.store.drafts import MODELLED, entry


def store(path: Path, *entries: LedgerEntry) -> RecordedUsage:
    with closing(open_writer(path, 1.0)) as connection:
        for one in entries:
            connection.execute(INSERT_ENTRY, entry_row(one))
    return RecordedUsage(path)


def on_day(day: int, n: int, **changes: object) -> LedgerEntry:
    return replace(entry(f"xc_{day}_{n}"), received_at_ns=day * DAY_NS + n, **changes)  # type: ignore[arg-type]


def test_each_key_team_and_day_has_its_sum(tmp_path: Path) -> None:
    usage = store(
        tmp_path / "record.db",
        on_day(9, 0, cost_microusd=1),
        on_day(10, 0, cost_microusd=3, energy=MODELLED),
        on_day(10, 1, cost_microusd=4),
        on_day(11, 1, cost_microusd=5),
        on_day(11, 2, cost_microusd=6, team="red"),
        on_day(11, 3, cost_microusd=7, key_id=KeyId("key_2")),
    )
    found = {(use.key_id, use.team, use.day): use for use in usage.since(10 * DAY_NS)}
    assert {of: use.charged_microusd for of, use in found.items()} == {
        ("key_1", None, 10): 7,
        ("key_1", None, 11): 5,
        ("key_1", "red", 11): 6,
        ("key_2", None, 11): 7,
    }
    assert found["key_1", None, 10] == DayUse(
        key_id="key_1",
        team=None,
        day=10,
        exchanges=2,
        tokens=124,
        charged_microusd=7,
        unknown_costs=0,
        energy_j=3.5,
        unknown_energies=1,
    )


def test_an_unknown_cost_is_charged_as_what_was_held_for_it(tmp_path: Path) -> None:
    usage = store(
        tmp_path / "record.db",
        on_day(1, 0, cost_microusd=None, reserved_microusd=50),
        on_day(1, 1, cost_microusd=None, reserved_microusd=None),
        on_day(1, 2, cost_microusd=None, reserved_microusd=70, provider=None, status=Status.CANCELLED, input_tokens=None),
        on_day(1, 3, cost_microusd=None, reserved_microusd=900, provider=None, status=Status.FAILED, output_tokens=None),
    )
    (use,) = usage.since(0)
    assert (use.charged_microusd, use.unknown_costs, use.unknown_energies) == (120, 3, 2)
    assert use.tokens == 62 * 2 + 50 + 12


def test_an_empty_ledger_has_no_use_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert store(tmp_path / "record.db").since(0) == []
    with pytest.raises(DeviceError):
        RecordedUsage(tmp_path / "none.db").since(0)
