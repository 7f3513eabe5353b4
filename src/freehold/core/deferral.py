"""Work that could wait: when it had its turn, and what that spared against running it at once."""

from dataclasses import dataclass
from typing import Final

J_PER_KWH: Final = 3_600_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange's turn. Times are Unix seconds; intensities and prices are what a kWh carried and cost, None where unknown.

    `at_once_s` is when it would have run had nothing waited: on arrival, or for a line of a batch after the lines before it.
    """

    arrived_s: float
    at_once_s: float
    ran_s: float
    deadline_s: float
    batch: str | None = None
    is_late: bool = False  # the deadline left too little time from the beginning
    g_at_once: float | None = None  # g/kWh
    g_at_run: float | None = None
    price_at_once: float | None = None  # in the operator's currency, a kWh
    price_at_run: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Sums over exchanges that could wait. What is unknown of one of them is in no sum: `*_known` says of how many each is."""

    exchanges: int = 0
    energy_known: int = 0
    energy_j: float = 0.0
    carbon_known: int = 0
    carbon_g: float = 0.0  # spared; below 0 where waiting made it worse
    price_known: int = 0
    price: float = 0.0

    def plus(self, turn: Turn, energy_j: float | None) -> "Saving":
        """With one more exchange, which took `energy_j`."""
        carbon_g = _spared(energy_j, turn.g_at_once, turn.g_at_run)
        price = _spared(energy_j, turn.price_at_once, turn.price_at_run)
        return Saving(
            exchanges=self.exchanges + 1,
            energy_known=self.energy_known + (energy_j is not None),
            energy_j=self.energy_j + (energy_j or 0.0),
            carbon_known=self.carbon_known + (carbon_g is not None),
            carbon_g=self.carbon_g + (carbon_g or 0.0),
            price_known=self.price_known + (price is not None),
            price=self.price + (price or 0.0),
        )


NOTHING_SAVED: Final = Saving()


def _spared(energy_j: float | None, at_once: float | None, at_run: float | None) -> float | None:
    """Energy times what a kWh would have carried or cost at once, less the same when it ran."""
    if energy_j is None or at_once is None or at_run is None:
        return None
    return energy_j / J_PER_KWH * (at_once - at_run)
