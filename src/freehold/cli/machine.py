"""What the CPU is, as the system tells it. Its cores are `engine/cores.py`'s business, memory `engine/memory.py`'s."""

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


def _cpuinfo(field: str) -> str:
    """Empty where nothing tells it."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(rf"^{re.escape(field)}\s*:\s*(.+)$", told, re.MULTILINE)
    return found[1].strip() if found else ""
