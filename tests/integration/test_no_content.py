"""What was asked and answered is in none of what the node keeps or tells: log lines, metrics, record, log, alerts, traces."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import openai
import pytest

from tests.integration import nodes
from tests.integration.provider import Provider

PROMPT = "zebra-in-a-prompt-4711"
ANSWER = "walrus-in-an-answer-4712"
TOOL = "heron-in-a-tool-4713"
TOKEN = "ghp_" + "R4tWq8ZkP2mXv6Lb9NcJ3dHs7GfY1eTuAo5B"
PLANTED = (PROMPT, ANSWER, TOOL, TOKEN, TOKEN[4:])
HAS_SDK = importlib.util.find_spec("opentelemetry.sdk") is not None

CONFIG = """
[engine]
model = ""

[[upstreams]]
name = "provider"
url = "{provider}"
models = ["large"]

[[upstreams]]
name = "nobody"
url = "http://127.0.0.1:9/v1"
models = ["dead"]

[routing]
tries = 1
breaker_failures = 1

[[alerts]]
url = "{sink}/alerts"

[residency]
local = ["provider", "nobody"]

[residency.labels.internal]
allowed = ["*"]

[residency.labels.personal]
local_only = true
"""
TRACES = """
[traces]
endpoint = "{sink}/traces"
"""


class Sink:
    """Takes everything that is posted to it, as bytes."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = {}
        self.url = ""


@contextmanager
def listening() -> Iterator[Sink]:
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            sink.bodies.setdefault(self.path, []).append(body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def talk(node: nodes.Node) -> None:
    """Answers whole and streamed, tools, labels, and failures of all kinds, each with planted words in it."""
    create: Any = node.sdk().chat.completions.create
    said = [{"role": "user", "content": f"{PROMPT}, my key is {TOKEN}, mail me at {PROMPT}@example.org"}]
    tools = [{"type": "function", "function": {"name": "look", "description": TOOL, "parameters": {"title": TOOL}}}]
    for stream in (False, True):
        answer = create(model="large", messages=said, stream=stream, tools=tools, extra_headers={"x-freehold-labels": "personal"})
        if stream:
            list(answer)
    failures = ("dead", f"no-such-{PROMPT}", "large")
    for model in failures:
        labels = "state_secret" if model == "large" else ""
        with pytest.raises(openai.APIStatusError):
            create(model=model, messages=said, extra_headers={"x-freehold-labels": labels})
    with pytest.raises(openai.APIStatusError):
        create(model="large", messages=[{"role": PROMPT, "content": PROMPT}])


def test_no_word_of_it_is_anywhere(tmp_path: Path, remote: Provider) -> None:
    remote.say(f"the answer is {ANSWER} ", f"and {TOKEN}", " and done")
    with listening() as sink:
        config = CONFIG + (TRACES if HAS_SDK else "")
        (tmp_path / "freehold.toml").write_text(config.format(provider=remote.url, sink=sink.url))
        with nodes.running(tmp_path) as node:
            talk(node)
            with urlopen(Request(f"{node.url}/metrics")) as answer:
                metrics = answer.read()
            exported = node.cli("log", "export").stdout
            verified = json.loads(node.cli("log", "verify", "--json", "--signatures").stdout)
        told = {
            "log lines": "".join(node.log).encode(),
            "metrics": metrics,
            "log": exported.encode(),
            "record": b"".join(path.read_bytes() for path in tmp_path.glob("record.db*")),
            **{path: b"\n".join(bodies) for path, bodies in sink.bodies.items()},
        }
    assert verified["holds"] is True
    assert b"exchange_finished" in told["log lines"]
    assert b"freehold_placements_total" in metrics
    assert '"placement"' in exported
    assert b"circuit_open" in told["/alerts"]
    if HAS_SDK:
        assert b"chat large" in told["/traces"]
    found = [(where, word) for where, text in told.items() for word in PLANTED if word.encode() in text]
    assert found == []
