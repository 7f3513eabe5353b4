"""Starts real nodes: the `freehold serve` command in a process of its own, its own home, the real embedded model."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai

from freehold.config import home as user_home

START_LIMIT_S = 180.0


@dataclass(slots=True)
class Node:
    home: Path
    process: subprocess.Popen[str]
    url: str = ""
    client_key: str = ""
    admin_key: str = ""
    events: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)
    log: list[str] = field(default_factory=list)
    clients: dict[str, openai.OpenAI] = field(default_factory=dict)

    def sdk(self, key: str | None = None) -> openai.OpenAI:
        """The official client, one a key, closed with the node."""
        key = key or self.client_key
        if key not in self.clients:
            self.clients[key] = openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)
        return self.clients[key]

    def async_sdk(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self.client_key, max_retries=0)

    def cli(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run another `freehold` command in the same home."""
        return subprocess.run(
            [sys.executable, "-m", "freehold", *arguments],
            env=environment(self.home),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "FREEHOLD_HOME": str(home), "NO_COLOR": "1", "FREEHOLD_TEST_PROVIDER_KEY": "provider-key"}


def embedded_model() -> Path | None:
    """The folder of the pulled embedded model, or None where nobody pulled it yet."""
    folder = user_home() / "models" / "smollm2-135m"
    return folder if (folder / "manifest.json").exists() else None


OBSERVES = '[calls]\npreset = "observe"\n'  # a policy for tests whose calls mean nothing: nobody is asked about any


def furnish(home: Path, config: str = "") -> None:
    """Give a home the user's pulled model and key, so that a node in it needs no network. With a `config`, it stops no call."""
    source = user_home()
    shutil.copytree(source / "models" / "smollm2-135m", home / "models" / "smollm2-135m", copy_function=_link)
    shutil.copytree(source / "keys", home / "keys")
    if config:
        (home / "freehold.toml").write_text(f'guard.policy = "policy.toml"\n{config}')
        (home / "policy.toml").write_text(OBSERVES)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@contextlib.contextmanager
def running(home: Path, *options: str, preexec: Any = None) -> Iterator[Node]:
    """A node from start to ready; killed with its engine at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "freehold", "serve", "--port", "0", "--json", *options],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=preexec,
    )
    node = Node(home=home, process=process)
    readers = [threading.Thread(target=_read_events, args=(node,)), threading.Thread(target=_read_log, args=(node,))]
    for reader in readers:
        reader.start()
    try:
        _await_ready(node)
        yield node
    finally:
        for client in node.clients.values():
            client.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for reader in readers:
            reader.join(timeout=10)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _read_events(node: Node) -> None:
    assert node.process.stdout is not None
    for line in node.process.stdout:
        node.events.put(json.loads(line))
    node.events.put({"event": "ended"})


def _read_log(node: Node) -> None:
    assert node.process.stderr is not None
    node.log.extend(node.process.stderr)


def _await_ready(node: Node) -> None:
    while True:
        event = node.events.get(timeout=START_LIMIT_S)
        match event["event"]:
            case "keys_created":
                node.client_key, node.admin_key = event["client_key"], event["admin_key"]
            case "listening":
                node.url = event["url"]
            case "ready":
                return
            case "ended":
                raise AssertionError("the node ended before it was ready:\n" + "".join(node.log))
