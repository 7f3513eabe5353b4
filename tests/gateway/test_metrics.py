from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from freehold.core.findings import Action, Mode
from freehold.core.ports import Placement, Rejection, UpstreamStatus
from freehold.gateway.metrics import Bounded, Metrics
from tests.fakes.recorder import InMemoryRecorder
from tests.store.drafts import FINDING, MODELLED, entry


def exposed(metrics: Metrics, **more: object) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    page = metrics.expose([], InMemoryRecorder(), **more).decode()  # type: ignore[arg-type]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def value(page: dict[tuple[str, tuple[tuple[str, str], ...]], float], metric: str, **labels: str) -> float:
    return page[metric, tuple(sorted(labels.items()))]


def test_an_exchange_is_counted_with_its_time_cost_and_energy() -> None:
    metrics = Metrics()
    done = replace(entry("xc_1", energy=MODELLED), cost_microusd=2500)
    metrics.count(done, between_s=0.01, is_served=True)
    metrics.count(replace(done, cost_microusd=None), between_s=None, is_served=True)
    page = exposed(metrics)
    assert value(page, "freehold_cost_usd_total", model="smollm2-135m") == 0.0025
    assert value(page, "freehold_exchange_duration_seconds_sum", dialect="openai.chat", status="completed") == 0.5
    assert value(page, "freehold_request_energy_joules_sum", grade="modelled") == 7.0


def test_only_values_that_were_really_replaced_count_as_tokenised() -> None:
    metrics = Metrics()
    tokenised = replace(FINDING, action=Action.TOKENISE)
    findings = (tokenised, tokenised, replace(tokenised, mode=Mode.SHADOW), FINDING)
    metrics.count(entry("xc_1", findings=findings), between_s=None, is_served=True)
    assert value(exposed(metrics), "freehold_values_tokenised_total") == 2


def test_decisions_are_counted() -> None:
    metrics = Metrics()
    metrics.count_try("provider", "failed")
    metrics.count_not_admitted("money")
    rejected = (Rejection(upstream="oregon", reasons=("jurisdiction_not_allowed", "trains_on_data")),)
    placement = Placement(labels=frozenset(), origins=(), allowed=("here",), rejected=rejected, policy_digest="", at_ns=0)
    metrics.count_placement(placement)
    metrics.count_placement(replace(placement, allowed=()))
    metrics.count_policy_load(accepted=False)
    metrics.count_alert("blocked", "sent")
    page = exposed(metrics)
    assert value(page, "freehold_upstream_tries_total", upstream="provider", outcome="failed") == 1
    assert value(page, "freehold_admission_refused_total", reason="money") == 1
    assert value(page, "freehold_placements_total", outcome="allowed") == 1
    assert value(page, "freehold_placements_total", outcome="denied") == 1
    assert value(page, "freehold_placement_rejections_total", upstream="oregon", reason="trains_on_data") == 2
    assert value(page, "freehold_policy_loads_total", outcome="rejected") == 1
    assert value(page, "freehold_alerts_total", kind="blocked", outcome="sent") == 1


def test_a_circuit_is_in_one_state_at_a_time() -> None:
    metrics = Metrics()
    assert value(exposed(metrics, circuits={"a": "closed"}), "freehold_upstream_circuit", upstream="a", state="closed") == 1
    page = exposed(metrics, circuits={"a": "open"})
    states = {
        state: value(page, "freehold_upstream_circuit", upstream="a", state=state) for state in ("closed", "open", "half_open")
    }
    assert states == {"closed": 0, "open": 1, "half_open": 0}


def test_the_policys_state_shows() -> None:
    for ready in (True, False):
        page = exposed(Metrics(), policy=UpstreamStatus(ready=ready, detail=""))
        assert value(page, "freehold_policy_ready") == ready


def test_a_label_has_a_bounded_number_of_words() -> None:
    metrics = Metrics()
    for i in range(500):
        metrics.count_alert(f"kind-{i}", "sent")
    page = exposed(metrics)
    kinds = {dict(labels)["kind"] for name, labels in page if name == "freehold_alerts_total"}
    assert len(kinds) == 101
    assert value(page, "freehold_alerts_total", kind="other", outcome="sent") == 400
    bounded = Bounded(1)
    assert [bounded("a"), bounded("b"), bounded("a")] == ["a", "other", "a"]
