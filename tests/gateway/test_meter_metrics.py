from dataclasses import replace

from prometheus_client import CollectorRegistry

from freehold.core.measurement import Carbon, EnergyTotals, Footprint, Grade, Measurement
from freehold.gateway.meter_metrics import MeterMetrics
from tests.store.drafts import MODELLED, entry

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
REMOTE = Measurement(grade=Grade.REMOTE_MODEL, source="ecologits", energy_j=40, low_j=10, high_j=70)


def test_the_machines_joules_are_counted_on_over_a_restart_of_the_engine() -> None:
    registry = CollectorRegistry()
    metrics = MeterMetrics(registry)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    for totals in (None, SEEN, SEEN, replace(SEEN, seconds=11, energy_j=1100, idle_j=350), replace(SEEN, seconds=1, energy_j=7)):
        metrics.observe(totals)
    assert value("freehold_energy_joules_total", device="cpu", grade="measured_counter") == 1107
    assert value("freehold_energy_idle_joules_total", device="cpu") == 300 + 50 + 300
    assert value("freehold_energy_load_joules_total", device="cpu") == 100
    assert value("freehold_meter_up") == 1
    metrics.observe(None)
    assert value("freehold_meter_up") == 0


def test_a_source_that_cannot_see_idling_has_no_such_line() -> None:
    registry = CollectorRegistry()
    MeterMetrics(registry).observe(replace(SEEN, idle_j=None))
    assert registry.get_sample_value("freehold_energy_idle_joules_total", {"device": "cpu"}) is None
    assert registry.get_sample_value("freehold_energy_unattributed_joules_total", {"device": "cpu"}) == 150


def test_exchanges_are_counted_by_grade_and_their_carbon_by_its_factor() -> None:
    registry = CollectorRegistry()
    metrics = MeterMetrics(registry)
    carbon = Carbon(g=0.5, zone="ISL", year=2022)
    metrics.count(replace(entry("xc_1", energy=MODELLED), footprint=Footprint(carbon=carbon)))
    metrics.count(entry("xc_2", energy=REMOTE))
    metrics.count(entry("xc_3"))
    assert registry.get_sample_value("freehold_request_energy_joules_sum", {"grade": "modelled"}) == 3.5
    assert registry.get_sample_value("freehold_energy_joules_total", {"device": "remote", "grade": "remote_model"}) == 40
    assert registry.get_sample_value("freehold_carbon_grams_total", {"factor_year": "2022", "method": "average"}) == 0.5
