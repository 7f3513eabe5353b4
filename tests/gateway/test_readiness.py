"""What anybody on the network is told of a node that is not ready."""

from freehold.core.ports import UpstreamStatus
from freehold.gateway.paths import Paths
from freehold.gateway.readiness import for_anybody
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY
from tests.gateway.node import TestNode, running
from tests.gateway.test_server import get

SIGNED = (
    "/srv/freehold/models/tiny/model.gguf was changed after it was signed: pull it again, or freehold models sign /srv/freehold/x"
)


def test_what_is_no_detail_stays() -> None:
    answer = {"ready": False, "upstreams": {"freehold": {"ready": False, "detail": "/a/b is gone", "code": "model_refused"}}}
    assert for_anybody(answer, Paths()) == {
        "ready": False,
        "upstreams": {"freehold": {"ready": False, "detail": "b is gone", "code": "model_refused"}},
    }


async def test_paths_are_an_admins_to_see() -> None:
    node = TestNode()
    async with running(node):
        node.upstream.readiness = UpstreamStatus(ready=False, detail=SIGNED)
        for key in (None, CLIENT_KEY, "fh_nobody"):
            status, body = await get(node, "/readyz", key)
            assert status == 503
            assert b"model.gguf was changed" in body
            assert b"/srv" not in body
        assert SIGNED.encode() in (await get(node, "/readyz", ADMIN_KEY))[1]
