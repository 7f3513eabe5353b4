from dataclasses import replace

from freehold.core.measurement import EnergyTotals, Grade
from freehold.core.ports import EngineLoad
from freehold.core.totals import LogRow
from freehold.meter.journal import EVENT, WINDOW, MeterJournal, Served, change, last_prices, last_served, lines, window
from tests.fakes.energy import HandClock
from tests.fakes.oversight import InMemoryAudit

SEEN = EnergyTotals(
    source="rapl",
    grade=Grade.MEASURED_COUNTER,
    device="cpu",
    seconds=10,
    unknown_s=0,
    energy_j=1000,
    attributed_j=500,
    idle_j=300,
    unattributed_j=150,
    load_j=50,
)
LOAD = EngineLoad(
    running=0,
    waiting=0,
    pages=1,
    free_pages=1,
    input_tokens_per_s=0,
    output_tokens_per_s=0,
    model_id="ab",
    build="freehold 1 avx2",
)


def rows(audit: InMemoryAudit, kind: str) -> list[LogRow]:
    return [LogRow(n=n, at_ns=n, facts=facts) for n, (name, facts, _) in enumerate(audit.rows) if name == kind]


async def test_rows_add_up_to_what_the_engine_saw_over_its_lives() -> None:
    audit, clock, load = InMemoryAudit(), HandClock(), [LOAD]
    journal = MeterJournal(audit, lambda: load[0], "m", None, clock, every_s=300)
    for seconds, energy_j in ((10, 1000), (200, 5000), (301, 9000), (400, 9500), (3, 70), (5, 90)):
        load[0] = replace(LOAD, energy=replace(SEEN, seconds=seconds, energy_j=energy_j, idle_j=energy_j / 2))
        clock.turn(100)
        await journal.look()
    await journal.write()
    sums = lines(rows(audit, WINDOW))
    assert (sums["energy_j"], sums["idle_j"], sums["seconds"]) == (9590, 4795, 405)
    written = len(rows(audit, WINDOW))
    await journal.write()  # nothing new
    assert len(rows(audit, WINDOW)) == written


async def test_another_model_or_build_is_an_event_and_the_first_is_what_they_are_told_from() -> None:
    audit, load = InMemoryAudit(), [LOAD]
    for model_id, build in (("ab", "1"), ("ab", "1"), ("ab", "2"), ("cd", "2")):
        load[0] = replace(LOAD, model_id=model_id, build=build)
        journal = MeterJournal(audit, lambda: load[0], "m", last_served(rows(audit, EVENT)), HandClock())
        await journal.look()
        await journal.look()
    said = [row.facts for row in rows(audit, EVENT)]
    assert [facts["what"] for facts in said] == ["first", "engine_upgraded", "model_swapped"]
    assert said[1]["from"] == {"model": "m", "model_id": "ab", "build": "1"}
    assert said[2]["models"] == ["m"]


async def test_an_engine_that_does_not_run_is_no_event() -> None:
    audit = InMemoryAudit()
    await MeterJournal(audit, lambda: replace(LOAD, model_id=None, build=None), "m", None, HandClock()).look()
    assert audit.rows == []


def test_a_swap_names_both_models() -> None:
    facts = change(Served(model="a", model_id="1", build="x"), Served(model="b", model_id="2", build="x"))
    assert facts is not None
    assert (facts["what"], facts["models"]) == ("model_swapped", ["a", "b"])


def test_what_a_source_cannot_tell_is_left_out_of_the_row() -> None:
    facts = window(None, replace(SEEN, idle_j=None))
    assert facts is not None
    assert "idle_j" not in facts
    assert window(SEEN, SEEN) is None


def test_the_prices_noted_last() -> None:
    def row(**facts: object) -> LogRow:
        return LogRow(n=1, at_ns=1, facts=facts)

    assert last_prices([]) is None
    assert (
        last_prices([row(what="first", to="a"), row(what="first", to={"model": "m"}), row(what="price_changed", to="b")]) == "b"
    )
