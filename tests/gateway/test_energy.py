"""What an answer took, told to its client."""

from typing import Any

import aiohttp
import pytest

from freehold.core.events import Worked
from freehold.gateway.config import GatewayConfig
from freehold.gateway.energy import tells_energy
from tests.fakes.keys import CLIENT_KEY
from tests.fakes.upstream import MODEL, ScriptedUpstream, answer
from tests.gateway.node import TestNode, running

ASK: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
TWENTY_J = {
    "x-freehold-energy-joules": "20",
    "x-freehold-energy-joules-low": "20",
    "x-freehold-energy-joules-high": "20",
    "x-freehold-energy-grade": "modelled",
    "x-freehold-energy-source": "test",
    "x-freehold-carbon-grams": "2",
    "x-freehold-carbon-factor": "ISL;2022;average",
}


def working() -> ScriptedUpstream:
    return ScriptedUpstream(*answer("x")[:-1], Worked(compute_s=2, prefill_s=1, decode_s=1), answer("x")[-1])


async def ask(node: TestNode, *, stream: bool = False, asks: bool = False) -> tuple[dict[str, str], str]:
    async with aiohttp.ClientSession() as session:
        headers = {"authorization": f"Bearer {CLIENT_KEY}"} | ({"x-freehold-energy": "1"} if asks else {})
        async with session.post(f"{node.url}/v1/chat/completions", json=ASK | {"stream": stream}, headers=headers) as response:
            told = {name.lower(): value for name, value in response.headers.items() if name.lower().startswith("x-freehold-")}
            told.pop("x-freehold-receipt")
            return told, await response.text()


async def test_who_asks_is_told_in_headers_of_a_whole_answer() -> None:
    async with running(TestNode(upstream=working())) as node:
        assert (await ask(node))[0] == {}
        assert (await ask(node, asks=True))[0] == TWENTY_J


async def test_who_asks_for_a_stream_is_told_in_a_comment_before_its_end() -> None:
    async with running(TestNode(upstream=working())) as node:
        assert ": freehold" not in (await ask(node, stream=True))[1]
        headers, body = await ask(node, stream=True, asks=True)
        assert headers == {}
        *_, comment, last, done, end = body.split("\n\n")
        assert comment.startswith(": freehold energy-joules=20 energy-joules-low=20")
        assert (last[:6], done, end) == ("data: ", "data: [DONE]", "")


async def test_the_sdk_does_not_mind_the_comment() -> None:
    told = TestNode(upstream=working(), config=GatewayConfig(port=0, energy_headers="always"))
    async with running(told) as node, node.sdk() as sdk, await sdk.chat.completions.create(**ASK, stream=True) as stream:
        said = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
    assert "x" in said


async def test_an_answer_whose_energy_nobody_knows_says_so_and_no_number() -> None:
    async with running(TestNode()) as node:
        told, _ = await ask(node, asks=True)
    assert told == {"x-freehold-energy-grade": "unknown", "x-freehold-energy-source": "none"}


@pytest.mark.parametrize(
    ("setting", "asked", "tells"),
    [
        ("on_request", None, False),
        ("on_request", b"0", False),
        ("on_request", b"False", False),
        ("on_request", b"1", True),
        ("always", None, True),
        ("never", b"1", False),
    ],
)
def test_who_is_told(setting: Any, asked: bytes | None, tells: bool) -> None:
    assert tells_energy(setting, asked) is tells
