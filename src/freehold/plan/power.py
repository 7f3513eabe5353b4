"""Watts of one chip with all that it needs, from the best that is known: provisioned, not drawn.

A chip's own TDP is about half of what a site sets aside for it: hosts, network, storage, conversion and cooling are the rest.
Where the catalogue has an all-in figure it is used, and checked against xAI's Colossus in the tests (1.80 kW measured by
satellite for each H100, 1.73 kW here). Otherwise it is worked out of the TDP, and `basis` says so.
"""

from dataclasses import dataclass

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import Accelerator, Scope

# Power of a site over power of its computers. 1.1 at the best operators, 1.56 on average of all data centres
# (Uptime Institute, survey of 2024); new AI sites in between.
PUE = 1.2
# A node over the TDP of its chips. MLPerf Training power logs: 1.20 (8 B200, v5.0), 1.29 (64 H100 with their switch, v4.1).
NODE_PER_TDP = 1.25
NETWORK_AND_STORAGE = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipPower:
    """`it_w` before cooling and conversion, `site_w` at the site's meter."""

    it_w: float
    site_w: float
    basis: str


def chip_power(chip: Accelerator, pue: float = PUE) -> ChipPower:
    """Raises UnknownFigure where neither an all-in figure nor a TDP is known."""
    if not 1.0 <= pue <= 3.0:
        raise InvalidRequest(f"a PUE lies between 1 and 3, got {pue:g}", param="pue")
    if chip.all_in_w is not None:
        if chip.all_in_scope is Scope.SITE:
            return ChipPower(it_w=chip.all_in_w / pue, site_w=chip.all_in_w, basis="provisioned at the site")
        return ChipPower(it_w=chip.all_in_w, site_w=chip.all_in_w * pue, basis="of the whole system")
    it_w = chip.need("tdp_w") * NODE_PER_TDP * NETWORK_AND_STORAGE
    basis = f"derived: TDP x {NODE_PER_TDP:g} for the node x {NETWORK_AND_STORAGE:g} for network and storage"
    return ChipPower(it_w=it_w, site_w=it_w * pue, basis=basis)
