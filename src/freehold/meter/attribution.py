"""What one exchange took: joules, and what they emitted, cost and used up. Implements `core.ports.Meter`.

The engine's meter says the joules of its own work; a provider's are a range by the size of its model, where that is known. Carbon
is location-based: joules, times the site's PUE, times the grid's factor at the time, from the operator's series where it covers
the exchange and else the country's of a year that is told with it. Contracts for green power change none of it. What can't be
told is unknown, which is not 0.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from freehold.core.events import Worked
from freehold.core.measurement import J_PER_KWH, UNKNOWN_ENERGY, Carbon, Footprint, GridFactor, Measurement, Metered
from freehold.core.ports import Signal, SignalPoint, Use
from freehold.meter.config import MeterConfig
from freehold.meter.factors import Factors
from freehold.meter.remote import RemoteModels
from freehold.meter.sources.cpu_time import CpuTimeModel

YEAR_S: Final = 365 * 86_400
SHORTEST_S: Final = 1.0  # the time for which electricity is looked up, at least
COVERED: Final = 0.99  # of an exchange's time: a series that knows less of it is not asked


class ExchangeMeter:
    def __init__(
        self,
        config: MeterConfig | None = None,
        *,
        factors: Sequence[GridFactor] = (),
        remote_factors: Sequence[GridFactor] = (),
        signal: Signal | None = None,
        usd_per_unit: float | None = None,
    ) -> None:
        """`factors` are the site's grid's by year, `remote_factors` of where providers are. `signal` prices are in a currency of
        which one is so many dollars; None is unknown."""
        self._config = config = config or MeterConfig()
        self._model = CpuTimeModel(config)
        self._remote = RemoteModels(config.models)
        self._factors, self._remote_factors = Factors(factors), Factors(remote_factors)
        self._signal, self._usd_per_unit = signal, usd_per_unit

    def account(self, use: Use) -> tuple[Measurement, Footprint]:
        if use.worked is not None:
            return self._local(use, use.worked)
        if not (use.is_remote and self._config.remote):
            return UNKNOWN_ENERGY, Footprint()
        return self._of_provider(use)

    def _local(self, use: Use, worked: Worked) -> tuple[Measurement, Footprint]:
        metered = worked.metered or Metered(energy=self._model.energy(worked.compute_s))
        energy, config = metered.energy, self._config
        points = self._signal.between(use.start_s, max(use.end_s, use.start_s + SHORTEST_S)) if self._signal else ()
        factor = self._factors.at(_year(use.start_s))
        site = _times(energy, config.pue or 1.0)
        embodied_g = None
        if config.embodied_kg is not None and worked.metered is not None:
            # SCI: M = TE * (TiR / EL) * (RR / ToR). The passes' time is shared among their requests, so it is TiR * RR / ToR.
            embodied_g = config.embodied_kg * 1000 * metered.machine_s / (config.lifetime_years * YEAR_S)
        return energy, Footprint(
            by_tokens_j=metered.by_tokens_j,
            by_time_j=metered.by_time_j,
            carbon=self._carbon(site, points, factor, use.start_s),
            embodied_g=embodied_g,
            water_l=self._water_l(energy, site, factor),
            electricity_microusd=self._cost(site, points),
        )

    def _of_provider(self, use: Use) -> tuple[Measurement, Footprint]:
        output_tokens = use.usage.output_tokens if use.usage is not None else None
        found = self._remote.use(use.model, output_tokens, max(0.0, use.end_s - use.start_s))
        if found is None:
            return UNKNOWN_ENERGY, Footprint()
        factor = self._remote_factors.at(_year(use.start_s))
        return found.energy, Footprint(carbon=self._carbon(found.energy, (), factor, use.start_s), embodied_g=found.embodied_g)

    def _carbon(self, site: Measurement, points: Sequence[SignalPoint], factor: GridFactor | None, at_s: float) -> Carbon | None:
        if site.energy_j is None:
            return None
        intensity, zone, year, method = _mean([(point, point.g_per_kwh) for point in points]), "signal", _year(at_s), "series"
        if intensity is None:
            if factor is None:
                return None
            intensity, zone, year, method = factor.g_per_kwh, factor.zone, factor.year, factor.method

        def grams(energy_j: float | None) -> float | None:
            return None if energy_j is None else energy_j / J_PER_KWH * intensity

        return Carbon(
            g=site.energy_j / J_PER_KWH * intensity,
            low_g=grams(site.low_j),
            high_g=grams(site.high_j),
            zone=zone,
            year=year,
            method=method,
        )

    def _water_l(self, energy: Measurement, site: Measurement, factor: GridFactor | None) -> float | None:
        """What cooling here evaporates, and what making the electricity used up. Both have to be known."""
        here, there = self._config.site_water_l_per_kwh, self._config.grid_water_l_per_kwh
        if there is None and factor is not None:
            there = factor.water_l_per_kwh
        if here is None or there is None or energy.energy_j is None or site.energy_j is None:
            return None
        return (energy.energy_j * here + site.energy_j * there) / J_PER_KWH

    def _cost(self, site: Measurement, points: Sequence[SignalPoint]) -> float | None:
        price = _mean([(point, point.price_per_kwh) for point in points])
        if price is None or site.energy_j is None or self._usd_per_unit is None:
            return None
        return site.energy_j / J_PER_KWH * price * self._usd_per_unit * 1e6


def _times(energy: Measurement, pue: float) -> Measurement:
    if energy.energy_j is None:
        return energy
    return Measurement(
        grade=energy.grade,
        source=energy.source,
        energy_j=energy.energy_j * pue,
        low_j=None if energy.low_j is None else energy.low_j * pue,
        high_j=None if energy.high_j is None else energy.high_j * pue,
    )


def _mean(values: Sequence[tuple[SignalPoint, float | None]]) -> float | None:
    """Over time, where a value is known for nearly all of it."""
    whole_s = sum(point.end_s - point.start_s for point, _ in values)
    known = [(point.end_s - point.start_s, value) for point, value in values if value is not None]
    known_s = sum(seconds for seconds, _ in known)
    if not known_s or known_s < COVERED * whole_s:
        return None
    return sum(seconds * value for seconds, value in known) / known_s


def _year(unix_s: float) -> int:
    return datetime.fromtimestamp(unix_s, UTC).year
