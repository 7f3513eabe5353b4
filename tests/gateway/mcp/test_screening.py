import json

from freehold.core.events import Event, Found
from freehold.core.findings import Context
from freehold.gateway.mcp.screening import Screening
from freehold.guard import GuardConfig, StreamGuard
from tests.gateway.turns import of_others


async def test_others_go_on_while_a_long_call_is_judged() -> None:
    screening, noted = Screening(StreamGuard(GuardConfig(engine="re2")), Context()), list[Event]()
    arguments = json.dumps({"command": "cp -r src build\nrm -rf ~/work\n" * 2000})
    with of_others() as turns:
        judged = await screening.judge("bash", "1", arguments, screening.open(), noted.append)
    assert turns.taken > 100
    assert judged.held is not None
    assert judged.held.arguments == arguments
    assert any(isinstance(event, Found) for event in noted)
