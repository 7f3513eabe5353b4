"""What goes wrong is told in words, loses nothing, and leaves the node up."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.integration import nodes
from tests.integration.nodes import Node
from tests.integration.provider import Provider, Script

pytestmark = pytest.mark.model

HELLO: Any = [{"role": "user", "content": "Hello"}]


def post(node: Node, body: bytes, key: str | None = None, path: str = "/v1/chat/completions") -> tuple[int, Any]:
    host = urllib.parse.urlsplit(node.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before the whole body was read
            connection.request("POST", path, body, {"authorization": f"Bearer {key or node.client_key}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def still_answers(node: Node) -> bool:
    return bool(node.sdk().chat.completions.create(model="smollm2-135m", messages=HELLO, max_tokens=2).choices)


def answers_again(node: Node, within_s: float = 60.0) -> None:
    """Wait until the node answers; meanwhile it may only say 503."""
    deadline = time.monotonic() + within_s
    while True:
        answer = refusal(node, within=1)
        if answer is None:
            return
        assert answer.status_code == 503
        assert time.monotonic() < deadline, answer.message
        time.sleep(0.2)


def refusal(node: Node, within: int) -> openai.APIStatusError | None:
    """The first error in so many requests."""
    for _ in range(within):
        try:
            node.sdk().chat.completions.create(model="smollm2-135m", messages=HELLO, max_tokens=1)
        except openai.APIStatusError as error:
            return error
    return None


def fill(path: Path) -> None:
    """Write until the file system is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 65536):
            pass


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{not json", 400),
        (b"[]", 400),
        (b'{"model": "smollm2-135m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"model": "smollm2-135m", "messages": [], "x": "' + b"a" * (64 << 20) + b'"}', 413),
        (b'{"model": "smollm2-135m", "messages": []}', 400),
        (b'{"model": "smollm2-135m", "messages": [{"role": "user", "content": "\xff"}]}', 400),
        (b'{"model": "smollm2-135m", "messages": [{"role": "user", "content": "a"}], "temperature": 99}', 400),
        (b'{"model": "no-such-model", "messages": [{"role": "user", "content": "a"}]}', 404),
    ],
    ids=["bad-json", "not-an-object", "100k-deep", "64-mib", "no-messages", "invalid-utf-8", "out-of-range", "unknown-model"],
)
def test_a_bad_body_gets_an_error_in_the_providers_own_shape(node: Node, body: bytes, status: int) -> None:
    got, answer = post(node, body)
    assert got == status
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["message"]
    assert still_answers(node)


def test_a_wrong_key_is_refused(node: Node) -> None:
    with pytest.raises(openai.AuthenticationError):
        node.sdk(key="fh_wrong").chat.completions.create(model="smollm2-135m", messages=HELLO)


def test_a_client_that_leaves_mid_stream_frees_the_engine_and_is_recorded(node: Node) -> None:
    stream = node.sdk().chat.completions.create(model="smollm2-135m", messages=HELLO, max_tokens=1500, stream=True, seed=1)
    next(iter(stream))
    stream.close()
    assert still_answers(node)
    deadline = time.monotonic() + 20
    while "cancelled" not in metrics(node) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "cancelled" in metrics(node)


def metrics(node: Node) -> str:
    host = urllib.parse.urlsplit(node.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_a_provider_that_dies_mid_stream_never_ends_cleanly(node: Node, remote: Provider) -> None:
    remote.script = Script(deltas=[{"content": "half an ans"}], dies=True)
    with pytest.raises(openai.APIError):
        list(node.sdk().chat.completions.create(model="scripted", messages=HELLO, stream=True))
    assert still_answers(node)


def engine_pids(node: Node) -> list[int]:
    children = Path(f"/proc/{node.process.pid}/task")
    pids = [int(pid) for task in children.iterdir() for pid in (task / "children").read_text().split()]
    return [pid for pid in pids if b"engine" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_killed_engine_breaks_its_stream_and_comes_back(fresh_home: Path) -> None:
    with nodes.running(fresh_home) as node:
        stream = node.sdk().chat.completions.create(model="smollm2-135m", messages=HELLO, max_tokens=1500, stream=True, seed=1)
        next(iter(stream))
        (pid,) = engine_pids(node)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(openai.APIError):
            list(stream)
        answers_again(node)
        assert engine_pids(node) != [pid]


def test_a_full_disk_stops_traffic_with_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    home = tmp_path / "home"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(home)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this sandbox may not mount")
    try:
        nodes.furnish(home)
        with nodes.running(home) as node:
            assert still_answers(node)
            filler = home / "filler"
            fill(filler)
            refused = refusal(node, within=200)
            assert refused is not None
            assert refused.status_code == 503
            assert "space" in refused.message or "disk" in refused.message
            filler.unlink()
            answers_again(node)
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def test_slow_headers_are_cut_off(node: Node) -> None:
    host = urllib.parse.urlsplit(node.url)
    with socket.create_connection((host.hostname or "", host.port or 0), timeout=40) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        started = time.monotonic()
        while connection.recv(4096):
            pass
        assert time.monotonic() - started < 35


def test_a_damaged_model_is_not_served(fresh_home: Path) -> None:
    (model,) = (fresh_home / "models" / "smollm2-135m").glob("*.gguf")
    data = bytearray(model.read_bytes())
    data[50 << 20] ^= 1
    model.unlink()  # it may be a link to the user's own
    model.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "freehold", "serve", "--port", "0", "--json"],
        env=nodes.environment(fresh_home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "block" in done.stderr
    assert "Traceback" not in done.stderr


def test_listening_beyond_loopback_needs_tls_or_an_explicit_flag(fresh_home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "freehold", "serve", "--host", "0.0.0.0", "--port", "0"],
        env=nodes.environment(fresh_home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "allow_insecure_bind" in done.stderr
