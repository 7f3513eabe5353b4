"""Repeated audits, with a clock of our own and upstreams of toys."""

import contextlib
import tempfile
from collections.abc import Mapping
from math import exp
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold import config as configuration
from freehold.config import Config
from freehold.core.errors import ConfigError, MalformedArtefact, UpstreamRejected
from freehold.gateway.prices import PriceList
from freehold.model_audits import schedule, sides
from freehold.model_audits.collect import Collector, Pace
from freehold.model_audits.schedule import ModelAudits
from freehold.model_audits.spending import Ceiling, Spending
from freehold.model_audits.state import FOLDER, State, read_state
from freehold.provenance.model_audit.baseline import Baseline, encode
from freehold.provenance.model_audit.sample import AuditPlan
from tests.fakes.oversight import AlarmBell, InMemoryAudit
from tests.model_audits.toy import Clock, TimeIsUp, ToyUpstream
from tests.provenance.model_audit.talking import plan

PLAN = plan(6, samples=6, max_tokens=8, draws=2, tests=("logprobs", "mmd"), permutations=499)
HOUR_S = 3600.0
CONFIG = """
[[upstreams]]
name = "far"
url = "http://127.0.0.1:9/v1"
models = ["toy-1"]

[[upstreams]]
name = "other"
url = "http://127.0.0.1:9/v1"
models = ["toy-1"]

[[model_audit]]
name = "daily"
upstream = "far"
reference = {reference!r}
every_h = 24.0
{more}
"""


class House:
    """A home with one audit in it; `far` and `other` are what its upstreams are."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.clock, self.bell, self.log = Clock(), AlarmBell(), InMemoryAudit()
        self.noted: list[tuple[str, str, Mapping[str, float]]] = []
        self.upstreams = {"far": ToyUpstream(name="far", seed=11), "other": ToyUpstream(name="other", seed=12)}
        monkeypatch.setattr(sides, "make_upstream", lambda settings, _folder: self.upstreams[settings.name])

    def config(self, reference: str, more: str = "") -> Config:
        path = self.folder / "freehold.toml"
        path.write_text(CONFIG.format(reference=reference, more=more))
        return configuration.load(path)

    def open(self, reference: str, more: str = "") -> ModelAudits:
        return ModelAudits(
            self.config(reference, more),
            self.folder,
            self.folder,
            engine=None,
            audit_log=self.log,
            alarm=self.bell,
            prices=PriceList(()),
            note=lambda *what: self.noted.append(what),
            unix_ns=self.clock.unix_ns,
            sleep=self.clock.sleep,
        )

    async def baseline(self, asked: AuditPlan = PLAN) -> str:
        """Taken of `far` as it is, with three times the answers of a run."""
        upstream = ToyUpstream(name="far", seed=10)
        spending = Spending(Ceiling(), PriceList(()), "toy-1", "far")
        more = plan(6, samples=3 * asked.samples, max_tokens=8, draws=6, tests=asked.tests)
        sample = await Collector(upstream, "toy-1", more, spending, Pace(), sleep=self.clock.sleep).collect()
        kept = Baseline(upstream="far", model="toy-1", taken_at_s=1, plan=asked, sample=sample)
        (self.folder / "base.json").write_bytes(encode(kept))
        return "base.json"

    def kinds(self) -> list[str]:
        return [alert.kind for alert in self.bell.alerts]

    def rows(self, kind: str = "model_audit") -> list[Mapping[str, Any]]:
        return [facts for found, facts, _ in self.log.rows if found == kind]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    return House(tmp_path, monkeypatch)


async def test_an_honest_upstream_is_audited_for_weeks_without_an_alarm(house: House) -> None:
    audits = house.open(await house.baseline())
    for _ in range(8):
        await audits.hold("daily")
    assert house.kinds() == []
    rows = house.rows()
    assert [row["run"] for row in rows] == list(range(1, 9))
    assert rows[-1]["p"].keys() == {"logprobs", "mmd"}
    assert {outcome for _, outcome, _ in house.noted} == {"no_difference"}


async def test_another_model_raises_the_alarm_within_days_and_says_why_it_may_be(house: House) -> None:
    audits = house.open(await house.baseline())
    await audits.hold("daily")
    house.upstreams["far"] = ToyUpstream(name="far", weights=2, seed=20)
    for _ in range(4):
        await audits.hold("daily")
    assert "model_drift" in house.kinds()
    (first, *_) = (alert for alert in house.bell.alerts if alert.kind == "model_drift")
    assert first.severity == "critical"
    assert "another temperature" in first.message
    assert "swap" not in first.message
    assert house.rows()[-1]["drift"]


async def test_evidence_and_the_next_date_survive_a_restart(house: House) -> None:
    base = await house.baseline()
    await house.open(base).hold("daily")
    kept = house.rows()[-1]["log_e"]
    begun_s = house.clock.now_s
    house.clock.now_s += HOUR_S
    house.clock.end_s = begun_s + 23.9 * HOUR_S
    with pytest.raises(TimeIsUp):
        await house.open(base).run()
    assert len(house.rows()) == 1  # it is not yet due again
    house.clock.end_s = begun_s + 49 * HOUR_S
    with pytest.raises(TimeIsUp):
        await house.open(base).run()
    assert [row["run"] for row in house.rows()] == [1, 2, 3]
    _, outcome, e_values = house.noted[1]
    assert outcome == ""
    assert e_values == {test: pytest.approx(exp(value)) for test, value in kept.items()}


async def test_what_is_kept_of_earlier_answers_has_a_limit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "POOL_ANSWERS", 20)
    audits = house.open(await house.baseline())
    for _ in range(3):
        await audits.hold("daily")
    pool = read_state(house.folder, "daily", house.rows()[-1]["subject"]).pool
    assert pool is not None
    kept = list(pool.sample.replies.values())
    assert {len(reply.answers) for reply in kept} == {20}  # 18 of the baseline and 6 a run were given
    assert {len(reply.first) for reply in kept} == {12}


async def test_evidence_of_another_plan_is_not_continued(house: House) -> None:
    base = await house.baseline()
    await house.open(base).hold("daily")
    await house.open(base, 'tests = ["mmd"]').hold("daily")
    assert [row["run"] for row in house.rows()] == [1, 1]
    assert house.rows()[0]["subject"] != house.rows()[1]["subject"]


async def test_a_live_reference_is_asked_anew_each_time(house: House) -> None:
    audits = house.open("other", "prompt_count = 4\nsamples = 5\nmax_tokens = 6")
    for _ in range(2):
        await audits.hold("daily")
    asked = [len(house.upstreams[name].exchanges) for name in ("far", "other")]
    assert asked[0] == asked[1] > 20
    assert house.kinds() == []
    house.upstreams["far"] = ToyUpstream(name="far", weights=2, seed=20)
    for _ in range(3):
        await audits.hold("daily")
    assert "model_drift" in house.kinds()


async def test_a_new_fingerprint_is_told_once_and_misfitting_counts_each_time(house: House) -> None:
    audits = house.open(await house.baseline())
    house.upstreams["far"].fingerprint = "fp_2"
    for _ in range(2):
        await audits.hold("daily")
    assert house.kinds() == ["model_renamed"]
    assert "'fp_2', and was 'fp_1'" in house.bell.alerts[0].message
    house.upstreams["far"].extra_tokens = 9
    for _ in range(2):
        await audits.hold("daily")
    assert house.kinds() == ["model_renamed", "model_tokens_misfit", "model_tokens_misfit"]
    assert house.rows()[-1]["mismatches"] == ["input_tokens"]


async def test_a_run_that_cannot_be_held_is_told_and_tried_again_within_the_hour(house: House) -> None:
    audits = house.open(await house.baseline())
    house.upstreams["far"].fails = [UpstreamRejected("no such account", status=403)]
    await audits.hold("daily")
    assert house.kinds() == ["model_audit_failed"]
    assert house.rows("model_audit_failed") == [{"audit": "daily", "code": "upstream_rejected"}]
    house.clock.end_s = house.clock.now_s + 1.1 * HOUR_S
    with pytest.raises(TimeIsUp):
        await audits.run()
    assert [row["run"] for row in house.rows()] == [1]


async def test_a_run_stops_at_its_limit_and_waits_for_the_next_day(house: House) -> None:
    audits = house.open(await house.baseline(), "max_requests = 5")
    await audits.hold("daily")
    assert house.rows("model_audit_failed")[0]["code"] == "audit_limit"
    assert len(house.upstreams["far"].exchanges) <= 5


async def test_a_damaged_state_is_refused_and_says_what_to_do(house: House) -> None:
    base = await house.baseline()
    await house.open(base).hold("daily")
    path = house.folder / FOLDER / "daily.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(MalformedArtefact, match="move it away"):
        house.open(base)


@pytest.mark.parametrize(
    ("reference", "more", "said"),
    [
        ("nobody", "", "no upstream in the configuration"),
        ("other", 'model = "toy-9"', "it has no model 'toy-9'"),
        ("other", 'prompts_file = "none.toml"', "cannot read the prompts"),
        ("base.json", "samples = 3", "leave samples out"),
    ],
)
async def test_an_audit_that_cannot_be_is_refused_at_the_start(house: House, reference: str, more: str, said: str) -> None:
    await house.baseline()
    with pytest.raises(ConfigError, match=f"model_audit daily: .*{said}"):
        house.open(reference, more)


@pytest.mark.parametrize("more", ['plan = "thorough"', 'tests = ["telepathy"]', "every_h = 0"])
def test_a_setting_out_of_range_is_refused_where_the_file_is_read(house: House, more: str) -> None:
    with pytest.raises(ConfigError):
        house.config("other", more.replace("every_h", "alpha"))


@given(
    st.binary(max_size=200) | st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8)).map(msgspec.json.encode)
)
def test_whatever_a_state_file_holds_it_is_read_or_refused(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / FOLDER).mkdir()
        (home / FOLDER / "a.json").write_bytes(raw)
        with contextlib.suppress(MalformedArtefact):
            assert read_state(home, "a", "subject") == State(subject="subject")
