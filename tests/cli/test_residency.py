import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold import config as configuration
from freehold.cli import main
from freehold.core.exchange import ExchangeId
from freehold.core.findings import Context
from freehold.gateway.placement import facts_of
from freehold.guard.residency import ENGINE, LabelPolicy
from freehold.residency import load_residency
from tests.guard.test_residency import EMAIL, EU_ONLY, EVERYWHERE, NOW_NS, policy
from tests.store.logs import honest, log_writer, tamper

CONFIG = """
[[upstreams]]
name = "berlin"
url = "https://berlin.example/v1"
models = ["large"]

[[upstreams]]
name = "oregon"
url = "https://oregon.example/v1"
models = ["large", "small"]

[residency.labels.internal]
allowed = ["*"]

[residency.labels.personal]
allowed = ["EEA"]

[residency.upstreams.berlin]
region = "eu-central-1"
operator = "Beispiel GmbH"
jurisdiction = "DE"
transfer_basis = "eea"
retention_days = 0
attested_at = 2026-01-01
expires_at = 2099-12-31

[residency.upstreams.oregon]
region = "us-west-2"
operator = "Example Inc"
jurisdiction = "US"
transfer_basis = "scc"
attested_at = 2026-01-01
"""


@pytest.fixture
def home(home: Path) -> Path:
    (home / "freehold.toml").write_text(CONFIG)
    return home


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["residency", *words])


def test_check_says_who_may_have_what_and_why_not_the_others(home: Path) -> None:
    result = run("check", "--labels", "personal", "--model", "large")
    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.output.splitlines() if line}
    assert "yes" in rows["berlin"]
    assert "jurisdiction_not_allowed" in rows["oregon"]
    assert ENGINE not in rows
    document = json.loads(run("check", "--found", "personal_data", "--json").output)
    assert document["allowed"] == [ENGINE, "berlin"]
    assert document["origins"] == [["internal", "rule"], ["personal", "detector"]]


def test_what_a_rule_finds_counts_as_its_category_too(home: Path) -> None:
    (home / "freehold.toml").write_text('[guard]\npolicy = "policy.toml"\n' + CONFIG)
    (home / "policy.toml").write_text('[[dictionaries]]\nid = "staff"\ncategory = "personal_data"\nterms = ["Ada Lovelace"]\n')
    for rule in ("email", "staff"):
        document = json.loads(run("check", "--found", rule, "--json").output)
        assert document["origins"] == [["internal", "rule"], ["personal", "detector"]]
        assert "oregon" not in document["allowed"]


def test_check_tells_by_its_exit_code_that_nobody_may(home: Path) -> None:
    assert run("check", "--labels", "personal", "--model", "small").exit_code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "--labels", "harmless"], "no label 'harmless'"),
        (["check", "--model", "nobodys"], "no upstream serves"),
        (["check", "--found", "emial"], "no rule or category 'emial'; did you mean 'email'"),
    ],
)
def test_what_cannot_be_asked_is_told(home: Path, words: list[str], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_without_a_table_check_says_that_nothing_is_restricted(home: Path) -> None:
    (home / "freehold.toml").write_text("")
    result = run("check")
    assert result.exit_code == 2
    assert "nothing is restricted" in result.stderr


def test_the_report_lists_recipients_safeguards_and_calls(home: Path) -> None:
    async def calls() -> None:
        with closing(log_writer(home / "record.db")) as writer:
            for i in range(3):
                await writer.record(honest(f"xc_{i}"))

    asyncio.run(calls())
    document = json.loads(run("report", "--json", "--days", "36500").output)
    rows = {row["upstream"]: row for row in document["recipients"]}
    assert set(rows) == {ENGINE, "berlin", "oregon"}
    assert (rows["berlin"]["jurisdiction"], rows["berlin"]["transfer_basis"]) == ("DE", "eea")
    assert rows["berlin"]["labels"] == ["public", "internal", "personal"]
    assert rows["oregon"]["labels"] == ["public", "internal"]
    assert rows[ENGINE]["calls"] == 3
    assert document["calls_by_basis"] == {"local": 3, "eea": 0, "scc": 0}
    text = run("report").output
    assert "Beispiel GmbH" in text
    assert "2099-12-31" in text


def write_placements(path: Path, residency: LabelPolicy, policies: list[LabelPolicy]) -> None:
    async def write() -> None:
        with closing(log_writer(path)) as writer:
            for one in policies:
                await writer.append("policy_loaded", one.facts())
            placement = residency.place(Context(), ["personal"], [EMAIL], [ENGINE, "oregon"], NOW_NS)
            facts = facts_of(placement, Context(), ["personal"], [EMAIL], [ENGINE, "oregon"])
            await writer.append("placement", facts, ExchangeId("xc_1"))

    asyncio.run(write())


def test_replay_makes_every_placement_again_under_the_policy_of_its_time(home: Path) -> None:
    strict, lax = policy(personal=EU_ONLY), policy(personal=EVERYWHERE)
    write_placements(home / "record.db", strict, [strict, lax])
    write_placements(home / "record.db", lax, [])
    result = run("replay", "--json")
    assert (result.exit_code, json.loads(result.output)) == (0, {"same": 2, "different": [], "unknown_policy": 0})


def test_replay_names_a_placement_that_comes_out_otherwise(home: Path) -> None:
    strict = policy(personal=EU_ONLY)
    write_placements(home / "record.db", strict, [strict])
    tamper(home / "record.db", 'UPDATE audit SET facts = replace(facts, \'["freehold"]\', \'["freehold","oregon"]\') WHERE n = 2')
    result = run("replay")
    assert result.exit_code == 1
    assert "row 2" in result.stderr


def test_replay_says_of_how_many_it_cannot_tell(home: Path) -> None:
    write_placements(home / "record.db", policy(personal=EU_ONLY), [])
    assert json.loads(run("replay", "--json").output)["unknown_policy"] == 1


def test_the_table_of_jurisdictions_can_be_printed_and_added_to(home: Path) -> None:
    table = run("jurisdictions").output
    assert "DE,Germany,EU EEA" in table
    own = table.splitlines()[0] + "\nXK,Kosovo,,,,,,no adequacy decision\nUS,United States,,,,,yes,we rely on no framework\n"
    (home / "own.csv").write_text(own)
    (home / "freehold.toml").write_text(CONFIG + '\n[residency]\njurisdictions = "own.csv"\n')
    loaded = load_residency(configuration.load().residency, home)
    assert isinstance(loaded, LabelPolicy)
    assert loaded._jurisdictions["XK"].name == "Kosovo"
    assert loaded._jurisdictions["US"].adequacy_basis is None
    assert "DE" in loaded._jurisdictions
    (home / "own.csv").unlink()
    result = run("check")
    assert result.exit_code == 2
    assert "own.csv" in result.stderr
