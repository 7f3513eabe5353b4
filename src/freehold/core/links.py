"""The law of work that goes through several links: those that work at once hide behind the slowest, those that wait add up.

The engine predicts itself by it, and the planner any machine (a model larger than its memory is read through disk, memory and a
card's link), so that both say the same of the same rates.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

# PCIe 4.0 x16 carries 31.5 GB/s in one direction by its encoding; copies reach about four fifths of it.
PCIE4_X16_BYTES_PER_S: Final = 25e9

LinkT = TypeVar("LinkT")


def slowest(at_once: Mapping[LinkT, float], in_turn: Mapping[LinkT, float]) -> tuple[float, LinkT]:
    """Seconds, and the link that holds it up. Of seconds for each link; `in_turn` is not empty."""
    turns_s = sum(in_turn.values())
    seconds = max(turns_s, *at_once.values()) if at_once else turns_s
    held_up_by = in_turn if turns_s >= seconds else at_once
    return seconds, max(held_up_by, key=lambda link: held_up_by[link])
