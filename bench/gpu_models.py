"""Files of the shapes of large models, with random weights, and what reading them costs."""

import contextlib
import mmap
import os
import time
from pathlib import Path


def disk_rate(folder: Path, size_bytes: int, chunk_bytes: int = 8 << 20) -> float:
    """Bytes a second of O_DIRECT reads of a fresh file; it is removed again."""
    path = folder / f"freehold-bench-{os.getpid()}.bin"
    buffer = mmap.mmap(-1, chunk_bytes)
    buffer.write(os.urandom(chunk_bytes))
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_DIRECT", 0), 0o600)
        try:
            for _ in range(size_bytes // chunk_bytes):
                os.write(fd, buffer)
            os.fsync(fd)
            begun_s = time.perf_counter()
            for at in range(0, size_bytes, chunk_bytes):
                os.preadv(fd, [buffer], at)
            return size_bytes / (time.perf_counter() - begun_s)
        finally:
            os.close(fd)
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
