import sys
from pathlib import Path

import pytest

from freehold.core.exchange import KeyId, Principal
from freehold.gateway.mcp.child import ChildLink
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.link import SessionGone
from freehold.gateway.mcp.sessions import WARY_S, Server, Session
from tests.gateway.mcp.proxying import Proxy, is_running, until

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
