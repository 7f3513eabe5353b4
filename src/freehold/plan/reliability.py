"""How much of a long run is work: failures, checkpoints and restarts.

One failure anywhere stops a synchronous job. With a mean time M between failures of the job, a checkpoint of δ seconds every
τ seconds of work and R seconds to restart, work of τ takes M e^(R/M) (e^((τ+δ)/M) - 1) on average, failures during
checkpoints and restarts counted (J. T. Daly, A higher order estimate of the optimum checkpoint interval for restart dumps,
FGCS 22, 2006). The first-order form (τ + δ) / τ and its like go negative on a gigawatt; this one does not.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from freehold.core.errors import InvalidRequest

Figures = float | npt.NDArray[np.float64]

# 419 unexpected interruptions of 16,384 H100 in 54 days: The Llama 3 Herd of Models (arXiv 2407.21783), table 5.
CHIP_MTBF_H = 16_384 * 54 * 24 / 419
CHECKPOINT_S = 60.0
RESTART_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    job_mtbf_h: float
    interval_s: float  # of work between two checkpoints, the best there is
    goodput: float  # share of the time that is work that counts, in (0, 1)


def reliability(
    chips: int, *, chip_mtbf_h: float = CHIP_MTBF_H, checkpoint_s: float = CHECKPOINT_S, restart_s: float = RESTART_S
) -> Reliability:
    """Raises InvalidRequest for times that are not above zero."""
    times = (("the time between failures", chip_mtbf_h), ("a checkpoint's time", checkpoint_s), ("a restart's time", restart_s))
    for name, value in times:
        if not (np.isfinite(value) and value > 0):
            raise InvalidRequest(f"{name} must be above zero, got {value:g}")
    job_mtbf_s = chip_mtbf_h * 3600 / chips
    interval_s = best_interval_s(job_mtbf_s, checkpoint_s)
    return Reliability(
        job_mtbf_h=job_mtbf_s / 3600,
        interval_s=float(interval_s),
        goodput=float(goodput(job_mtbf_s, interval_s, checkpoint_s, restart_s)),
    )


def goodput(mtbf_s: Figures, interval_s: Figures, checkpoint_s: Figures, restart_s: Figures) -> Figures:
    """Work over time, in [0, 1). The logarithm is summed up: no term overflows, however short the time between failures."""
    x = (np.asarray(interval_s) + checkpoint_s) / mtbf_s
    log_time = np.asarray(restart_s) / mtbf_s + x + np.log(-np.expm1(-x))  # ln of e^(R/M) (e^x - 1)
    share: npt.NDArray[np.float64] = np.exp(np.log(np.asarray(interval_s) / mtbf_s) - log_time)
    return share


def young_interval_s(mtbf_s: Figures, checkpoint_s: Figures) -> Figures:
    """The first-order optimum (J. W. Young, 1974), good while it is much shorter than the time between failures."""
    interval: npt.NDArray[np.float64] = np.sqrt(2 * np.asarray(checkpoint_s) * mtbf_s)
    return interval


def best_interval_s(mtbf_s: Figures, checkpoint_s: Figures) -> Figures:
    """Where the exact form is best: 1 - τ/M = e^(-(τ+δ)/M), which has one solution between 0 and M.

    Newton's steps from Young's interval, which is beyond it: the difference is concave there, so no step goes too far.
    """
    delta = np.asarray(checkpoint_s) / np.asarray(mtbf_s)
    share = np.minimum(np.sqrt(2 * delta), 1.0)
    for _ in range(12):
        decay = np.expm1(-(share + delta))
        share = share + (decay + share) / decay  # f = -decay - share, f' = decay
    best: npt.NDArray[np.float64] = share * mtbf_s
    return best
