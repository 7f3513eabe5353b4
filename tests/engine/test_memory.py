from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.engine.memory import Room, headroom_bytes, private_buffer, resident_bytes, room

MIB = 1 << 20


def tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal:       8388608 kB\nMemFree:  1 kB\nMemAvailable:   6291456 kB\n"


def test_without_groups_the_machine_is_the_limit(tmp_path: Path) -> None:
    found = room(tree(tmp_path, **{"proc/meminfo": MEMINFO}))
    assert (found.available_bytes, found.limit_bytes, found.bound_by) == (6 << 30, 8 << 30, "the machine")


def test_the_tightest_group_above_us_is_the_limit(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/outer/inner\n",
        "sys/fs/cgroup/outer/memory.max": f"{2 << 30}\n",
        "sys/fs/cgroup/outer/memory.current": f"{1 << 30}\n",
        "sys/fs/cgroup/outer/memory.stat": f"anon 5\ninactive_file {512 * MIB}\n",
        "sys/fs/cgroup/outer/inner/memory.max": "max\n",
        "sys/fs/cgroup/outer/inner/memory.current": "1\n",
    }
    found = room(tree(tmp_path, **files))
    assert (found.available_bytes, found.limit_bytes, found.bound_by) == (1536 * MIB, 2 << 30, "the control group")


def test_version_1_groups_count_and_their_endless_limit_does_not(tmp_path: Path) -> None:
    base = "sys/fs/cgroup/memory/"
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "4:memory:/job\n1:name=systemd:/job\n",
        base + "memory.limit_in_bytes": "9223372036854771712\n",
        base + "memory.usage_in_bytes": "1\n",
        base + "job/memory.limit_in_bytes": f"{1 << 30}\n",
        base + "job/memory.usage_in_bytes": f"{256 * MIB}\n",
    }
    assert room(tree(tmp_path, **files)).available_bytes == 768 * MIB


def test_the_machine_under_this_test_has_memory() -> None:
    assert 0 < room().available_bytes <= room().limit_bytes


def test_headroom_stays_free() -> None:
    found = Room(available_bytes=2000 * MIB, limit_bytes=2000 * MIB, bound_by="the machine")
    assert found.usable_bytes == (2000 - 192) * MIB


def test_headroom_of_a_small_limit_is_not_most_of_it() -> None:
    assert headroom_bytes(600 * MIB) == 600 * MIB // 7
    sizes = [headroom_bytes(limit * MIB) for limit in range(100, 8000, 50)]
    assert sizes == sorted(sizes)


def test_this_process_has_some_memory() -> None:
    assert resident_bytes() > 10 * MIB


def test_headroom_grows_with_the_limit() -> None:
    found = Room(available_bytes=100 << 30, limit_bytes=100 << 30, bound_by="the machine")
    assert found.usable_bytes == (100 << 30) - int(0.08 * (100 << 30))


def test_a_private_buffer_is_zeroed_writable_and_aligned() -> None:
    buffer = private_buffer(5 * MIB)
    assert buffer.size >= 5 * MIB
    assert buffer.ctypes.data % (2 * MIB) == 0
    assert not buffer[:4096].any()
    buffer[-1] = 1


def test_more_memory_than_there_is_addresses_for_is_a_device_error() -> None:
    with pytest.raises(DeviceError, match="gives no"):
        private_buffer(1 << 60)
