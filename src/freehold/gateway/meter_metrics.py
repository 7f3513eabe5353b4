"""Prometheus metrics of energy and carbon: of the machine, as the engine's meter sees it, and of exchanges."""

from dataclasses import fields
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from freehold.core.ledger import LedgerEntry
from freehold.core.measurement import EnergyTotals, Grade

_JOULES = (0.01, 0.1, 1, 5, 10, 50, 100, 500, 1000, 5000, 10_000, 100_000)
_REMOTE = "remote"
_LINES = {
    "idle_j": ("idle", "Drawn by the machine while it does nothing."),
    "unattributed_j": ("unattributed", "Of no request: other programs, answers that left."),
    "load_j": ("load", "Drawn while a model was loaded."),
}


def kinds(registry: CollectorRegistry) -> tuple[partial[Counter], partial[Gauge], partial[Histogram]]:
    """Makers of metrics in a registry."""
    return partial(Counter, registry=registry), partial(Gauge, registry=registry), partial(Histogram, registry=registry)


class MeterMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge, histogram = kinds(registry)
        self._energy = counter(
            "freehold_energy_joules",
            "Energy of the machine as its source tells it, idling included; of remote answers, the estimate's middle.",
            ["device", "grade"],
        )
        self._lines = {
            name: counter(f"freehold_energy_{line}_joules", words, ["device"]) for name, (line, words) in _LINES.items()
        }
        self._request = histogram(
            "freehold_request_energy_joules", "Energy of an exchange, where known.", ["grade"], buckets=_JOULES
        )
        self._carbon = counter(
            "freehold_carbon_grams", "CO2e of exchanges' electricity, location-based, where known.", ["factor_year", "method"]
        )
        self._up = gauge("freehold_meter_up", "1 if the engine's energy is known as it is drawn.")
        self._seen: EnergyTotals | None = None

    def count(self, entry: LedgerEntry) -> None:
        energy, carbon = entry.energy, entry.footprint.carbon
        if energy.energy_j is not None:
            self._request.labels(energy.grade).observe(energy.energy_j)
            if energy.grade is Grade.REMOTE_MODEL:
                self._energy.labels(_REMOTE, energy.grade).inc(energy.energy_j)
        if carbon is not None:
            self._carbon.labels(str(carbon.year), carbon.method).inc(carbon.g)

    def observe(self, totals: EnergyTotals | None) -> None:
        """The engine's counts since its start; one that fell is of an engine that was started again."""
        seen, self._seen = self._seen, totals
        self._up.set(totals is not None and totals.grade is not Grade.UNKNOWN)
        if totals is None:
            return
        if seen is None or totals.seconds < seen.seconds:
            seen = _NOTHING_YET
        self._energy.labels(totals.device, totals.grade).inc(max(0.0, totals.energy_j - seen.energy_j))
        for name, drawn in self._lines.items():
            if (value := getattr(totals, name)) is not None:  # a source that can't see idling has no such line
                drawn.labels(totals.device).inc(max(0.0, value - (getattr(seen, name) or 0.0)))


_NOTHING_YET = EnergyTotals(
    source="none",
    grade=Grade.UNKNOWN,
    device="node",
    **{field.name: 0.0 for field in fields(EnergyTotals) if field.name not in ("source", "grade", "device")},
)
