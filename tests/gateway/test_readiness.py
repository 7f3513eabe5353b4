"""What anybody on the network is told of a node that is not ready."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.ports import UpstreamStatus
from freehold.gateway.readiness import for_anybody, without_paths
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY
from tests.gateway.node import TestNode, running
from tests.gateway.test_server import get

SIGNED = (
    "/srv/freehold/models/tiny/model.gguf was changed after it was signed: pull it again, or freehold models sign /srv/freehold/x"
)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (SIGNED, "model.gguf was changed after it was signed: pull it again, or freehold models sign x"),
        ("records go to /var/lib/freehold/record.db", "records go to record.db"),
        ("the file '/opt/ada/m.gguf' (in ~/models/) is none", "the file 'm.gguf' (in models) is none"),
        (r"C:\Users\ada\m.gguf cannot be read", "m.gguf cannot be read"),
        ("ask https://example.org/a/b or http://127.0.0.1:8400/v1", "ask https://example.org/a/b or http://127.0.0.1:8400/v1"),
        ("tests and/or 1/2 of 3 GB/s, 1 / 8 of it", "tests and/or 1/2 of 3 GB/s, 1 / 8 of it"),
    ],
)
def test_a_path_is_told_by_its_last_name(words: str, told: str) -> None:
    assert without_paths(words) == told


def test_a_home_with_a_space_in_its_name_is_taken_out_whole() -> None:
    home = Path("/Volumes/ada/Library/Application Support/freehold")
    assert without_paths(f"the model {home}/models/m.gguf is none", (home,)) == "the model m.gguf is none"


NAMES = st.text(st.characters(categories=("L", "N"), include_characters="-_."), min_size=1, max_size=8).filter(
    lambda name: name.strip(".")
)


@given(st.lists(NAMES, min_size=2, max_size=6), st.sampled_from(["{} is gone", "see '{}'", "({}): why", "{}, and more"]))
def test_no_folder_of_a_path_is_told(names: list[str], words: str) -> None:
    told = without_paths(words.format("/" + "/".join(names)))
    assert told == words.format(names[-1])


def test_what_is_no_detail_stays() -> None:
    answer = {"ready": False, "upstreams": {"freehold": {"ready": False, "detail": "/a/b is gone", "code": "model_refused"}}}
    assert for_anybody(answer, ()) == {
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
