"""A coding agent through a real node: it runs a tool, sends back what it said, and sees no secret of the provider's."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.wire.anthropic_playing import TOKEN, block, in_pieces, stream, wire
from tests.integration import anthropic_provider, nodes, provider

CLAUDE = os.environ.get("FREEHOLD_TEST_CLAUDE_CODE") or shutil.which("claude")  # of the npm package @anthropic-ai/claude-code
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(CLAUDE is None, reason="Claude Code is not here: set FREEHOLD_TEST_CLAUDE_CODE to its program"),
]
MODEL = "claude-sonnet-4-6"
CALL = ['{"command": "echo the-word-', 'is-$((40+2))", "description": "say a word"}']


def answer(asked: dict[str, Any]) -> bytes:
    """First a call of the shell, then what it said."""
    said = json.dumps(asked["messages"][-1])
    if "tool_result" not in said and any(tool["name"] == "Bash" for tool in asked.get("tools", ())):
        begun = {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {}}
        call = block(1, begun, *({"type": "input_json_delta", "partial_json": piece} for piece in CALL))
        return wire(stream(in_pieces(0, "text", ["Let me ", "look."]), call)).replace(b'"end_turn"', b'"tool_use"')
    word = "the-word-is-42" if "the-word-is-42" in said else "nothing"
    return wire(stream(in_pieces(0, "text", ["It said ", word, " and ", TOKEN[:9], TOKEN[9:], " too."])))


@pytest.fixture(scope="module")
def claude() -> Iterator[anthropic_provider.Provider]:
    with anthropic_provider.serving() as running:
        running.choose = answer
        yield running


@pytest.fixture(scope="module")
def chat() -> Iterator[provider.Provider]:
    with provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, claude: anthropic_provider.Provider, chat: provider.Provider
) -> Iterator[nodes.Node]:
    home = tmp_path_factory.mktemp("home")
    nodes.furnish(
        home,
        f"""
[[upstreams]]
name = "claude"
kind = "anthropic"
url = "{claude.url}"
models = ["{MODEL}"]

[[upstreams]]
name = "chat"
url = "{chat.url}"
models = ["scripted"]
""",
    )
    with nodes.running(home) as started:
        yield started


def run(node: nodes.Node, folder: Path, model: str) -> dict[str, Any]:
    """Its last word on one task."""
    assert CLAUDE is not None
    done = subprocess.run(
        [CLAUDE, "-p", "What does echo say?", "--model", model, "--allowedTools", "Bash(echo:*)", "--output-format", "json"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ANTHROPIC_BASE_URL": node.url,
            "ANTHROPIC_AUTH_TOKEN": node.client_key,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_works_on_a_provider_of_its_own_dialect(node: nodes.Node, claude: anthropic_provider.Provider, tmp_path: Path) -> None:
    claude.received.clear()
    result = run(node, tmp_path, MODEL)
    assert result["is_error"] is False
    assert result["result"] == "It said the-word-is-42 and [REDACTED:github-token] too."
    asked = [asked for asked in claude.received if asked.document.get("tools")]
    assert [len(one.document["messages"]) for one in asked] == [1, 3]
    assert all("claude-code" in one.headers["anthropic-beta"] for one in asked)
    assert not any(b"REDACTED" in one.body for one in asked)


def test_it_works_on_a_chat_provider(node: nodes.Node, chat: provider.Provider, tmp_path: Path) -> None:
    chat.received.clear()
    chat.say("It is ", f"done with {TOKEN[:9]}", f"{TOKEN[9:]}.")
    result = run(node, tmp_path, "scripted")
    assert result["is_error"] is False
    assert result["result"].startswith("It is done with [REDACTED:github-token]")
    (asked,) = [asked for asked in chat.received if asked.get("tools")]
    assert asked["messages"][0]["role"] == "system"
    assert len(asked["user"]) <= 64
