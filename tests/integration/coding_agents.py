"""Coding agents as npm installs them, each run headless in a folder and a home of its own, with the node as its provider.

Here is what each needs to be pointed at a node (docs/clients.md tells people the same), and to keep quiet: no telemetry, no
updates, and for whatever is not on loopback a proxy that lets nothing through and counts who comes.
"""

import json
import os
import socket
import subprocess
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from tests.integration.agent_provider import Call
from tests.integration.nodes import Node

VARIABLE = "FREEHOLD_TEST_AGENTS"  # the folder they are in: `npm install --prefix FOLDER …`, as the script of the checks has it
_LIMIT_S = 120
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    code: int
    events: list[Event]  # what it reported, one JSON object a line
    answer: str  # the last that it told its user
    results: list[str]  # what its tools said, on this machine: nothing was masked there
    errors: list[str]  # what it complained of
    output: str  # all that it wrote
    elsewhere: Sequence[bytes] = ()  # whom it asked beside the node, as it told the proxy


class Agent(Protocol):
    name: str
    model: str  # one that it knows by name
    shell: str  # its tool that runs a command

    @abstractmethod
    def runs(self, command: str) -> Call: ...

    @abstractmethod
    def command(self, model: str, task: str) -> list[str]: ...

    @abstractmethod
    def furnish(self, home: Path, node: Node) -> Mapping[str, str]:
        """Write its settings; return its variables."""

    @abstractmethod
    def read(self, done: subprocess.CompletedProcess[str], events: list[Event]) -> Ran: ...


def run(agent: Agent, folder: Path, node: Node, model: str, task: str, work: Path) -> Ran:
    home = work.parent / f"{work.name}-home"
    home.mkdir()
    program, *words = agent.command(model, task)
    with dead_end() as (port, asked):
        variables = {"PATH": os.environ["PATH"], "HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        for proxy in _PROXIES:
            variables[proxy] = variables[proxy.upper()] = f"http://127.0.0.1:{port}"
        done = subprocess.run(
            [str(folder / "node_modules" / ".bin" / program), *words],
            cwd=work,
            env={**variables, **agent.furnish(home, node)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    ran = agent.read(done, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])
    return replace(ran, elsewhere=asked)


@contextmanager
def dead_end() -> Iterator[tuple[int, list[bytes]]]:
    """A proxy's port on loopback that hears whom one asks for, and hangs up."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hear() -> None:
            while True:
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(5)
                    line = connection.recv(200).partition(b"\r")[0]
                if line == b"end":
                    return
                asked.append(line)

        thread = threading.Thread(target=hear)
        thread.start()
        port = listening.getsockname()[1]
        try:
            yield port, asked
        finally:
            with socket.create_connection(("127.0.0.1", port)) as last:
                last.sendall(b"end")
            thread.join()


class ClaudeCode:
    name = "claude"
    model = "claude-sonnet-4-5"
    shell = "Bash"

    def runs(self, command: str) -> Call:
        return Call(tool=self.shell, arguments={"command": command, "description": "as asked"})

    def command(self, model: str, task: str) -> list[str]:
        return [
            "claude",
            "-p",
            task,
            "--model",
            model,
            "--allowedTools",
            "Bash,Write",
            "--output-format",
            "stream-json",
            "--verbose",
        ]

    def furnish(self, home: Path, node: Node) -> Mapping[str, str]:
        return {
            "ANTHROPIC_BASE_URL": node.url,
            "ANTHROPIC_API_KEY": node.client_key,
            "CLAUDE_CONFIG_DIR": str(home),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",  # no telemetry, reports or look for updates
        }

    def read(self, done: subprocess.CompletedProcess[str], events: list[Event]) -> Ran:
        blocks = [
            block
            for event in events
            if event["type"] == "user"
            for block in event["message"]["content"]
            if block["type"] == "tool_result"
        ]
        last = next((event for event in reversed(events) if event["type"] == "result"), {})
        retries = [json.dumps(event) for event in events if "retry" in str(event.get("subtype"))]
        failures = [str(last["result"])] if last.get("is_error") else []
        failures += [str(block["content"]) for block in blocks if block.get("is_error")]
        return Ran(
            code=done.returncode,
            events=events,
            answer=str(last.get("result")),
            results=[str(block["content"]) for block in blocks],
            errors=[*retries, *failures, *done.stderr.splitlines()],
            output=done.stdout + done.stderr,
        )


class Codex:
    name = "codex"
    model = "gpt-5.5"
    shell = "exec_command"

    def runs(self, command: str) -> Call:
        return Call(tool=self.shell, arguments={"cmd": command})

    def command(self, model: str, task: str) -> list[str]:
        # Its sandbox needs what a container may not have; the commands are those of the test's script.
        options = ["--json", "--skip-git-repo-check", "--sandbox", "danger-full-access"]
        return ["codex", "exec", *options, "--model", model, task]

    def furnish(self, home: Path, node: Node) -> Mapping[str, str]:
        (home / "config.toml").write_text(
            f"""
model_provider = "freehold"
web_search = "disabled"
check_for_update_on_startup = false

[model_providers.freehold]
name = "Freehold"
base_url = "{node.url}/v1"
env_key = "FREEHOLD_API_KEY"
wire_api = "responses"

[analytics]
enabled = false

[features]
plugins = false
"""
        )
        return {"CODEX_HOME": str(home), "FREEHOLD_API_KEY": node.client_key}

    def read(self, done: subprocess.CompletedProcess[str], events: list[Event]) -> Ran:
        items = [event["item"] for event in events if event["type"] == "item.completed"]
        # It has no description of a model by a name that is ours, and says so.
        complaints = [item["message"] for item in items if item["type"] == "error" and "Model metadata" not in item["message"]]
        failures = [event["message"] for event in events if event["type"] == "error"]
        return Ran(
            code=done.returncode,
            events=events,
            answer=next((item["text"] for item in reversed(items) if item["type"] == "agent_message"), ""),
            results=[item["aggregated_output"] for item in items if item["type"] == "command_execution"],
            errors=[*complaints, *failures],
            output=done.stdout + done.stderr,
        )


class GeminiCLI:
    name = "gemini"
    model = "gemini-2.5-flash"
    shell = "run_shell_command"

    def runs(self, command: str) -> Call:
        return Call(tool=self.shell, arguments={"command": command, "description": "as asked"})

    def command(self, model: str, task: str) -> list[str]:
        return ["gemini", "-p", task, "--model", model, "--yolo", "--output-format", "stream-json"]

    def furnish(self, home: Path, node: Node) -> Mapping[str, str]:
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        }
        (home / ".gemini").mkdir()
        words = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in settings.items())
        (home / ".gemini" / "settings.json").write_text(f"{{\n{words}\n}}\n")
        return {
            "GOOGLE_GEMINI_BASE_URL": node.url,
            "GEMINI_API_KEY": node.client_key,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",  # or it does not run tools unasked
        }

    def read(self, done: subprocess.CompletedProcess[str], events: list[Event]) -> Ran:
        answer = ""
        for event in events:  # texts come in pieces; a tool's call ends one text, and the next is another
            if event["type"] == "message" and event["role"] == "assistant":
                answer += event["content"]
            elif event["type"] == "tool_use":
                answer = ""
        results = [event for event in events if event["type"] == "tool_result"]
        ends = [event for event in events if event["type"] in ("error", "result") and event.get("status") != "success"]
        failed = [event for event in results if event["status"] != "success"]
        return Ran(
            code=done.returncode,
            events=events,
            answer=answer,
            results=[str(event.get("output")) for event in results],
            errors=[json.dumps(event) for event in [*ends, *failed]],
            output=done.stdout + done.stderr,
        )


AGENTS: dict[str, Agent] = {agent.name: agent for agent in (ClaudeCode(), Codex(), GeminiCLI())}
