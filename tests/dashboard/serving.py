"""The dashboard on a real server, mounted as the gateway mounts it."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from freehold.core.errors import InvalidKey
from freehold.core.exchange import KeyId, Principal
from freehold.core.ports import UpstreamStatus
from freehold.core.totals import DayTotal
from freehold.dashboard.app import Dashboard, create_dashboard
from freehold.gateway.paths import Paths
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.questions import ListedQuestions

ADMIN, CLIENT = "fh_admin", "fh_client"


class Keys:
    """Implements `KeyRing`: one admin and one client."""

    def __init__(self) -> None:
        self.known = {
            ADMIN: Principal(key_id=KeyId("key_0"), name="owner", is_admin=True),
            CLIENT: Principal(key_id=KeyId("key_1"), name="notebook", team="research"),
        }

    def authenticate(self, secret: str) -> Principal:
        try:
            return self.known[secret]
        except KeyError:
            raise InvalidKey("this key is unknown or revoked") from None


@dataclass(slots=True)
class Served:
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    keys: Keys = field(default_factory=Keys)
    questions: ListedQuestions = field(default_factory=ListedQuestions)
    parts: dict[str, UpstreamStatus] = field(
        default_factory=lambda: {"engine": UpstreamStatus(ready=True, detail="smollm2-135m")}
    )
    day: list[DayTotal] = field(default_factory=list)
    now_s: float = 0.0
    url: str = ""
    dashboard: Dashboard = field(init=False)

    def __post_init__(self) -> None:
        self.dashboard = create_dashboard(
            self.ledger,
            self.keys,
            lambda: self.parts,
            self.questions,
            lambda _start_ns, _end_ns: self.day,
            key_names=lambda: {KeyId("key_1"): "notebook"},
            told=Paths().keep_from_client,
            clock=lambda: self.now_s,
            heartbeat_s=0.2,
        )


@contextlib.contextmanager
def serving(served: Served) -> Iterator[Served]:
    app = Starlette(routes=[Mount("/dashboard", app=served.dashboard)])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    served.url = f"http://127.0.0.1:{port}/dashboard"
    try:
        yield served
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
