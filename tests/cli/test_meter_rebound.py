"""What `freehold meter rebound` tells of a ledger."""

import asyncio
import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.core.exchange import KeyId
from freehold.core.limits import DAY_NS
from freehold.core.measurement import Grade, Measurement
from freehold.provenance.keys import node_key
from freehold.provenance.signer import NodeSigner
from freehold.store.database import open_writer
from freehold.store.rows import INSERT_ENTRY, entry_row
from freehold.store.writer import RecordWriter
from tests.store.drafts import entry

DAYS_AGO = 30


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Two teams, sixty days; thirty days ago one of them got a model that takes 40 % less, and asks for a fifth more."""
    path = tmp_path / "record.db"
    today = time.time_ns() // DAY_NS
    key = node_key(tmp_path / "keys")
    writer = RecordWriter(path, NodeSigner(key), sealer=key)
    facts = {"what": "model_swapped", "models": ["small"], "at_ns": (today - DAYS_AGO) * DAY_NS, "note": "Q8_0 in place of F16"}
    asyncio.run(writer.append("efficiency_event", facts))
    writer.close()
    with closing(open_writer(path, 1.0)) as connection:
        for day in range(today - 60, today):
            is_after = day >= today - DAYS_AGO
            for team, model, tokens, joules in (
                ("blue", "small", 12_000 if is_after else 10_000, 0.3 if is_after else 0.5),
                ("green", "steady", 8_000, 0.8),
            ):
                wobble = 1 + (day * 7919 % 13 - 6) / 200
                energy_j = tokens * wobble * joules
                one = replace(
                    entry(f"xc_{day}_{team}"),
                    received_at_ns=day * DAY_NS + 5,
                    team=team,
                    key_id=KeyId(team),
                    model=model,
                    input_tokens=round(tokens * wobble) - 100,
                    output_tokens=100,
                    energy=Measurement(grade=Grade.MODELLED, source="x", energy_j=energy_j, low_j=energy_j, high_j=energy_j),
                )
                connection.execute(INSERT_ENTRY, entry_row(one))
    return path


def test_owning_reckons_with_the_elasticity_that_was_measured(record: Path) -> None:
    asked = ("plan", "own", "--model", "qwen3-32b", "--chip", "H100", "--usd-per-kwh", "0.2", "--file", str(record), "--all")
    result = CliRunner().invoke(main, [*asked, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    measured = json.loads(rebound("--file", str(record), "--json").stdout)["events"][0]["elasticity"]["value"]
    assert [grown["elasticity"] for grown in told["grown"]] == [round(measured, 2)]


def rebound(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["meter", "rebound", *arguments])


def test_an_event_is_judged_and_told(record: Path) -> None:
    result = rebound("--file", str(record))
    assert result.exit_code == 0, result.output
    assert "model_swapped: small (Q8_0 in place of F16)" in result.stdout
    assert "Energy per 1k tokens fell 40 %; tokens rose 20 %" in result.stdout
    document = json.loads(rebound("--file", str(record), "--json").stdout)
    (event,) = document["events"]
    assert event["verdict"] in ("saving", "partial rebound")
    assert event["elasticity"]["value"] == pytest.approx(0.357, abs=0.02)  # ln 1.2 / ln (0.5 / 0.3)
    assert event["affected"] == ["blue"]
    parts = event["decomposition"]
    assert parts["requests_j"] + parts["length_j"] + parts["intensity_j"] == pytest.approx(parts["change_j"], abs=1e-6)
    assert document["recent"]["days"] == 28


def test_a_ledger_without_events_still_tells_why_energy_changed(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    open_writer(path, 1.0).close()
    result = rebound("--file", str(path))
    assert result.exit_code == 0, result.output
    assert "nothing changed what a token takes" in result.stdout


def test_days_that_cannot_be_are_refused(record: Path) -> None:
    result = rebound("--file", str(record), "--days", "0")
    assert (result.exit_code, "between 1 and 3,660" in result.output) == (2, True)
