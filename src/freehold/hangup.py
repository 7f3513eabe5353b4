"""SIGHUP: whatever an operator may have mended is looked at, and a node whose terminal was closed ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence


def on_hangup(stack: contextlib.AsyncExitStack, calls: Sequence[Callable[[], None]]) -> None:
    """Make `calls` at each SIGHUP until `stack` closes. Without any, a node ends at SIGHUP as other programs do."""
    if not calls:
        return
    loop = asyncio.get_running_loop()
    had_terminal = _has_terminal()

    def hang_up() -> None:
        if had_terminal and not _has_terminal():
            os.kill(os.getpid(), signal.SIGTERM)
        for call in calls:
            call()

    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in a thread beside the main one
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
