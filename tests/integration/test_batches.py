"""Batches on real nodes: killed in the middle, and on the real engine."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web

from tests.integration import in_a_thread, nodes

CHAT = "/v1/chat/completions"
PROMPT = "zebra-in-a-batch-4711"
ANSWER = "walrus-in-an-answer-4712"
CONFIG = """
[engine]
model = ""

[[upstreams]]
name = "slow"
url = "{url}/v1"
models = ["slow"]

[batches]
concurrency = 4

[store]
file = "record.db"
"""


@contextmanager
def slow_provider() -> Iterator[tuple[str, list[str]]]:
    """A provider that takes its time, and the prompts that it was asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(body["messages"][0]["content"])
        await asyncio.sleep(0.1)
        message = {"role": "assistant", "content": f"{ANSWER} to {body['messages'][0]['content']}"}
        return web.json_response(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "slow",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }
        )

    with in_a_thread.serving({CHAT: answer}) as url:
        yield url, asked


def jsonl(count: int, model: str, url: str = CHAT, **body: Any) -> bytes:
    lines = []
    for n in range(count):
        said = {"messages": [{"role": "user", "content": f"{PROMPT} {n}"}]} if url == CHAT else {"input": f"{PROMPT} {n}"}
        lines.append(json.dumps({"custom_id": f"q{n}", "method": "POST", "url": url, "body": {"model": model, **said, **body}}))
    return "\n".join(lines).encode()


def begun(client: openai.OpenAI, content: bytes, endpoint: str = CHAT) -> Any:
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")  # type: ignore[arg-type]


def at_least(client: openai.OpenAI, batch: Any, count: int) -> Any:
    """The batch once so many lines are done, or it is over."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        batch = client.batches.retrieve(batch.id)
        if batch.request_counts.completed >= count and (count < batch.request_counts.total or batch.completed_at):
            return batch
        time.sleep(0.05)
    raise AssertionError(f"only {batch.request_counts} after a minute, {batch.status}")


def test_a_node_that_is_killed_in_the_middle_loses_no_line_and_answers_none_twice(tmp_path: Path) -> None:
    lines = 40
    with slow_provider() as (url, asked):
        nodes.furnish(tmp_path, CONFIG.format(url=url))
        client_key, logs, batch = "", list[str](), None
        for done in (12, lines):
            with nodes.running(tmp_path) as node:
                client_key = node.client_key or client_key
                client = node.sdk(client_key)
                batch = begun(client, jsonl(lines, "slow")) if batch is None else batch
                batch = at_least(client, batch, done)
                if done < lines:
                    os.kill(node.process.pid, signal.SIGKILL)
                    node.process.wait()
                else:
                    text = client.files.content(batch.output_file_id).text
                logs += node.log
        found = [json.loads(line) for line in text.splitlines()]
        assert sorted(one["custom_id"] for one in found) == sorted(f"q{n}" for n in range(lines))
        for one in found:
            said = one["response"]["body"]["choices"][0]["message"]["content"]
            assert said == f"{ANSWER} to {PROMPT} {one['custom_id'].removeprefix('q')}"
        assert batch is not None
        assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("completed", lines, 0)
        assert lines <= len(asked) <= lines + 4  # what was on its way at a kill ran again, and no more
        assert_nothing_is_told(tmp_path, logs)


def assert_nothing_is_told(home: Path, logs: list[str]) -> None:
    """Neither what was asked nor what was answered lies in the home in the clear, or in a log."""
    for words in (PROMPT, ANSWER):
        assert words not in "".join(logs)
        for path in home.rglob("*"):
            if path.is_file() and "models" not in path.parts:
                assert words.encode() not in path.read_bytes(), path
    for path in (home / "batches").iterdir():  # the files, and the lock
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.model
@pytest.mark.parametrize("endpoint", [CHAT, "/v1/responses"])
def test_our_engine_answers_a_batch(node: nodes.Node, endpoint: str) -> None:
    client = node.sdk()
    limit = {"max_tokens": 4} if endpoint == CHAT else {"max_output_tokens": 16}
    batch = at_least(client, begun(client, jsonl(2, "smollm2-135m", endpoint, **limit), endpoint), 2)
    assert batch.status == "completed"
    lines = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    for line in lines:
        assert line["response"]["body"]["model"] == "smollm2-135m"
        receipt = client.get(f"/receipts/{line['response']['request_id']}", cast_to=object)
        assert receipt
    assert batch.usage.output_tokens > 0
    assert batch.freehold["saving"]["exchanges"] == 2
    report = json.loads(node.cli("batches", "report", "--json").stdout)
    assert report["rows"][-1]["batch"] == batch.id
    assert report["rows"][-1]["energy_j"] == pytest.approx(batch.freehold["saving"]["energy_j"], rel=1e-12)
