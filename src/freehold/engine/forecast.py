"""What is said of a model's speed before it is loaded. Never a reason not to load it."""

import logging
from collections.abc import Mapping
from pathlib import Path

from freehold.core.errors import FreeholdError
from freehold.engine.budget import Plan
from freehold.engine.fit import Prediction, predict
from freehold.engine.gguf import TensorInfo
from freehold.engine.kernels.records import MAX_COLUMNS
from freehold.engine.machine import calibrate, kept
from freehold.engine.needs import pass_bytes, types_of

log = logging.getLogger("freehold.engine")

_MEMORY_SHARE = 4  # of what the model will have, one part in so many while the machine is measured


def forecast(tensors: Mapping[str, TensorInfo], plan: Plan, file: Path, threads: int, kernels: str | None) -> Prediction | None:
    """None where nothing is streamed and this machine was never measured: two seconds are much for a model that loads in one."""
    types = types_of(tensors)
    try:
        if plan.placement.is_whole:
            rates = kept(types, file, threads, kernels)
        else:
            rates = calibrate(types, file, threads, kernels=kernels, memory_bytes=plan.usable_bytes // _MEMORY_SHARE)
    except FreeholdError as exc:
        log.warning("engine_not_measured", extra={"reason": exc.message})
        return None
    if rates is None:
        return None
    machine, bytes_ = rates.machine(), pass_bytes(plan)
    return predict(machine, bytes_, prompt_tokens=min(512, plan.context_tokens), chunk_tokens=MAX_COLUMNS)
