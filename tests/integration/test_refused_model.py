"""A node whose engine will not run its model says why, does not try again and again, and comes back when it is mended."""

import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from freehold.config import home as user_home
from freehold.provenance.keys import key_directory, node_key
from freehold.provenance.manifest import MANIFEST_NAME, make_manifest
from freehold.provenance.signer import sign_manifest
from tests.fakes.tiny_gguf import tiny_gguf
from tests.integration import nodes
from tests.integration.nodes import Node

LIMIT_S = 120.0
MODEL = "tiny"
EVIL: dict[str, Any] = {"tokenizer.chat_template": "{{ messages.__class__.__mro__ }}"}
OTHER: dict[str, Any] = {"general.architecture": "mamba"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Of a model of a few KB, which lies in a folder of its own."""
    shutil.copytree(user_home() / "keys", tmp_path / "keys")
    configure(tmp_path)
    put(tmp_path, tiny_gguf())
    with nodes.running(tmp_path) as started:
        yield started


def configure(home: Path, settings: str = "") -> None:
    (home / "freehold.toml").write_text(f'[engine]\nmodel = "{MODEL}"\nthreads = 1\n{settings}')


def put(home: Path, content: bytes) -> None:
    """Signed for without a scan, as by a release that knew fewer rules."""
    folder = home / "models" / MODEL
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.gguf").write_bytes(content)
    manifest = make_manifest(folder, ["m.gguf"], name=MODEL, origin="a test")
    (folder / MANIFEST_NAME).write_bytes(sign_manifest(manifest, node_key(key_directory(home))))


def readiness(node: Node) -> tuple[int, str]:
    """(status, what is said of the engine)."""
    try:
        with urllib.request.urlopen(f"{node.url}/readyz", timeout=10) as response:
            status, body = response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, json.load(error)
    return status, body["upstreams"]["freehold"]["detail"]


def until(node: Node, condition: Callable[[int, str], Any]) -> str:
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        status, detail = readiness(node)
        if condition(status, detail):
            return detail
        time.sleep(0.1)
    raise AssertionError(f"the node still says {status}: {detail}\n" + "".join(node.log[-20:]))


def end_engine(node: Node) -> None:
    (child,) = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)


def logged(node: Node, event: str, count: int) -> list[dict[str, Any]]:
    """The lines of an event, once there are so many: a log comes over a pipe."""
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        lines = [json.loads(line) for line in node.log if line.startswith("{")]
        found = [line for line in lines if line["event"] == event]
        if len(found) >= count or time.monotonic() >= deadline_s:
            return found
        time.sleep(0.05)


def ask(node: Node) -> str | None:
    answer = node.sdk().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hello"}], max_tokens=2)
    return answer.choices[0].finish_reason


def test_a_refused_model_is_told_and_comes_back_when_it_is_mended(node: Node) -> None:
    home = node.home
    assert ask(node)

    put(home, tiny_gguf(0, **EVIL))
    end_engine(node)
    detail = until(node, lambda status, detail: status == 503 and "does not run" in detail)
    assert "m.gguf is refused" in detail
    assert "look closer with: freehold scan" in detail
    with pytest.raises(openai.APIStatusError) as caught:
        ask(node)
    assert (caught.value.status_code, caught.value.code) == (503, "model_refused")
    assert "m.gguf is refused" in caught.value.message
    assert str(home) not in caught.value.message
    time.sleep(3)  # after a crash it would have been started three times
    (refused,) = logged(node, "engine_refused", 1)
    assert refused["code"] == "dangerous_artefact"
    (told,) = (event for event in node.events.queue if event["event"] == "model_refused")
    assert "m.gguf is refused" in told["why"]

    put(home, tiny_gguf(0, **OTHER))
    until(node, lambda _, detail: "architecture 'mamba' is not supported; supported are" in detail)

    configure(home, "ram_mb = 1\n")
    put(home, tiny_gguf())
    until(node, lambda _, detail: "not enough memory" in detail and "engine.ram_mb 1" in detail)

    configure(home)
    until(node, lambda status, _: status == 200)
    assert ask(node)


def test_bytes_that_were_not_signed_are_refused_until_a_signal_says_that_they_were_mended(node: Node) -> None:
    file = node.home / "models" / MODEL / "m.gguf"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    end_engine(node)
    until(node, lambda status, detail: status == 503 and "does not run" in detail)
    (refused,) = logged(node, "engine_refused", 1)
    assert refused["code"] == "verification_failed"
    node.process.send_signal(signal.SIGHUP)  # nothing is mended: it is asked, and says so once more
    assert len(logged(node, "engine_refused", 2)) == 2
    file.write_bytes(whole)
    until(node, lambda status, _: status == 200)
    assert ask(node)


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("chat", "--once", "hello")])
def test_a_model_that_is_refused_at_the_start_ends_the_command_with_the_reason(tmp_path: Path, command: tuple[str, ...]) -> None:
    shutil.copytree(user_home() / "keys", tmp_path / "keys")
    configure(tmp_path)
    put(tmp_path, tiny_gguf(0, **EVIL))
    ended = Node(home=tmp_path, process=None).cli(*command)  # type: ignore[arg-type]
    assert ended.returncode == 1
    assert "m.gguf is refused" in ended.stderr
    assert "freehold scan" in ended.stderr
