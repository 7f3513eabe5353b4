"""What a site keeps: checkpoints and data, in petabytes and in drives, and how long drives take to come.

A checkpoint is 14 bytes a parameter (weights, master copy, Adam's moments). Data are 2 to 4 bytes a token as tokens or text, and
several copies of everything, because a drive fails.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from freehold.core.errors import InvalidRequest
from freehold.plan.tables import cells, rows
from freehold.plan.training_memory import CHECKPOINT_BYTES

TOKEN_BYTES = (2.0, 4.0)
COPIES = 3
MOST_PB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    item: str
    kind: str
    capacity_tb: float | None
    lead_time_weeks: float | None
    source: str
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Petabytes (1e15) with copies; `drives` by kind, to hold all of it."""

    checkpoints_pb: float
    data_pb: tuple[float, float]
    drives: Mapping[str, int]


SUPPLY: Mapping[str, Supply] = {row["kind"]: Supply(**cells(row, Supply)) for row in rows("supply.csv")}


def storage(parameters: float, checkpoints: int, tokens: float, copies: int = COPIES) -> Storage:
    """For `checkpoints` of one model that are kept, and `tokens` of data. Raises InvalidRequest."""
    for name, value in (("parameters", parameters), ("tokens", tokens)):
        if not (math.isfinite(value) and 0 <= value <= 1e18):
            raise InvalidRequest(f"{name} lie between 0 and 1e18, got {value:g}", param=name)
    if not (0 <= checkpoints <= 1_000_000 and 1 <= copies <= 20):
        raise InvalidRequest(f"0 to 1,000,000 checkpoints and 1 to 20 copies, got {checkpoints:,} and {copies}", param="keep")
    kept_pb = parameters * CHECKPOINT_BYTES * checkpoints * copies / 1e15
    low, high = (tokens * each * copies / 1e15 for each in TOKEN_BYTES)
    total_tb = (kept_pb + high) * 1e3
    if total_tb > MOST_PB * 1e3:
        raise InvalidRequest(
            f"{total_tb / 1e3:.3g} PB is more than the world's drives of a year hold: check the numbers", param="keep"
        )
    drives = {one.kind: math.ceil(total_tb / one.capacity_tb) for one in SUPPLY.values() if one.capacity_tb is not None}
    return Storage(checkpoints_pb=kept_pb, data_pb=(low, high), drives=drives)
