"""Finds and redacts in a stream. Decides; does no I/O.

`StreamGuard` is imported when it is first asked for: its detectors take 200 ms to load, which judges of tool calls do without.
"""

import importlib
from typing import TYPE_CHECKING

from freehold.guard.config import GuardConfig

if TYPE_CHECKING:
    from freehold.guard.stream_guard import StreamGuard

__all__ = ["GuardConfig", "StreamGuard"]


def __getattr__(name: str) -> object:
    if name != "StreamGuard":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("freehold.guard.stream_guard").StreamGuard
