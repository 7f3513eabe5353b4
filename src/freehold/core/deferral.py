"""Work that could wait: when it had its turn, and what that spared against running it at once."""

from dataclasses import dataclass, replace
from typing import Final

from freehold.core.measurement import J_PER_KWH


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
    pue: float = 1.0  # kWh at the site's meter for one of the machine's


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Sums over exchanges that could wait. What is unknown of one of them is in no sum: `*_known` says of how many each is.

    `*_at_once` is what running at once would have made, `*_spared` how much less it was; below 0 where waiting made it worse.
    """

    exchanges: int = 0
    late: int = 0
    energy_known: int = 0
    energy_j: float = 0.0
    carbon_known: int = 0
    carbon_at_once_g: float = 0.0
    carbon_spared_g: float = 0.0
    price_known: int = 0
    price_at_once: float = 0.0
    price_spared: float = 0.0

    def plus(self, turn: Turn, energy_j: float | None) -> "Saving":
        """With one more exchange, which took `energy_j`."""
        saving = replace(self, exchanges=self.exchanges + 1, late=self.late + turn.is_late)
        if energy_j is None:
            return saving
        saving = replace(saving, energy_known=self.energy_known + 1, energy_j=self.energy_j + energy_j)
        kwh = energy_j * turn.pue / J_PER_KWH  # at the meter, as the ledger's carbon and cost are
        if turn.g_at_once is not None and turn.g_at_run is not None:
            saving = replace(
                saving,
                carbon_known=self.carbon_known + 1,
                carbon_at_once_g=self.carbon_at_once_g + kwh * turn.g_at_once,
                carbon_spared_g=self.carbon_spared_g + kwh * (turn.g_at_once - turn.g_at_run),
            )
        if turn.price_at_once is not None and turn.price_at_run is not None:
            saving = replace(
                saving,
                price_known=self.price_known + 1,
                price_at_once=self.price_at_once + kwh * turn.price_at_once,
                price_spared=self.price_spared + kwh * (turn.price_at_once - turn.price_at_run),
            )
        return saving


NOTHING_SAVED: Final = Saving()
