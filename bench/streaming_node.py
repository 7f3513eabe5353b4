"""A whole node under a memory limit, asked through the OpenAI SDK: what it answers, how fast, and what it leaves behind."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import openai

from bench.limits import Group

Report = Callable[..., None]

_START_S: Final = 180.0
QUESTION: Final = (
    "Write a Python function `fibonacci(n)` that returns the n-th Fibonacci number, with fibonacci(0) == 0. Only the code."
)
WEATHER: Final[Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city, now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    url: str
    key: str
    process_id: int
    fit: tuple[str, ...]
    home: Path

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, timeout=600)

    @property
    def processes(self) -> list[int]:
        """The node's and its engine's."""
        children = Path(f"/proc/{self.process_id}/task/{self.process_id}/children").read_text().split()
        return [self.process_id, *map(int, children)]

    def metric(self, name: str) -> float | None:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else None


@contextmanager
def node(model: Path, settings: Mapping[str, Any], group: Group, environment: Mapping[str, str] | None = None) -> Iterator[Node]:
    """Of a model that is added first, outside the limit: hashing a file is no part of running it."""
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as folder:
        home = Path(folder)
        environment = {**os.environ, "FREEHOLD_HOME": str(home), **(environment or {})}
        freehold = [sys.executable, "-m", "freehold"]
        subprocess.run(
            [*freehold, "models", "add", str(model), "--name", "bench"], env=environment, check=True, capture_output=True
        )
        lines = [f"{name} = {json.dumps(value)}" for name, value in {"model": "bench", **settings}.items()]
        (home / "freehold.toml").write_text("\n".join(["[engine]", *lines, ""]))
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                group.command([*freehold, "serve", "--port", "0", "--json"]), env=environment, stdout=subprocess.PIPE, stderr=log
            )
        try:
            yield _started(process, home)
        finally:
            process.terminate()
            process.wait(timeout=60)


def _started(process: "subprocess.Popen[bytes]", home: Path) -> Node:
    assert process.stdout is not None
    key, fit, until_s = "", (), time.monotonic() + _START_S
    for line in process.stdout:
        event = json.loads(line)
        match event.pop("event"):
            case "keys_created":
                key = event["client_key"]
            case "fit":
                fit = tuple(event["lines"])
            case "ready":
                return Node(url=event["url"], key=key, process_id=process.pid, fit=fit, home=home)
        if time.monotonic() > until_s:
            break
    raise RuntimeError(f"the node did not become ready: {(home / 'log').read_text()[-800:]}")


def ask(report: Report, name: str, made: Node) -> None:
    """A coding question and a tool call. 1 is right."""
    client = made.client
    began_s = time.monotonic()
    answer = client.chat.completions.create(
        model="bench", messages=[{"role": "user", "content": QUESTION}], max_tokens=200, temperature=0
    )
    taken_s = time.monotonic() - began_s
    code = answer.choices[0].message.content or ""
    report(name=f"{name}.coding", value=int(_computes(code)), unit="of 1 right", limit=1)
    tokens = answer.usage.completion_tokens if answer.usage else 0
    report(name=f"{name}.answer", value=tokens / taken_s, unit="tok/s, prompt and drafts included")
    called = client.chat.completions.create(
        model="bench",
        messages=[{"role": "user", "content": "What is the weather in Paris right now?"}],
        tools=[WEATHER],
        max_tokens=80,
        temperature=0,
    )
    calls = [call.function for call in called.choices[0].message.tool_calls or [] if call.type == "function"]
    is_valid = len(calls) == 1 and calls[0].name == "get_weather" and _city(calls[0].arguments) == "Paris"
    report(name=f"{name}.tool_call", value=int(is_valid), unit="of 1 valid", limit=1)


def _computes(answer: str) -> bool:
    """Whether the answer's code, run in a process of its own, gives the right numbers."""
    found = re.search(r"```(?:python)?\n(.*?)```", answer, re.DOTALL)
    code = found[1] if found else answer
    check = "\nassert [fibonacci(n) for n in range(11)] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55]\n"
    return subprocess.run([sys.executable, "-I", "-c", code + check], capture_output=True, timeout=20).returncode == 0


def _city(arguments: str) -> str | None:
    try:
        return str(json.loads(arguments)["city"]).split(",")[0]
    except (ValueError, KeyError, TypeError):
        return None


def many(report: Report, name: str, made: Node, requests: int, at_once: int = 8) -> None:
    """Short requests, and what descriptors, threads and memory are like afterwards."""
    client = made.client

    def one(number: int) -> int:
        answer = client.chat.completions.create(
            model="bench", messages=[{"role": "user", "content": f"Say {number}."}], max_tokens=4, temperature=0
        )
        return len(answer.choices)

    with ThreadPoolExecutor(at_once) as clients:
        list(clients.map(one, range(2 * at_once)))  # whatever is opened once is open now
        before = _held(made)
        began_s = time.monotonic()
        answered = sum(clients.map(one, range(requests)))
        taken_s = time.monotonic() - began_s
    time.sleep(1.0)
    after = _held(made)
    report(name=f"{name}.answered", value=answered, unit="requests", limit=requests)
    report(name=f"{name}.rate", value=answered / taken_s, unit="requests/s")
    for what in ("descriptors", "threads"):
        report(name=f"{name}.{what}", value=after[what] - before[what], unit="more than before", limit=0)
    report(name=f"{name}.rss", value=after["peak_bytes"] / 1e6, unit="MB, both processes at their peaks")


def _held(made: Node) -> dict[str, int]:
    total = {"descriptors": 0, "threads": 0, "peak_bytes": 0}
    for process in made.processes:
        total["descriptors"] += len(os.listdir(f"/proc/{process}/fd"))
        total["threads"] += len(os.listdir(f"/proc/{process}/task"))
        status = Path(f"/proc/{process}/status").read_text()
        peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        total["peak_bytes"] += int(peak[1]) << 10 if peak else 0
    return total
