"""The hook and a wrapped server have a person asked through a node. A yes is a whole answer that says so; nothing else is one."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from freehold.cli import main
from freehold.cli.asking import _decision, asking_node
from freehold.core.approvals import Question
from freehold.core.errors import ConfigError, UpstreamUnavailable
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY
from tests.gateway.mcp.proxying import until
from tests.gateway.node import TestNode, running
from tests.gateway.test_approvals import AGENT, EXCHANGE, held

ROOT = Path(__file__).parents[2]
CRON, WIPE, LIST = "crontab jobs.txt", "rm -rf /", "ls src"
NOWHERE = "http://127.0.0.1:9"


@dataclass(slots=True)
class People:
    """A node in a thread, and people who answer what it asks: True, False, or None for nobody."""

    node: TestNode = field(default_factory=TestNode)
    answer: bool | None = True
    seen: list[Question] = field(default_factory=list)

    async def work(self) -> None:
        calls, admin = self.node.approvals, self.node.keys.authenticate(ADMIN_KEY)
        while True:
            for question in calls.waiting():
                if question not in self.seen:
                    self.seen.append(question)
                    if self.answer is not None:
                        calls.decide(question.id, approved=self.answer, by=admin)
            await asyncio.sleep(0.01)


@contextmanager
def people() -> Iterator[People]:
    ready, done = threading.Event(), threading.Event()
    made = People()

    async def serve() -> None:
        async with running(made.node):
            working = asyncio.ensure_future(made.work())
            ready.set()
            await asyncio.to_thread(done.wait)
            working.cancel()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert ready.wait(20)
    try:
        yield made
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def crowd() -> Iterator[People]:
    with people() as made:
        yield made


def hook(given: Any, url: str, *options: str, key: str = CLIENT_KEY) -> Result:
    words = ["guard", "hook", "--ask", "30", *options]
    return CliRunner().invoke(main, words, input=json.dumps(given), env={"FREEHOLD_URL": url, "FREEHOLD_API_KEY": key})


def call(command: str, event: str = "PreToolUse", **more: Any) -> dict[str, Any]:
    return {"hook_event_name": event, "tool_name": "Bash", "tool_input": {"command": command}, "cwd": "/srv/project", **more}


CODEX, GEMINI = {"turn_id": "1", "model": "m"}, "BeforeTool"
PLAIN = {"tool": "Bash", "arguments": {"command": CRON}}


def test_a_persons_yes_lets_the_call_go_on(crowd: People) -> None:
    crowd.answer = True
    claude = hook(call(CRON), crowd.node.url)
    assert (claude.exit_code, json.loads(claude.stdout)["hookSpecificOutput"]["permissionDecision"]) == (0, "allow")
    for other in (call(CRON, **CODEX), call(CRON, GEMINI)):
        answered = hook(other, crowd.node.url)
        assert (answered.stdout, answered.exit_code) == ("{}\n", 0)
    plain = hook(PLAIN, crowd.node.url)
    assert (plain.exit_code, json.loads(plain.stdout)["decision"]) == (0, "allow")
    asked = crowd.seen[-1]
    assert (asked.tool, json.loads(asked.arguments)) == ("Bash", {"command": CRON})
    assert asked.principal.name == "client"
    assert any(effect.startswith("effect-persist") for effect in asked.effects)


@pytest.mark.parametrize("given", [call(CRON), call(CRON, **CODEX), call(CRON, GEMINI), PLAIN])
def test_a_persons_no_stops_it_and_is_told(crowd: People, given: Any) -> None:
    crowd.answer = False
    result = hook(given, crowd.node.url)
    assert result.exit_code == 2
    assert "did not say yes" in result.stderr
    assert "allow" not in result.stdout


def test_nobodys_answer_in_time_is_no(crowd: People) -> None:
    crowd.answer = None
    result = hook(call(CRON), crowd.node.url, "--ask", "1")
    assert result.exit_code == 2
    assert crowd.node.audit.rows[-1][1]["outcome"] == "timed_out"


def test_what_policy_allows_or_stops_is_asked_of_nobody(crowd: People) -> None:
    crowd.answer, before = True, len(crowd.seen)
    assert hook(call(LIST), crowd.node.url).stdout == "{}\n"
    assert hook(call(WIPE), crowd.node.url).exit_code == 2
    both = {"calls": [PLAIN, {"tool": "Bash", "arguments": {"command": WIPE}}]}
    assert hook(both, crowd.node.url, "--agent", "plain").exit_code == 2
    assert len(crowd.seen) == before


def test_each_call_of_one_event_needs_its_own_yes(crowd: People) -> None:
    crowd.answer, before = True, len(crowd.seen)
    both = {"calls": [PLAIN, {"tool": "Bash", "arguments": {"command": "systemctl stop postgresql"}}]}
    assert hook(both, crowd.node.url, "--agent", "plain").exit_code == 0
    assert len(crowd.seen) == before + 2
    crowd.answer = False
    assert hook(both, crowd.node.url, "--agent", "plain").exit_code == 2


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (NOWHERE, CLIENT_KEY),
        ("", CLIENT_KEY),
        (NOWHERE, ""),
        ("http://node.example:8400", "k"),
        ("nonsense", "k"),
        (NOWHERE, "k\n"),
    ],
)
def test_a_node_that_can_not_be_asked_leaves_the_question_to_the_agent(url: str, key: str) -> None:
    asked = hook(call(CRON), url, key=key)
    words = json.loads(asked.stdout)["hookSpecificOutput"]
    assert (asked.exit_code, words["permissionDecision"]) == (0, "ask")
    assert "Nobody could be asked through a node" in words["permissionDecisionReason"]
    assert hook(call(CRON, **CODEX), url, key=key).exit_code == 2


def test_a_key_that_the_node_does_not_know_asks_nobody(crowd: People) -> None:
    assert "no such key" in hook(call(CRON), crowd.node.url, key="fh_nobody").stdout


def test_settings_give_the_person_time_and_hold_no_key(crowd: People) -> None:
    words = ["guard", "hook", "--print-settings", "claude", "--ask", "300"]
    env = {"FREEHOLD_URL": crowd.node.url, "FREEHOLD_API_KEY": CLIENT_KEY}
    printed = CliRunner().invoke(main, words, env=env).stdout
    entry = json.loads(printed)["hooks"]["PreToolUse"][0]["hooks"][0]
    assert entry["timeout"] == 330
    assert f"--ask 300 --url {crowd.node.url}" in entry["command"]
    assert CLIENT_KEY not in printed
    without = CliRunner().invoke(main, words[:-2], env=env).stdout
    assert json.loads(without)["hooks"]["PreToolUse"][0]["hooks"][0]["timeout"] == 30
    assert "--url" not in without


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_other_bytes_are_a_yes(status: int, body: bytes) -> None:
    with pytest.raises(UpstreamUnavailable):
        _decision(status, body)


YES = b' {"id":"ap_0000000000000001","decision":"approve"}'


@given(st.integers(0, len(YES) - 1), st.sampled_from([201, 302, 401, 500]))
def test_a_yes_that_broke_off_or_came_as_another_status_is_none(length: int, status: int) -> None:
    assert _decision(200, YES) is True
    with pytest.raises(UpstreamUnavailable):
        _decision(200, YES[:length])
    with pytest.raises(UpstreamUnavailable):
        _decision(status, YES)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.7:8400", "http://localhost.example.net", "ftp://127.0.0.1", "127.0.0.1:8400", "http://"]
)
def test_a_yes_that_anybody_between_could_write_is_not_asked_for(url: str) -> None:
    with pytest.raises(ConfigError):
        asking_node(url, "key")


async def test_a_wrapped_servers_calls_wait_for_a_person(crowd: People, tmp_path: Path) -> None:
    env = {"FREEHOLD_HOME": str(tmp_path), "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", "")}
    env |= {"FREEHOLD_URL": crowd.node.url, "FREEHOLD_API_KEY": CLIENT_KEY}
    arguments = ["-m", "freehold", "mcp", "wrap", "--", sys.executable, "-m", "tests.gateway.mcp.example_server", "example"]
    started = StdioServerParameters(command=sys.executable, args=arguments, env=env, cwd=ROOT)
    with (tmp_path / "stderr").open("w") as stderr:
        async with Client(stdio_client(started, errlog=stderr), mode="legacy") as client:
            crowd.answer = True
            assert not (await client.call_tool("run", {"command": CRON})).is_error
            assert (crowd.seen[-1].tool, json.loads(crowd.seen[-1].arguments)) == ("run", {"command": CRON})
            crowd.answer = False
            refused = await client.call_tool("run", {"command": CRON})
            assert refused.is_error
            assert "did not get it" in str(refused.content)
            crowd.answer, before = None, len(crowd.seen)
            waiting = asyncio.ensure_future(client.call_tool("run", {"command": CRON}))
            await until(lambda: len(crowd.seen) > before)
            waiting.cancel()  # the client gives up, and says so
            await until(lambda: not crowd.node.approvals.waiting())
    await until(lambda: crowd.node.audit.rows[-1][1].get("outcome") == "withdrawn")


async def test_a_node_that_is_not_there_is_a_no_to_a_wrapped_server() -> None:
    node = asking_node(NOWHERE, "key")
    assert node is not None
    assert await node.ask(held(), AGENT, EXCHANGE) is False


def test_the_url_may_be_the_one_that_clients_have() -> None:
    node = asking_node("http://127.0.0.1:8400/v1/", "key\n")
    assert node is not None
    assert (node.url, node.key) == ("http://127.0.0.1:8400", "key")
