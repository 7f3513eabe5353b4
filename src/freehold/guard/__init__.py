"""Finds and redacts in a stream. Decides; does no I/O."""

from freehold.guard.config import GuardConfig
from freehold.guard.stream_guard import StreamGuard

__all__ = ["GuardConfig", "StreamGuard"]
