"""How much memory a model may take, and private memory to take it in.

Decided here: the limit is the tightest of the control groups' and the machine's, not MemTotal; and some of it stays free. Within
5 % of a cgroup limit the kernel reclaims or kills: two of ten measured runs there took twice the CPU time or died.
"""

import contextlib
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import DeviceError

HEADROOM_BYTES: Final = 192 << 20
HEADROOM_SHARE: Final = 0.08
HEADROOM_SMALL: Final = 7
_HUGE_PAGE_BYTES: Final = 2 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Memory as it stands now. `bound_by` names who sets the limit."""

    available_bytes: int
    limit_bytes: int
    bound_by: str

    @property
    def usable_bytes(self) -> int:
        return self.available_bytes - headroom_bytes(self.limit_bytes)


def headroom_bytes(limit_bytes: int) -> int:
    """What stays free of a limit: where 200 MB would be a large part of it, a seventh."""
    return max(int(HEADROOM_SHARE * limit_bytes), min(HEADROOM_BYTES, limit_bytes // HEADROOM_SMALL))


def room(root: Path = Path("/")) -> Room:
    """The machine's memory and every control group's above this process; the one with least available counts."""
    return min((_machine(root), *_groups(root)), key=lambda found: found.usable_bytes)


def resident_bytes(root: Path = Path("/")) -> int:
    """What this process has in memory now; 0 where the system does not say."""
    fields = _text(root / "proc/self/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def private_buffer(size_bytes: int) -> npt.NDArray[np.uint8]:
    """Zeroed anonymous memory, page-aligned, in huge pages where the kernel has them: they read and compute 1.3-1.4x faster."""
    whole = -(-size_bytes // _HUGE_PAGE_BYTES) * _HUGE_PAGE_BYTES
    try:
        memory = mmap.mmap(-1, whole + _HUGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError, ValueError) as exc:
        raise DeviceError(f"the system gives no {megabytes(whole)} of memory: {exc}") from exc
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without transparent huge pages: slower, and right
            memory.madvise(mmap.MADV_HUGEPAGE)
    buffer: npt.NDArray[np.uint8] = np.frombuffer(memory, np.uint8)
    start = -buffer.ctypes.data % _HUGE_PAGE_BYTES
    return buffer[start : start + whole]


def _machine(root: Path) -> Room:
    fields: dict[str, int] = {}
    for line in _text(root / "proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        fields[key] = int(value.split()[0]) << 10
    total = fields.get("MemTotal", 0)
    return Room(available_bytes=fields.get("MemAvailable", total), limit_bytes=total, bound_by="the machine")


def _groups(root: Path) -> list[Room]:
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            names = ("memory.max", "memory.current", "inactive_file")
            base = root / "sys/fs/cgroup"
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            base = root / "sys/fs/cgroup/memory"
        else:
            continue
        steps = [part for part in path.split("/") if part not in ("", "..")]
        # In a container the path may be the host's and not be there: the mount's own root then is our group.
        found += [_group(base.joinpath(*steps[:depth]), *names) for depth in range(len(steps), -1, -1)]
    return [group for group in found if group is not None]


def _group(directory: Path, limit_name: str, usage_name: str, cache_name: str) -> Room | None:
    limit, usage = _text(directory / limit_name).strip(), _text(directory / usage_name).strip()
    if not limit.isdigit() or not usage.isdigit() or int(limit) >= 1 << 60:  # "max", or version 1's way to say it
        return None
    stat: dict[str, Any] = dict(line.split(" ", 1) for line in _text(directory / "memory.stat").splitlines() if " " in line)
    used = int(usage) - int(stat.get(cache_name, 0))  # the kernel gives page cache back before it refuses
    return Room(available_bytes=max(0, int(limit) - used), limit_bytes=int(limit), bound_by="the control group")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def megabytes(size_bytes: int) -> str:
    """For people."""
    return f"{size_bytes / 1e6:.0f} MB"
