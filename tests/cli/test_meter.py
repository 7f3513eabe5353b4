"""What `freehold meter` prints, and what it refuses with exit code 2 and a sentence."""

import csv
import io
import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.core.exchange import ExchangeId
from freehold.core.measurement import NOTHING_RAN, Carbon, Footprint, Grade, Measurement
from freehold.store.audit import append, decision
from freehold.store.database import open_writer, transaction
from freehold.store.rows import INSERT_ENTRY, entry_row
from tests.store.drafts import MODELLED, entry

REMOTE = Measurement(grade=Grade.REMOTE_MODEL, source="ecologits", energy_j=400.0, low_j=100.0, high_j=700.0)
CARBON = Footprint(by_tokens_j=2.0, by_time_j=5.0, carbon=Carbon(g=0.25, zone="ISL", year=2022), electricity_microusd=12)
WINDOW = {"source": "rapl", "grade": "measured_counter", "seconds": 60.0, "energy_j": 100.0, "attributed_j": 20.0, "idle_j": 80.0}


def meter(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["meter", *arguments])


def told(*arguments: str) -> Any:
    result = meter(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def record(home: Path) -> Path:
    path, now_ns = home / "record.db", time.time_ns()
    known = replace(entry("xc_1"), energy=MODELLED, footprint=CARBON, team="red")
    remote = replace(entry("xc_2"), energy=REMOTE, provider="openai", model="gpt-4o", model_id=None, cost_microusd=900)
    with closing(open_writer(path, 1.0)) as connection, transaction(connection):
        for one in (known, replace(known, exchange_id=ExchangeId("xc_4")), remote, replace(entry("xc_3"), provider="other")):
            connection.execute(INSERT_ENTRY, entry_row(replace(one, received_at_ns=now_ns)))
        append(connection, [decision("energy_window", WINDOW, now_ns)])
    return path


def test_the_report_is_the_ledgers(record: Path) -> None:
    document = told("report")
    lines = {line["name"]: line for line in document["lines"]}
    assert lines["smollm2-135m at freehold"]["energy_j"] == 7.0
    assert lines["smollm2-135m at freehold"]["by_time_j"] == 10.0
    assert lines["gpt-4o at openai"]["low_j"] == 100.0
    nothing_known = lines["smollm2-135m at other"]
    for name in ("energy_j", "local_j", "low_j", "high_j", "by_tokens_j", "by_time_j", "carbon_low_g", "embodied_g", "water_l"):
        assert nothing_known[name] is None, name
    assert document["all"]["energy_j"] == 407.0
    assert document["all"]["unknown_share"] == 0.25
    assert document["energy_j_by_grade"] == {"modelled": 7.0, "remote_model": 400.0}
    assert document["machine"]["idle_j"] == 80.0
    assert document["all"]["sci_g_per_1k_output_tokens"] == 5.0
    assert document["all"]["sci_has_embodied"] is False


def test_the_table_has_grades_shares_and_what_was_nobodys(record: Path) -> None:
    shown = meter("report", "--chart", "--by", "team").stdout
    for words in ("(no team)", "red", "remote_model", "idle", "80.0%", "by tokens", "25%", "pue is not set", "█", "* without"):
        assert words in shown, words


def test_what_was_refused_ran_nowhere_and_is_in_no_share(record: Path) -> None:
    refused = replace(entry("xc_5"), provider=None, model="unknown", model_id=None, energy=NOTHING_RAN, cost_microusd=None)
    with closing(open_writer(record, 1.0)) as connection, transaction(connection):
        connection.execute(INSERT_ENTRY, entry_row(replace(refused, received_at_ns=time.time_ns())))
    document = told("report")
    (line,) = [line for line in document["lines"] if line["name"] == "unknown"]
    assert (line["requests"], line["refused_requests"], line["unknown_share"], line["energy_j"]) == (1, 1, 0.0, None)
    assert (document["all"]["requests"], document["all"]["unknown_share"]) == (5, 0.25)
    shown = meter("report", "--chart").stdout
    assert "nothing ran" in shown
    assert "1 requests were refused before anything ran" in shown
    assert "unknown for 25% of the requests that ran" in shown


def test_csv_has_a_line_each(record: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(meter("report", "--by", "key", "--csv").stdout)))
    assert [(row["key"], float(row["energy_j"]), row["water_l"]) for row in rows] == [("key_1", 407.0, "")]


def test_a_time_without_requests_says_so(record: Path) -> None:
    assert "Nothing was asked" in meter("report", "--from", "2020-01-01", "--to", "2020-01-31").stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("report", "--from", "yesterday"), "is no day"),
        (("report", "--from", "2026-02-30"), "is no day"),
        (("report", "--from", "2026-02-02", "--to", "2026-02-01"), "lies after"),
        (("report", "--by", "moon"), "moon"),
        (("event", "quantised", "--model", "m", "--at", "2100-01-01"), "not in the past"),
        (("event", "quantised", "--model", "m", "--at", "once"), "is no time"),
        (("event", "exploded", "--model", "m"), "exploded"),
        (("event", "quantised"), "--model"),
        (("event", "quantised", "--model", ""), "not empty"),
        (("event", "price_changed", "--model", "m"), "two prices"),
        (("event", "price_changed", "--model", "m", "--from", "dear", "--to", "5"), "two prices"),
        (("event", "price_changed", "--model", "m", "--from", "nan", "--to", "5"), "two prices"),
        (("event", "price_changed", "--model", "m", "--from", "5", "--to", "-1"), "two prices"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(record: Path, arguments: tuple[str, ...], why: str) -> None:
    result = meter(*arguments)
    assert result.exit_code == 2
    assert why in result.output


@pytest.mark.parametrize("command", ["report", "rebound"])
def test_without_a_record_it_says_how_to_get_one(home: Path, command: str) -> None:
    result = meter(command)
    assert (result.exit_code, "first start" in result.output) == (2, True)


def test_an_event_noted_by_hand_is_a_row_of_the_log_that_holds(record: Path) -> None:
    noted = (
        "event",
        "price_changed",
        "--model",
        "gpt-4o*",
        "--from",
        "10",
        "--to",
        "5",
        "--note",
        "list of May",
        "--at",
        "2026-05-01",
    )
    assert meter(*noted).exit_code == 0
    with closing(open_writer(record, 1.0)) as connection:
        (row,) = connection.execute("SELECT facts, seal FROM audit WHERE kind = 'efficiency_event'").fetchall()
    facts = json.loads(row["facts"])
    assert (facts["what"], facts["models"], facts["from"], facts["to"]) == ("price_changed", ["gpt-4o*"], 10.0, 5.0)
    assert facts["at_ns"] == 1_777_593_600_000_000_000
    assert row["seal"] is not None


def test_sources_say_what_is_there_and_why_the_rest_is_not(home: Path) -> None:
    found = {one["kind"]: one for one in told("sources")["sources"]}
    assert list(found) == ["external", "nvml", "rapl", "utilisation-model", "tdp-model", "cpu-time-model"]
    assert found["cpu-time-model"]["is_there"]
    assert all(one["detail"] for one in found.values())
    assert "a model on processors:" in meter("sources").stdout


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ('country = "Atlantis"', "no country 'Atlantis'"),
        ('country = "ISL"\nfactors = "bad.csv"', "row 1: g_per_kwh '-4'"),
        ("idle_w = -3", "idle_w -3 must be above 0"),
        ("pue = 0.5", "pue 0.5 must be from 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(home: Path, setting: str, why: str) -> None:
    (home / "bad.csv").write_text("zone,year,g_per_kwh\nISL,2024,-4\n")
    (home / "freehold.toml").write_text(f"[meter]\n{setting}\n")
    result = meter("sources")
    assert result.exit_code == 2
    assert why in result.output
