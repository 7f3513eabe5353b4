import ctypes
import threading

import pytest

from freehold.core.errors import InternalError
from freehold.engine.kernels.records import OPEN
from freehold.engine.kernels.team import Team

Entered = list[tuple[int, int]]


def recorder() -> tuple[int, Entered, threading.Event, object]:
    """A native function that writes down who called it, its calls, and an event set once thread 1 has."""
    calls: Entered = []
    joined = threading.Event()

    def called(record: int, thread: int) -> None:
        calls.append((record, thread))
        if thread == 1:
            joined.set()

    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(called)
    return ctypes.cast(function, ctypes.c_void_p).value or 0, calls, joined, function


def test_a_pass_is_opened_before_any_thread_enters() -> None:
    address, calls, joined, _kept = recorder()
    team = Team(2, address)
    team.run(42)
    assert joined.wait(timeout=10)
    team.close()
    assert calls[0] == (42, OPEN)
    assert sorted(calls[1:]) == [(42, 0), (42, 1)]


def test_a_team_of_one_has_no_threads_of_its_own() -> None:
    address, calls, _, _kept = recorder()
    before = threading.active_count()
    team = Team(1, address)
    team.run(7)
    assert threading.active_count() == before
    assert calls == [(7, OPEN), (7, 0)]


def test_closing_ends_the_threads_and_later_runs_are_refused() -> None:
    address, calls, _, _kept = recorder()
    before = threading.active_count()
    team = Team(3, address)
    team.close()
    assert threading.active_count() == before
    assert calls == []
    with pytest.raises(InternalError, match="stopped"):
        team.run(1)


def test_a_team_needs_a_thread() -> None:
    with pytest.raises(InternalError, match="team of 0 threads"):
        Team(0, 0)
