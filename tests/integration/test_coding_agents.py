"""Coding agents' own programs work through a real node: with a provider of their dialect, with one of chats, and under a policy.

What is looked for each time: the agent did what it was told, by a tool on this machine; the provider was asked once a turn, so
nothing of the stream was taken for broken; no secret of this machine reached the provider, and none of the provider's the agent.
"""

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import agent_provider, coding_agents, nodes
from tests.integration.agent_provider import SEEN, Call, Provider, Turn
from tests.integration.coding_agents import AGENTS, Agent, Ran

pytestmark = pytest.mark.model

OURS = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"  # in a file of the agent's folder
THEIRS = "ghp_" + "zZ9yX8wV7uT6sR5qP4oN3mL2kJ1iH0gF9eD8"  # in what the provider says
MARK = "[REDACTED:github-token]"
TASK = "Read notes.txt and tell me what it says."
# More than is held back of any stream, in words that do not repeat: Gemini CLI stops a model that goes round in circles.
LONG = "".join(f"Line {number} counts {number * number % 97} {word}. " for number in range(150) for word in ("ships", "birds"))
POLICY = """
[[rules]]
id = "nothing-leaves"
detectors = "github-*"
direction = "request"
model = "*-closed"
action = "block"

[[rules]]
id = "nothing-comes-in"
detectors = "github-*"
direction = "response"
model = "*-cut"
action = "block"

[[rules]]
id = "tokens-leave"
detectors = "github-*"
direction = "request"
model = "*-tokens"
action = "tokenise"

[tokens]
trusted_tools = ["Bash", "exec_command", "run_shell_command"]
"""


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the agents are. Who names a folder wants them tested: what is not in it is then a failure."""
    named = os.environ.get(coding_agents.VARIABLE)
    if not named:
        pytest.skip(f"{coding_agents.VARIABLE} names no folder with coding agents from npm")
    return Path(named)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with agent_provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, folder: Path, provider: Provider) -> Iterator[nodes.Node]:
    home = tmp_path_factory.mktemp("home")
    (home / "policy.toml").write_text(POLICY)
    upstreams = [
        upstream("anthropic", "anthropic", f"{provider.url}/v1", ["claude-sonnet-4-5", *of_policies("claude")]),
        upstream("gemini", "gemini", f"{provider.url}/v1beta", ["gemini-2.5-flash", *of_policies("gemini")]),
        upstream("openai", "openai", f"{provider.url}/v1", ["gpt-5.5", *of_policies("codex")], '["openai.responses"]'),
        upstream("chat", "openai", f"{provider.url}/v1", [f"{name}-chat" for name in AGENTS]),
    ]
    (home / "freehold.toml").write_text("\n".join(['engine.model = ""', 'guard.policy = "policy.toml"', *upstreams]))
    with nodes.running(home) as started:
        yield started


def of_policies(name: str) -> list[str]:
    return [f"{name}-closed", f"{name}-cut", f"{name}-tokens"]


def upstream(name: str, kind: str, url: str, models: list[str], dialects: str = "[]") -> str:
    words = f'name = "{name}"\nkind = "{kind}"\nurl = "{url}"\nmodels = {json.dumps(models)}\n'
    return f"[[upstreams]]\n{words}" + (f"dialects = {dialects}\n" if dialects != "[]" else "")


@pytest.fixture(params=list(AGENTS))
def agent(request: pytest.FixtureRequest) -> Agent:
    return AGENTS[request.param]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    (path / "notes.txt").write_text(f"deploy token {OURS}\nhello world\n")
    return path


def exchanges(node: nodes.Node, model: str) -> list[dict[str, Any]]:
    """What the log has of a model, with findings."""
    lines = node.cli("log", "export", "--kind", "exchange").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    return [{**row["facts"], "id": row["exchange_id"]} for row in rows if row["facts"]["model"] == model]


def found(rows: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Where tokens were found, and what was done, as far as it was done."""
    return {
        (finding["direction"], finding["channel"], finding["action"])
        for row in rows
        for finding in row["findings"]
        if finding["rule"] == "github-token" and finding["mode"] == "enforce"
    }


def receipt(node: nodes.Node, exchange_id: str) -> dict[str, Any]:
    url = f"{node.url}/v1/receipts/{exchange_id}"
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {node.client_key}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        document: dict[str, Any] = json.loads(response.read())
        return document


def secrets_at(provider: Provider) -> list[str]:
    return [asked.path for asked in provider.received if OURS.encode() in asked.body]


def assert_it_worked(ran: Ran, answer: str, results: int) -> None:
    assert (ran.code, ran.errors) == (0, []), ran.output
    assert ran.answer == answer
    assert len(ran.results) == results
    assert list(ran.elsewhere) == []


@pytest.mark.parametrize("is_native", [True, False], ids=["own-dialect", "chat-provider"])
def test_it_reads_a_file_with_a_secret_and_tells_of_it(
    agent: Agent, folder: Path, node: nodes.Node, provider: Provider, work: Path, is_native: bool
) -> None:
    model = agent.model if is_native else f"{agent.name}-chat"
    provider.play(
        Turn(text="I will read it.", thought="I need the file.", call=agent.runs("cat notes.txt")),
        Turn(text=f"All read. The key is {THEIRS}, and that is all.", thought=f"It is {THEIRS}, I think."),
    )
    ran = coding_agents.run(agent, folder, node, model, TASK, work)
    assert_it_worked(ran, f"All read. The key is {MARK}, and that is all.", 1)
    assert OURS in ran.results[0]
    assert "hello world" in ran.results[0]
    assert provider.worked == [0, 1]
    assert secrets_at(provider) == []
    assert MARK.encode() in provider.received[-1].body
    assert b"hello world" in provider.received[-1].body
    assert THEIRS[4:] not in ran.output
    rows = exchanges(node, model)
    assert {(row["status"], row["provider"]) for row in rows} == {("completed", provider_of(agent, is_native))}
    assert [row["finish_reason"] for row in rows if row["output_tokens"]][-2:] == ["tool_calls", "stop"]
    masked = {("request", "tool_result", "mask"), ("response", "text", "mask"), ("response", "reasoning", "mask")}
    assert masked <= found(rows)
    assert all("envelope" in receipt(node, row["id"]) for row in rows)


def provider_of(agent: Agent, is_native: bool) -> str:
    return {"claude": "anthropic", "codex": "openai", "gemini": "gemini"}[agent.name] if is_native else "chat"


def test_a_tool_that_is_trusted_gets_the_value_and_the_provider_never_sees_it(
    agent: Agent, folder: Path, node: nodes.Node, provider: Provider, work: Path
) -> None:
    provider.play(
        Turn(text="I will read it.", call=agent.runs("cat notes.txt")),
        Turn(text="Now I use it.", call=agent.runs(f"printf %s '{SEEN}' > used.txt && grep -c '{SEEN}' notes.txt")),
        Turn(text=f"I used {SEEN} once."),
    )
    ran = coding_agents.run(agent, folder, node, f"{agent.name}-tokens", TASK, work)
    assert_it_worked(ran, f"I used {OURS} once.", 2)
    assert (work / "used.txt").read_text() == OURS
    assert ran.results[1].strip() == "1"
    assert provider.worked == [0, 1, 2]
    assert secrets_at(provider) == []
    assert b"<<GITHUB_TOKEN_" in provider.received[-1].body
    assert ("request", "tool_result", "tokenise") in found(exchanges(node, f"{agent.name}-tokens"))


def test_a_tool_that_is_not_trusted_gets_the_token(folder: Path, node: nodes.Node, provider: Provider, work: Path) -> None:
    claude = AGENTS["claude"]
    provider.play(
        Turn(text="I will read it.", call=claude.runs("cat notes.txt")),
        Turn(text="Now I write it.", call=Call(tool="Write", arguments={"file_path": f"{work}/copy.txt", "content": SEEN})),
        Turn(text="Written."),
    )
    ran = coding_agents.run(claude, folder, node, "claude-tokens", TASK, work)
    assert_it_worked(ran, "Written.", 2)
    assert (work / "copy.txt").read_text().startswith("<<GITHUB_TOKEN_")
    assert OURS not in (work / "copy.txt").read_text()


def test_a_tool_of_plain_text_gets_what_is_left(folder: Path, node: nodes.Node, provider: Provider, work: Path) -> None:
    """Codex edits by a custom tool, whose input is text and no JSON."""
    codex = AGENTS["codex"]
    patch = f"*** Begin Patch\n*** Add File: new.txt\n+the key is {THEIRS}\n*** End Patch\n"
    provider.play(Turn(text="I add it.", call=Call(tool="apply_patch", text=patch)), Turn(text="Added."))
    ran = coding_agents.run(codex, folder, node, codex.model, TASK, work)
    assert_it_worked(ran, "Added.", 0)
    assert (work / "new.txt").read_text() == f"the key is {MARK}\n"
    assert provider.worked == [0, 1]


def test_a_request_that_policy_blocks_is_told_in_words_and_not_tried_again(
    agent: Agent, folder: Path, node: nodes.Node, provider: Provider, work: Path
) -> None:
    provider.play(Turn(text="I will read it.", call=agent.runs("cat notes.txt")), Turn(text="All read."))
    ran = coding_agents.run(agent, folder, node, f"{agent.name}-closed", TASK, work)
    assert ran.code != 0
    assert any("this node's policy blocked the request (github-token)" in error for error in ran.errors), ran.output
    assert provider.worked == [0]
    rows = exchanges(node, f"{agent.name}-closed")
    assert [row["error_code"] for row in rows if row["status"] == "blocked"] == ["blocked_by_policy"]
    assert ("request", "tool_result", "block") in found(rows)


@pytest.mark.parametrize("before", ["", LONG], ids=["before-the-first-word", "in-the-middle"])
def test_an_answer_that_policy_stops_is_told_in_words(
    agent: Agent, folder: Path, node: nodes.Node, provider: Provider, work: Path, before: str
) -> None:
    provider.play(Turn(text=f"{before}The key is {THEIRS}, and that is all."))
    ran = coding_agents.run(agent, folder, node, f"{agent.name}-cut", TASK, work)
    assert ran.code != 0
    words = ["this node's policy stopped the answer (github-token)"]
    if before and agent.name == "gemini":  # where it is still at the text before, its client reads both as one, and finds no JSON
        words.append("Incomplete JSON segment at the end")
    assert any(word in error for word in words for error in ran.errors), ran.output[-3000:]
    assert THEIRS[4:] not in ran.output
    # Claude Code asks once more, for an answer in one body, where a stream broke.
    assert provider.worked == [0, 0] if before and agent.name == "claude" else [0]


def test_nothing_is_kept_of_what_was_said(node: nodes.Node) -> None:
    """Runs last: all of the above went through this node."""
    for path in node.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert OURS.encode() not in content, path.name
            assert THEIRS.encode() not in content, path.name
    assert OURS not in "".join(node.log)
