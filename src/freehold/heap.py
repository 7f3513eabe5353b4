"""What the process keeps of memory that it has given back to the C library. Other libraries than glibc have no such settings.

By itself, glibc learns from the largest block that it ever saw freed, which here are the guard's compiled rules: from then on it
keeps blocks of up to 8 MiB in its heaps, and 16 MiB free at the end of each. Large prompts then cost their memory for ever.
"""

import contextlib
import ctypes
from typing import Final

KEPT_BYTES: Final = 1 << 20  # a stream's buffers are below it; at a quarter of it no more came back
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_little() -> None:
    """A larger block is mapped for itself and goes back when it is freed; so does what is free at the end of a heap."""
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        for setting in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            library.mallopt(setting, KEPT_BYTES)


def give_back() -> None:
    """Free pages in the middle of the heaps, too: rules that are no longer in force leave 8 MiB, their compiling here 90."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
