"""What this machine is: read from the system, and where the system does not tell, said to be unknown."""

import os
import platform
import re
from pathlib import Path

CPU_FEATURES = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "asimd", "asimddp")  # those the kernels can use


def cpu_model() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """Those of `CPU_FEATURES` this CPU has."""
    flags = set((_cpuinfo("flags") or _cpuinfo("Features") or "").split())
    return [feature for feature in CPU_FEATURES if feature in flags]


def cores() -> int:
    """Those this process may use, by affinity and by the control group's quota."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = (_first(("/sys/fs/cgroup/cpu.max",)) or "max").partition(" ")
    if quota.isdigit() and period.isdigit():
        return max(1, min(allowed, int(quota) // int(period)))
    return allowed


def memory_bytes() -> int:
    """Of the whole machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_limit_bytes() -> int:
    """What this process may use: the control group's limit where it is below the machine's memory."""
    limit = _first(("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")) or ""
    return min(memory_bytes(), int(limit)) if limit.isdigit() else memory_bytes()


def memory_available_bytes() -> int | None:
    """What can be taken now without pushing others out; None where the system does not tell."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", _first(("/proc/meminfo",)) or "")
    return int(found[1]) * 1024 if found else None


def _cpuinfo(field: str) -> str | None:
    found = re.search(rf"^{re.escape(field)}\s*:\s*(.+)$", _first(("/proc/cpuinfo",)) or "", re.MULTILINE)
    return found[1].strip() if found else None


def _first(paths: tuple[str, ...]) -> str | None:
    """The text of the first that can be read."""
    for path in paths:
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
    return None
