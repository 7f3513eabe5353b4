"""A whole node with MCP servers, the official client, and a person who says yes or no."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests.gateway.mcp.proxying import is_running, until
from tests.integration import nodes

ROOT = Path(__file__).parents[2]
KEY = "AKIA" + "QYLPMN5HFIQR7XYA"  # an AWS key's shape; nobody's


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nodes.Node]:
    home = tmp_path_factory.mktemp("home")
    command = json.dumps([sys.executable, "-m", "tests.gateway.mcp.example_server"])
    (home / "freehold.toml").write_text(
        f'[engine]\nmodel = ""\n\n[[mcp]]\nname = "local"\ncommand = {command}\nfolder = {json.dumps(str(ROOT))}\n'
    )
    with nodes.running(home) as started:
        yield started


@asynccontextmanager
async def client_of(node: nodes.Node) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {node.client_key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{node.url}/mcp/local", http_client=http)) as client,
    ):
        yield client


async def cli(node: nodes.Node, *arguments: str) -> Any:
    return await asyncio.to_thread(node.cli, *arguments)


async def decided(node: nodes.Node, word: str) -> None:
    """A person waits for the question, and answers it."""
    options = ("approvals", "--url", node.url, "--key", node.admin_key)
    async with asyncio.timeout(30):
        while not (waiting := json.loads((await cli(node, *options, "list", "--json")).stdout)):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    done = await cli(node, *options, word, waiting[0]["id"])
    assert done.returncode == 0, done.stderr


def text_of(result: Any) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize(("word", "goes_on"), [("approve", True), ("deny", False)])
async def test_a_held_call_goes_on_once_a_person_says_yes_and_else_the_model_is_told(
    node: nodes.Node, word: str, goes_on: bool
) -> None:
    async with client_of(node) as client:
        await client.list_tools()
        answering = asyncio.create_task(decided(node, word))
        result = await client.call_tool("run", {"command": "git push origin main"})
        await answering
        assert result.is_error is not goes_on
        assert text_of(result).startswith("ran ") is goes_on
        assert not (await client.call_tool("run", {"command": "ls"})).is_error


async def test_a_node_guards_calls_and_results_and_proves_them(node: nodes.Node) -> None:
    async with client_of(node) as client:
        refused = await client.call_tool("run", {"command": "rm -rf / --no-preserve-root"})
        assert refused.is_error
        assert KEY not in text_of(await client.call_tool("echo", {"text": f"the key is {KEY}"}))
        assert refused.meta is not None
        receipt = refused.meta["freehold/receipt"]
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {node.client_key}"}) as http:
        kept = await http.get(f"{node.url}/v1/receipts/{receipt}")
        assert kept.json()["id"] == receipt
    assert (await cli(node, "log", "verify")).returncode == 0
    records = list(node.home.glob("*.db*"))
    assert records
    assert not any(KEY.encode() in path.read_bytes() for path in records)
    assert KEY not in "".join(node.log)


async def test_the_process_of_a_session_ends_with_it(node: nodes.Node) -> None:
    async with client_of(node) as client:
        pid = int(text_of(await client.call_tool("parent_of_many", {})))
        assert is_running(pid)
    await until(lambda: not is_running(pid))
