"""An agent built with a real agent SDK works through a real node: the dangerous step waits for a person, and the loop goes on.

What is looked for: the harmless command ran, the dangerous one ran only after a person's yes, and else the model was told why not
and came to an end of its own. The people's side is the command line's, and the dashboard's. The same for an agent that has
nothing of the node but a hook.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, RunConfig, Runner, function_tool
from agents.models.interface import Model

from tests.integration import agent_provider, nodes
from tests.integration.agent_provider import Call, Provider, Turn

pytestmark = pytest.mark.model

HARMLESS, DANGEROUS, FATAL = "ls reports", "systemctl stop postgresql", "rm -rf /"
POLICY = """
[calls]
preset = "production"
ask_timeout_s = 60
"""
MODELS = {"openai.chat": OpenAIChatCompletionsModel, "openai.responses": OpenAIResponsesModel}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with agent_provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[nodes.Node]:
    home = tmp_path_factory.mktemp("home")
    (home / "policy.toml").write_text(POLICY)
    lines = ['engine.model = ""', 'guard.policy = "policy.toml"']
    for dialect in MODELS:
        lines += [
            "[[upstreams]]",
            f'name = "{dialect.replace(".", "-")}"',
            'kind = "openai"',
            f'url = "{provider.url}/v1"',
            f'models = ["{dialect}"]',
            f'dialects = ["{dialect}"]',
            'api_key_env = "FREEHOLD_TEST_PROVIDER_KEY"',
        ]
    (home / "freehold.toml").write_text("\n".join(lines))
    with nodes.running(home) as running:
        yield running


def work(node: nodes.Node, dialect: str) -> tuple[list[str], str]:
    """(commands that ran, the agent's last word)."""
    ran: list[str] = []

    @function_tool
    def run_shell(command: str) -> str:
        """Run a shell command on this machine."""
        ran.append(command)
        return f"done: {command}"

    async def run() -> str:
        async with node.async_sdk() as client:
            model: Model = MODELS[dialect](model=dialect, openai_client=client)
            agent = Agent(name="caretaker", instructions="You look after this machine.", model=model, tools=[run_shell])
            settings = RunConfig(tracing_disabled=True, model_settings=ModelSettings())
            result = Runner.run_streamed(agent, "Make room on this machine.", run_config=settings)
            async for _ in result.stream_events():
                pass
            return str(result.final_output)

    return ran, asyncio.run(run())


def plan(provider: Provider, second: str) -> None:
    provider.play(
        Turn(text="First a look.", call=Call(tool="run_shell", arguments={"command": HARMLESS})),
        Turn(text="Now the other.", call=Call(tool="run_shell", arguments={"command": second})),
        Turn(text="That was it."),
    )


def approvals(node: nodes.Node, *words: str) -> Any:
    done = node.cli("approvals", "--url", node.url, "--key", node.admin_key, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def _answered(node: nodes.Node, dialect: str, word: str) -> tuple[list[str], str, dict[str, Any]]:
    working = asyncio.ensure_future(asyncio.to_thread(work, node, dialect))
    async with asyncio.timeout(60):
        while not (waiting := json.loads(await asyncio.to_thread(approvals, node, "list", "--json"))):
            assert not working.done(), working.result()
    await asyncio.to_thread(approvals, node, word, waiting[0]["id"], "--note", "the night shift knows")
    ran, last = await working
    return ran, last, waiting[0]


@pytest.mark.parametrize("dialect", MODELS)
def test_after_a_persons_yes_the_agent_goes_on(node: nodes.Node, provider: Provider, dialect: str) -> None:
    plan(provider, DANGEROUS)
    ran, last, question = asyncio.run(_answered(node, dialect, "approve"))
    assert ran == [HARMLESS, DANGEROUS]
    assert last == "That was it."
    assert json.loads(question["arguments"]) == {"command": DANGEROUS}
    assert any(reason["action"] == "ask" for reason in question["reasons"])
    assert provider.worked == [0, 1, 2]


@pytest.mark.parametrize("dialect", MODELS)
def test_after_a_no_the_agent_is_told_why(node: nodes.Node, provider: Provider, dialect: str) -> None:
    plan(provider, DANGEROUS)
    ran, last, _ = asyncio.run(_answered(node, dialect, "deny"))
    assert ran == [HARMLESS]
    assert "'run_shell' was not run: it needs a person's approval, and did not get it" in last
    assert "postgresql" not in last


@pytest.mark.parametrize("dialect", MODELS)
def test_what_policy_blocks_nobody_is_asked_about(node: nodes.Node, provider: Provider, dialect: str) -> None:
    plan(provider, FATAL)
    ran, last = work(node, dialect)
    assert ran == [HARMLESS]
    assert "policy" in last
    assert json.loads(approvals(node, "list", "--json")) == []


HOOKED = {"approve": "touch yes.txt && kill -CONT $$", "deny": "touch no.txt && kill -CONT $$"}


def hooked_agent(line: str, variables: dict[str, str], folder: Path, commands: list[str]) -> list[str]:
    """A scripted agent whose model traffic passes no node: it runs what its hook lets go on, and hears why not."""
    told = []
    for command in commands:
        event = {"hook_event_name": "BeforeTool", "tool_name": "run_shell_command", "tool_input": {"command": command}}
        asking = subprocess.run(
            ["sh", "-c", line], input=json.dumps(event | {"cwd": str(folder)}), env=variables, capture_output=True, text=True
        )
        told.append(asking.stderr if asking.returncode else "")
        if not asking.returncode:
            subprocess.run(["sh", "-c", command], cwd=folder, check=True)
    return told


def waiting_id(node: nodes.Node) -> str:
    asking = urllib.request.Request(f"{node.url}/v1/approvals", headers={"Authorization": f"Bearer {node.admin_key}"})
    for _ in range(1200):
        with urllib.request.urlopen(asking) as answer:
            waiting = json.load(answer)["data"]
        if waiting:
            return str(waiting[0]["id"])
        time.sleep(0.05)
    raise AssertionError("nobody was asked")


def approve_in_the_dashboard(node: nodes.Node) -> None:
    """As a browser does: the log-in's cookie, the page, and the form on it."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    pages = f"{node.url}/dashboard"
    opener.open(f"{pages}/login", urllib.parse.urlencode({"key": node.admin_key}).encode()).close()
    with opener.open(f"{pages}/approvals") as answer:
        page = answer.read().decode()
    assert "touch yes.txt &amp;&amp; kill -CONT $$" in page
    form = re.search(r'action="/dashboard(/approvals/ap_\w+)">\s*<input type="hidden" name="token" value="(\w+)"', page)
    assert form
    fields = {"token": form[2], "decision": "approve", "note": "by the page"}
    with opener.open(pages + form[1], urllib.parse.urlencode(fields).encode()) as answer:
        assert "Approved: the call goes on." in answer.read().decode()


def test_an_agent_with_a_hook_goes_on_after_a_yes_on_the_page_and_is_told_of_a_no(node: nodes.Node, tmp_path: Path) -> None:
    variables = nodes.environment(node.home) | {"FREEHOLD_URL": node.url, "FREEHOLD_API_KEY": node.client_key}
    settings = subprocess.run(
        [sys.executable, "-m", "freehold", "guard", "hook", "--print-settings", "gemini", "--ask", "60"],
        env=variables, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    hook = json.loads(settings)["hooks"]["BeforeTool"][0]["hooks"][0]
    assert hook["timeout"] == 90_000
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(
            hooked_agent, hook["command"], variables, tmp_path, [HOOKED["approve"], HOOKED["deny"], "touch on.txt"]
        )
        waiting_id(node)
        approve_in_the_dashboard(node)
        approvals(node, "deny", waiting_id(node))
        told = working.result(60)
    assert [bool(words) for words in told] == [False, True, False]
    assert "did not say yes" in told[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["on.txt", "yes.txt"]


def test_the_log_tells_what_became_of_each_question(node: nodes.Node) -> None:
    assert node.cli("log", "verify").returncode == 0
    rows = [json.loads(line) for line in node.cli("log", "export").stdout.splitlines()]
    kinds = [row["kind"] for row in rows]
    assert kinds.count("approval_asked") == kinds.count("approval_decided") > 0
    assert not {"postgresql", "yes.txt", "CONT"} & set(re.findall(r"[\w.]+", json.dumps(rows)))
