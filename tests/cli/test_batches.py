import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.cli.batches import opened
from freehold.core.batches import Batch, BatchError, BatchStatus
from freehold.core.deferral import Turn
from freehold.core.exchange import KeyId
from freehold.core.measurement import Grade, Measurement
from freehold.store.batches import new_batch_id
from freehold.store.database import open_writer
from freehold.store.writer import RecordWriter
from tests.store.drafts import ChainSigner, draft

NIGHT = Turn(
    arrived_s=1_780_000_000.0, at_once_s=1_780_000_000.0, ran_s=1_780_007_200.0, deadline_s=1_780_086_400.0, batch="batch_a",
    g_at_once=400.0, g_at_run=100.0, price_at_once=0.4, price_at_run=0.1,
)  # fmt: skip


@pytest.fixture
def home(home: Path) -> Path:
    (home / "freehold.toml").write_text('[signal]\ncurrency = "EUR"\n')
    return home


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["batches", *words])


@pytest.fixture
def batch(home: Path) -> Iterator[Batch]:
    open_writer(home / "record.db", 1.0).close()
    with opened() as store:
        upload = store.begin_upload()
        upload.write(b"{}\n")
        file = upload.finish(key_id=KeyId("key_1"), purpose="batch", filename="x", created_at_s=1, expires_at_s=9_999_999_999)
        made = Batch(
            id=new_batch_id(), key_id=KeyId("key_1"), endpoint="/v1/responses", input_file_id=file.id, completion_window="24h",
            created_at_s=1_780_000_000, expires_at_s=1_780_086_400, deadline_s=1_780_086_400.0, is_deferrable=True,
        )  # fmt: skip
        yield store.create(made)


def test_batches_are_listed_shown_and_cancelled(home: Path, batch: Batch) -> None:
    assert run("list").stdout.split("\n")[1].split()[:3] == [batch.id, "key_1", "validating"]
    assert json.loads(run("list", "--json", "--key", "key_2").stdout) == []
    shown = run("show", batch.id)
    assert "created 2026-05-28" in shown.stdout
    assert json.loads(run("show", batch.id, "--json").stdout)["key_id"] == "key_1"
    assert "is cancelling" in run("cancel", batch.id).stdout
    assert json.loads(run("list", "--json").stdout)[0]["status"] == "cancelling"
    with opened() as store:
        store.finish(batch.id, BatchStatus.CANCELLED, 1_780_000_100, ttl_s=10)
    again = run("cancel", batch.id)
    assert again.exit_code == 2
    assert "nothing left to cancel" in again.stderr
    assert run("show", "batch_none").exit_code == 2


def test_what_was_wrong_with_its_lines_is_shown(home: Path, batch: Batch) -> None:
    error = BatchError(code="invalid_json_line", message="this line is not valid JSON in UTF-8", line=7)
    with opened() as store:
        store.change(batch.id, lambda one: replace(one, status=BatchStatus.FAILED, errors=(error,)))
    assert "line 7: invalid_json_line: this line is not" in run("show", batch.id).stdout


async def test_the_report_is_what_the_ledger_says(home: Path) -> None:
    assert "nothing that could wait" in run("report").stdout
    with closing(RecordWriter(home / "record.db", ChainSigner())) as writer:
        for n, (turn, energy_j) in enumerate(
            [(NIGHT, 3.6e6), (NIGHT, None), (replace(NIGHT, batch=None, g_at_run=None, is_late=True), 7.2e6), (None, 1.0)]
        ):
            made = draft(f"xc_{n}")
            energy = made.entry.energy
            if energy_j is not None:
                energy = Measurement(grade=Grade.MODELLED, source="test", energy_j=energy_j)
            await writer.record(replace(made, entry=replace(made.entry, energy=energy, turn=turn)))
    told = json.loads(run("report", "--json").stdout)
    assert told["currency"] == "EUR"
    of_batch, of_requests = told["rows"]
    assert of_batch == {
        "batch": "batch_a", "exchanges": 2, "late": 0, "energy_known": 1, "energy_j": 3.6e6, "carbon_known": 1,
        "carbon_at_once_g": 400.0, "carbon_spared_g": 300.0, "price_known": 1, "price_at_once": 0.4,
        "price_spared": pytest.approx(0.3),
    }  # fmt: skip
    assert (of_requests["batch"], of_requests["late"], of_requests["carbon_spared_g"]) == ("requests", 1, None)
    assert of_requests["price_spared"] == pytest.approx(0.6)
    table = run("report").stdout
    assert "75%" in table
    assert "2.00 h" in table
    assert "unknown" in table
    for by in ("day", "key", "model"):
        (row,) = json.loads(run("report", "--by", by, "--json").stdout)["rows"]
        assert row["exchanges"] == 3
    assert json.loads(run("report", "--since", "2100-01-01", "--json").stdout)["rows"] == []
