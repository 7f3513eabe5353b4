"""In a process of its own: the settings are the process's."""

import platform
import subprocess
import sys

import pytest

_FREED = """
import re, sys
from pathlib import Path
from freehold import heap

def anonymous_kib():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

if sys.argv[1] == "little":
    heap.keep_little()
first = bytearray(24 << 20)  # what the library learns from
del first
before = anonymous_kib()
blocks = [bytearray(b"x") * (4 << 20) for _ in range(5)]
last = bytearray(b"x") * 2048  # what lies behind them keeps them from being the heap's end
del blocks
print(anonymous_kib() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_large_blocks_go_back_when_they_are_freed() -> None:
    def kept_kib(how: str) -> int:
        return int(subprocess.run([sys.executable, "-c", _FREED, how], check=True, capture_output=True, text=True).stdout)

    assert kept_kib("as it is") > 16 << 10
    assert kept_kib("little") < 2 << 10
