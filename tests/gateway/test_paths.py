"""Where this machine's files lie is told to nobody but who runs it."""

import logging
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import (
    ConfigError,
    DeviceError,
    FreeholdError,
    InternalError,
    InvalidRequest,
    MalformedArtefact,
    ModelRefused,
    RecordNotWritten,
    UpstreamRejected,
    UpstreamUnavailable,
    VerificationError,
)
from freehold.core.exchange import Principal
from freehold.gateway.paths import Paths
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY, PlainKeyRing
from tests.fakes.upstream import answer
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
    assert Paths().without(words) == told


def test_a_home_with_a_space_in_its_name_is_taken_out_whole() -> None:
    home = Path("/Volumes/ada/Library/Application Support/freehold")
    assert Paths((home,)).without(f"the model {home}/models/m.gguf is none") == "the model m.gguf is none"


NAMES = st.text(st.characters(categories=("L", "N"), include_characters="-_."), min_size=1, max_size=8).filter(
    lambda name: name.strip(".")
)


@given(st.lists(NAMES, min_size=2, max_size=6), st.sampled_from(["{} is gone", "see '{}'", "({}): why", "{}, and more"]))
def test_no_folder_of_a_path_is_told(names: list[str], words: str) -> None:
    told = Paths().without(words.format("/" + "/".join(names)))
    assert told == words.format(names[-1])


OURS = (
    ConfigError,
    DeviceError,
    InternalError,
    MalformedArtefact,
    ModelRefused,
    RecordNotWritten,
    UpstreamUnavailable,
    VerificationError,
)
ASKED: dict[str, dict[str, object]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
}


async def post(node: TestNode, path: str, key: str = CLIENT_KEY, *, stream: bool) -> bytes:
    body = {"model": "scripted-1", "stream": stream, **ASKED[path]}
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as session, session.post(node.url + path, json=body, headers=headers) as reply:
        return await reply.read()


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("path", ASKED)
async def test_an_error_names_a_file_and_not_where_it_lies(
    path: str, kind: type[FreeholdError], caplog: pytest.LogCaptureFixture
) -> None:
    """Before the first word and after it; to an admin, too, whose programs may pass it on."""
    node = TestNode()
    async with running(node):
        for key in (CLIENT_KEY, ADMIN_KEY):
            for steps in ([], answer("Hello.")[:2]):
                node.upstream.steps = [*steps, kind(SIGNED)]
                caplog.clear()
                with caplog.at_level(logging.ERROR):
                    told = await post(node, path, key, stream=bool(steps))
                assert b"model.gguf was changed" in told
                assert b"/srv" not in told
                assert SIGNED in caplog.text


class _BrokenKeys(PlainKeyRing):
    def authenticate(self, secret: str) -> Principal:
        raise DeviceError("the disk of /srv/freehold/record.db is full; free some space")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/receipts/xc_0", "/v1/approvals", "/v1/chat/completions"])
async def test_nor_does_one_at_the_door(path: str) -> None:
    async with running(TestNode(keys=_BrokenKeys())) as node:
        told = await post(node, path, stream=False) if path in ASKED else (await get(node, path))[1]
    assert b"the disk of record.db is full; free some space" in told


async def test_a_record_that_cannot_be_written_is_told_without_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    node = TestNode()

    async def record(draft: object) -> None:
        raise RecordNotWritten("the disk of /srv/freehold/record.db is full; free some space")

    monkeypatch.setattr(node.recorder, "record", record)
    async with running(node):
        for stream in (False, True):
            told = await post(node, "/v1/chat/completions", stream=stream)
            assert b"the disk of record.db is full" in told


@pytest.mark.parametrize(
    "error", [InvalidRequest("no such path: /v1/nothing/here"), UpstreamRejected("/v1/tunes/mine: no such model", status=404)]
)
def test_the_words_of_clients_and_providers_stay(error: FreeholdError) -> None:
    words = error.message
    assert Paths().keep_from_client(error).message == words
