"""How many compute threads make sense: cores this process may run on, and no more than its control group pays for.

Compute threads wait for each other within a step. One thread more than there are cores makes each wait for a whole time slice.
"""

import os
from pathlib import Path


def usable_cores(root: Path = Path("/")) -> int:
    """At least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for quota in (_quota_v2(root), _quota_v1(root)) if quota is not None]
    return max(1, min([allowed, *(int(quota) for quota in quotas)]))


def _quota_v2(root: Path) -> float | None:
    """Inside a container the group's own directory is the mount's root."""
    quota, _, period = _text(root / "sys/fs/cgroup/cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.strip().isdigit() else None


def _quota_v1(root: Path) -> float | None:
    quota = _text(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").strip()
    period = _text(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
