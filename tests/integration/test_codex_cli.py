"""OpenAI's coding agent, headless, through a real node. Needs its command: `codex` on the path, or in FREEHOLD_TEST_CODEX."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import nodes, responses_provider
from tests.integration.provider import Provider as ChatProvider

CODEX = os.environ.get("FREEHOLD_TEST_CODEX") or shutil.which("codex")
VECTORS = Path(__file__).parents[1] / "vectors" / "openai_responses"
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"

pytestmark = pytest.mark.skipif(CODEX is None, reason="codex is not here: npm install @openai/codex")


@pytest.fixture(scope="module")
def native() -> Iterator[responses_provider.Provider]:
    with responses_provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def two(
    tmp_path_factory: pytest.TempPathFactory, native: responses_provider.Provider, remote: ChatProvider
) -> Iterator[nodes.Node]:
    home = tmp_path_factory.mktemp("home")
    upstreams = (("native", native.url, '["openai.responses"]'), ("scripted", remote.url, '["openai.chat"]'))
    nodes.furnish(
        home,
        "\n".join(
            f'[[upstreams]]\nname = "{name}"\nurl = "{url}"\nmodels = ["{name}"]\ndialects = {dialects}\n'
            for name, url, dialects in upstreams
        ),
    )
    with nodes.running(home) as started:
        yield started


def run(node: nodes.Node, model: str, folder: Path, prompt: str) -> str:
    """What the agent says at the end of a turn, in a folder of its own."""
    (folder / "codex").mkdir()
    (folder / "codex" / "config.toml").write_text(
        f"""
model = "{model}"
model_provider = "node"
web_search = "disabled"
[model_providers.node]
name = "node"
base_url = "{node.url}/v1"
env_key = "NODE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
    )
    assert CODEX is not None
    done = subprocess.run(
        [CODEX, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CODEX_HOME": str(folder / "codex"),
            "NODE_KEY": node.client_key,
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def calling(name: str, arguments: str) -> bytes:
    """A recorded call, of another tool with other arguments, in two deltas."""
    recorded = (VECTORS / "tools_two_parallel.sse").read_text().split("\n\n")
    half = len(arguments) // 2
    call: dict[str, Any] = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": name}
    documents: list[dict[str, Any]] = [
        json.loads(recorded[0].split("data: ", 1)[1]),
        {"type": "response.output_item.added", "output_index": 0, "item": {**call, "status": "in_progress", "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": arguments[:half]},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": arguments[half:]},
        {"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 0, "arguments": arguments},
        {"type": "response.output_item.done", "output_index": 0, "item": {**call, "status": "completed", "arguments": arguments}},
    ]
    end = json.loads(recorded[-2].split("data: ", 1)[1])
    end["response"]["output"] = [documents[-1]["item"]]
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (document["type"].encode(), json.dumps({**document, "sequence_number": number}).encode())
        for number, document in enumerate([*documents, end])
    )


def test_it_is_answered_by_a_provider_of_its_own_dialect(
    two: nodes.Node, native: responses_provider.Provider, tmp_path: Path
) -> None:
    native.stream = (VECTORS / "text.sse").read_bytes()
    assert run(two, "native", tmp_path, "Say hello.") == "Hello wörld, how are you?"
    assert native.received[-1]["store"] is False


def test_it_is_answered_by_a_chat_provider(two: nodes.Node, remote: ChatProvider, tmp_path: Path) -> None:
    remote.say("Hello ", "from a chat.")
    assert run(two, "scripted", tmp_path, "Say hello.") == "Hello from a chat."
    assert "exec_command" in [tool["function"]["name"] for tool in remote.received[-1]["tools"]]


def test_it_runs_a_command_in_which_a_key_is_masked(two: nodes.Node, native: responses_provider.Provider, tmp_path: Path) -> None:
    native.next_streams = [calling("exec_command", json.dumps({"cmd": f"echo 'key {TOKEN} end' > said.txt"}))]
    native.stream = (VECTORS / "text.sse").read_bytes()
    run(two, "native", tmp_path, f"Write the key {TOKEN} down.")
    said = (tmp_path / "said.txt").read_text()
    assert said.startswith("key [REDACTED:")
    assert said.endswith(" end\n")
    asked = json.dumps(native.received)
    assert "call_1" in asked
    assert TOKEN not in asked
