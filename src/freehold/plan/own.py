"""What it would take to answer oneself what APIs answer now, by the traffic that was: chips, money, carbon, and when it pays.

The busiest hour says how many replicas are needed: its requests are played against them as they came. Everything else is of the
whole period: what the APIs cost, how busy the replicas would have been, and what they would have drawn. A cheaper token is asked
for more; with a measured elasticity the demand that this would make is told as well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from freehold.core.errors import InvalidRequest, UnknownFigure
from freehold.plan.grid import Grid
from freehold.plan.power import chip_power
from freehold.plan.queueing import Played
from freehold.plan.serving import Deployment, Serving, load_of, replay, serve
from freehold.plan.site import HOURS_PER_YEAR
from freehold.plan.trace import Arrival
from freehold.plan.training import LOAD
from freehold.plan.uncertainty import Array, LogNormal, Simulation, Spread, Triangular, simulate

DAYS_PER_YEAR = 365.25
POWER_SIGMA = 0.12  # as in `practice.py`
# A node without work over what is set aside for it. An estimate: cards idle at a tenth of their TDP, hosts and fans at half.
IDLE = Triangular(low=0.15, mode=0.25, high=0.4)
LIFE_YEARS = 4.0
RATE = 0.07  # what money costs a year
MOST_ELASTICITY = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What one provider answered with one model in the period.

    `cost_usd` is of the exchanges whose cost is known, the grams of those whose carbon is: a range, as providers tell nothing.
    """

    provider: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unknown_costs: int
    carbon_requests: int = 0
    carbon_low_g: float = 0.0
    carbon_high_g: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """`days` is how long the period was, `busiest` are the requests of its busiest hour."""

    days: float
    bought: tuple[Bought, ...]
    busiest: tuple[Arrival, ...]

    @property
    def requests(self) -> int:
        return sum(one.requests for one in self.bought)

    @property
    def tokens(self) -> int:
        return sum(one.input_tokens + one.output_tokens for one in self.bought)

    @property
    def unknown_costs(self) -> int:
        return sum(one.unknown_costs for one in self.bought)

    @property
    def api_usd_per_year(self) -> float:
        return sum(one.cost_usd for one in self.bought) / self.days * DAYS_PER_YEAR

    @property
    def api_carbon_kg_per_year(self) -> tuple[float, float] | None:
        """Of the requests whose carbon is known; None where it is of none."""
        if not any(one.carbon_requests for one in self.bought):
            return None
        low, high = sum(one.carbon_low_g for one in self.bought), sum(one.carbon_high_g for one in self.bought)
        return low / 1e3 / self.days * DAYS_PER_YEAR, high / 1e3 / self.days * DAYS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What money and power cost. `chip_usd` in place of the catalogue's range; `server_usd` is what else one replica takes."""

    usd_per_kwh: float
    chip_usd: float | None = None
    server_usd: float = 0.0
    people_usd_per_year: float = 0.0
    life_years: float = LIFE_YEARS
    rate: float = RATE
    pue: float = 1.2

    def __post_init__(self) -> None:
        for name in ("usd_per_kwh", "chip_usd", "server_usd", "people_usd_per_year"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and 0 <= value <= 1e12):
                raise InvalidRequest(f"{name} is an amount of dollars, at least 0, got {value:g}", param=name)
        if not 0.5 <= self.life_years <= 30:
            raise InvalidRequest(f"a machine is used between half a year and 30 years, got {self.life_years:g}", param="life")
        if not 0 <= self.rate <= 1:
            raise InvalidRequest(f"what money costs a year is a share between 0 and 1, got {self.rate:g}", param="rate")

    @property
    def annuity(self) -> float:
        """Share of a price that each year of use pays: the capital recovery factor."""
        if self.rate == 0:
            return 1 / self.life_years
        return self.rate / (1 - math.pow(1 + self.rate, -self.life_years))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """The demand that cheaper tokens would make, by the elasticity: `factor` times the present."""

    elasticity: float
    factor: float
    replicas: int
    own_usd_per_year: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Per year, at the present traffic. `break_even_months` is None where owning never pays back what was bought."""

    traffic: Traffic
    serving: Serving
    played: Played
    chips: int
    busy: float  # share of the period in which a replica would have had something to do
    capital_usd: Simulation
    energy_kwh_per_year: Simulation
    own_usd_per_year: Simulation
    rent_usd_per_year: float | None
    carbon_kg_per_year: float | None
    break_even_months: float | None
    break_even_traffic: float | None  # times the present, on the same machines
    grown: tuple[Grown, ...]
    warnings: tuple[str, ...]


def own(
    traffic: Traffic,
    deployment: Deployment,
    terms: Terms,
    *,
    itl_ms: float,
    ttft_ms: float,
    grid: Grid | None = None,
    elasticity: Sequence[float] = (),
) -> Own:
    """`elasticity` are the values to tell the growth of. Raises InvalidRequest and UnknownFigure."""
    _check(traffic, elasticity)
    serving = serve(deployment, load_of(traffic.busiest, itl_ms, ttft_ms))
    played = replay(serving, traffic.busiest)
    chips = played.replicas * deployment.chips
    busy = _busy(traffic, played)
    spreads = _spreads(deployment, terms)
    site_w = chip_power(deployment.chip, terms.pue).site_w

    def capital(inputs: Mapping[str, Array]) -> Array:
        return chips * inputs["chip price"] + played.replicas * terms.server_usd

    def energy(inputs: Mapping[str, Array]) -> Array:
        share = inputs["drawn idle"] * (1 - busy) + inputs["drawn at work"] * busy
        return chips * site_w / 1e3 * HOURS_PER_YEAR * share * inputs["power of a chip"]

    def cost(inputs: Mapping[str, Array]) -> Array:
        return capital(inputs) * terms.annuity + energy(inputs) * terms.usd_per_kwh + terms.people_usd_per_year

    yearly, price, power = (simulate(model, spreads) for model in (cost, capital, energy))
    running = power.p50 * terms.usd_per_kwh + terms.people_usd_per_year
    saved = traffic.api_usd_per_year - running
    rent = deployment.chip.rent_usd_per_h
    return Own(
        traffic=traffic,
        serving=serving,
        played=played,
        chips=chips,
        busy=busy,
        capital_usd=price,
        energy_kwh_per_year=power,
        own_usd_per_year=yearly,
        rent_usd_per_year=None if rent is None else rent * chips * HOURS_PER_YEAR + terms.people_usd_per_year,
        carbon_kg_per_year=_carbon_kg(power.p50, grid),
        break_even_months=12 * price.p50 / saved if saved > 0 else None,
        break_even_traffic=yearly.p50 / traffic.api_usd_per_year if traffic.api_usd_per_year else None,
        grown=tuple(_grown(value, traffic, played, yearly.p50, terms) for value in elasticity),
        warnings=tuple(_warnings(traffic, terms, busy)),
    )


def _check(traffic: Traffic, elasticity: Sequence[float]) -> None:
    if not traffic.bought or not traffic.busiest:
        raise InvalidRequest("no request of the period was answered by a provider: there is nothing to take over", param="from")
    for value in elasticity:
        if not (math.isfinite(value) and -1 <= value <= MOST_ELASTICITY):
            raise InvalidRequest(f"an elasticity lies between -1 and {MOST_ELASTICITY:g}, got {value:g}", param="elasticity")


def _busy(traffic: Traffic, played: Played) -> float:
    """The busiest hour's, times the mean hour's tokens over the busiest hour's."""
    peak = sum(one.prompt_tokens + one.output_tokens for one in traffic.busiest)
    return played.busy * min(1.0, traffic.tokens / (traffic.days * 24) / peak)


def _spreads(deployment: Deployment, terms: Terms) -> dict[str, Spread]:
    chip = deployment.chip
    if terms.chip_usd is not None:
        low = high = terms.chip_usd
    elif chip.price_low_usd is not None and chip.price_high_usd is not None:
        low, high = chip.price_low_usd, chip.price_high_usd
    else:
        raise UnknownFigure(f"cannot compute: nobody published a price of {chip.name}; tell yours with --chip-usd")
    return {
        "chip price": Triangular(low=low, mode=(low + high) / 2, high=high),
        "drawn at work": LOAD,
        "drawn idle": IDLE,
        "power of a chip": LogNormal(median=1.0, sigma=POWER_SIGMA),
    }


def _carbon_kg(energy_kwh: float, grid: Grid | None) -> float | None:
    return None if grid is None or grid.carbon_g_per_kwh is None else energy_kwh * grid.carbon_g_per_kwh / 1e3


def _grown(elasticity: float, traffic: Traffic, played: Played, own_usd: float, terms: Terms) -> Grown:
    """Demand answers to the price of a token: ln(demand) rises by the elasticity times ln(old price / new).

    More traffic fills the machines that are there before it takes new ones, and the price of a token falls as it does: the
    factor at which both agree, by iteration. Replicas grow with the traffic.
    """
    machines = (own_usd - terms.people_usd_per_year) / played.replicas
    factor, replicas = 1.0, played.replicas
    for _ in range(100):
        replicas = max(1, math.ceil(played.replicas * factor - 1e-9))
        cost = replicas * machines + terms.people_usd_per_year
        ratio = traffic.api_usd_per_year * factor / cost  # a token of an API over one of one's own
        wanted = max(ratio, 1.0) ** elasticity  # a dearer token is not asked for less: nobody would have bought the machines
        if abs(wanted - factor) < 1e-3 * factor:
            break
        factor = min((factor + wanted) / 2, 1e4)
    return Grown(
        elasticity=elasticity, factor=factor, replicas=replicas, own_usd_per_year=replicas * machines + terms.people_usd_per_year
    )


def _warnings(traffic: Traffic, terms: Terms, busy: float) -> list[str]:
    said = []
    if traffic.unknown_costs:
        said.append(
            f"what {traffic.unknown_costs:,} of {traffic.requests:,} requests cost is unknown and not counted: the APIs cost "
            "more; prices are told under [[prices]]"
        )
    if traffic.days < 28:
        said.append(f"{traffic.days:.1f} days are few: weeks differ")
    if not terms.server_usd and not terms.people_usd_per_year:
        said.append("chips and power alone: servers, network, rooms and people are not in it (--server-usd, --people-usd)")
    if busy < 0.1:
        said.append(f"the machines would be idle {1 - busy:.0%} of the time; a smaller chip, or renting by the hour, may do")
    said.append("another model answers otherwise: whether it is good enough is not looked at here")
    return said
