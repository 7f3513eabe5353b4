"""What the CPU is, as the system tells it. Memory is `engine/memory.py`'s business."""

import os
import platform
import re
from pathlib import Path

CPU_FEATURES = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "asimd", "asimddp")  # those the kernels can use


def cpu_model() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """Those of `CPU_FEATURES` this CPU has."""
    flags = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [feature for feature in CPU_FEATURES if feature in flags]


def cores() -> int:
    """Those this process may use, by affinity and by the control group's quota."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = _text("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        return max(1, min(allowed, int(quota) // int(period)))
    return allowed


def _cpuinfo(field: str) -> str:
    found = re.search(rf"^{re.escape(field)}\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else ""


def _text(path: str) -> str:
    """Empty where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
