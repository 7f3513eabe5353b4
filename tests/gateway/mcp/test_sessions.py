import asyncio
import contextlib
import sys
import time
from pathlib import Path

import pytest

from freehold.core.errors import UpstreamUnavailable
from freehold.core.exchange import KeyId, Principal
from freehold.gateway.mcp import child
from freehold.gateway.mcp.child import ChildLink
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.link import SessionGone
from freehold.gateway.mcp.sessions import WARY_S, Server, Session
from tests.gateway.mcp.proxying import COMMAND, Proxy, is_running, until

ADA = Principal(key_id=KeyId("k1"), name="ada")
BEN = Principal(key_id=KeyId("k2"), name="ben")
SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def pid_of(session: Session) -> int:
    assert isinstance(session.link, ChildLink)
    process = session.link._process._process
    assert process is not None
    return process.pid


async def test_a_process_ends_in_time_though_nobody_asks_for_anything(tmp_path: Path) -> None:
    server = Server(McpConfig(name="it", command=SLEEPER, session_idle_s=0.05), Proxy(tmp_path).services())
    session = await server.begin(ADA)
    server.open(session)
    pid = pid_of(session)
    assert is_running(pid)
    await until(lambda: not is_running(pid))
    await server.close()


async def test_a_session_in_use_stays_and_is_its_own_keys(tmp_path: Path) -> None:
    clock = Clock()
    server = Server(McpConfig(name="it", command=SLEEPER), Proxy(tmp_path).services(), clock=clock)
    session = await server.begin(ADA)
    server.open(session)
    async with server.used(session):
        clock.now_s += 1e6
        assert server.find(session.id, ADA) is session
        with pytest.raises(SessionGone):
            server.find(session.id, BEN)
    assert server.find(session.id, ADA) is session
    clock.now_s += 1e6
    with pytest.raises(SessionGone):
        server.find(session.id, ADA)
    await server.close()
    assert not is_running(pid_of(session))


async def test_what_was_suspect_is_remembered_of_a_key_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    server = Server(McpConfig(name="it", url="http://127.0.0.1:9/mcp"), Proxy(tmp_path).services(), clock=clock)
    screening = server.screening(ADA)
    assert server.screening(BEN) is not screening
    assert server.screening(ADA) is screening
    clock.now_s += WARY_S + 1
    assert server.screening(ADA) is not screening
    await server.close()


STUBBORN = (
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)",
)


def server_of(tmp_path: Path, command: tuple[str, ...]) -> Server:
    return Server(McpConfig(name="it", command=command, message_limit_bytes=100_000), Proxy(tmp_path).services())


def left_of(leader: int) -> list[int]:
    """Who of a process group still runs; of the leader, which is ours to reap, its very entry."""
    found = [leader] if Path(f"/proc/{leader}").exists() else []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid = int(stat.parent.name)
            if int(stat.read_text().rpartition(")")[2].split()[2]) == leader and is_running(pid):
                found.append(pid)
    return found


@pytest.mark.parametrize("command", [(*COMMAND, "flood"), STUBBORN, SLEEPER], ids=["flood", "stubborn", "sleeper"])
@pytest.mark.parametrize("is_open", [True, False])
async def test_no_process_outlives_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], is_open: bool
) -> None:
    monkeypatch.setattr(child, "GRACE_S", 0.2)
    server = server_of(tmp_path, command)
    session = await server.begin(ADA)
    if is_open:
        server.open(session)
    pid = pid_of(session)
    await asyncio.sleep(0.3)  # a flood is under way
    await server.close()
    assert pid not in left_of(pid)  # it was ours to reap
    await until(lambda: left_of(pid) == [])  # what it started dies of the same signal, and is init's


async def test_who_stops_waiting_for_an_end_does_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "GRACE_S", 0.2)
    server = server_of(tmp_path, STUBBORN)
    session = await server.begin(ADA)
    ending = asyncio.ensure_future(server.end(session))
    await asyncio.sleep(0.05)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    assert left_of(pid_of(session)) != []
    await server.close()
    await until(lambda: left_of(pid_of(session)) == [])


def test_a_loop_that_ends_first_leaves_no_process(tmp_path: Path) -> None:
    """As of a node that is stopped at once: the end of a process is cut short, and so is the process."""

    async def cut_short() -> int:
        server = server_of(tmp_path, STUBBORN)
        session = await server.begin(ADA)
        ending = asyncio.ensure_future(server.end(session))
        await asyncio.sleep(0.05)
        assert not ending.done()
        return pid_of(session)

    pid = asyncio.run(cut_short())
    deadline_s = time.monotonic() + 5
    while any(is_running(one) for one in left_of(pid)):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


async def test_a_server_that_is_closed_starts_nothing(tmp_path: Path) -> None:
    server = server_of(tmp_path, SLEEPER)
    await server.close()
    with pytest.raises(UpstreamUnavailable, match="shutting down"):
        await server.begin(ADA)
    assert not server._links
