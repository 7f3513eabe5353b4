"""The main job on the real thing: official SDK, real server, real engine, real guard, real record."""

import asyncio
import base64
import json
import urllib.request
from typing import Any

import openai
import pytest

from tests.integration.nodes import Node

pytestmark = pytest.mark.model

QUESTION: Any = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


def get(node: Node, path: str, key: str | None = None) -> Any:
    request = urllib.request.Request(node.url + path, headers={"authorization": f"Bearer {key or node.client_key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_a_streamed_answer_comes_with_usage_and_a_receipt_that_verifies_offline(node: Node) -> None:
    raw = node.sdk().chat.completions.with_raw_response.create(
        model="smollm2-135m", messages=QUESTION, stream=True, max_tokens=24, temperature=0, stream_options={"include_usage": True}
    )
    receipt_id = raw.headers["x-freehold-receipt"]
    chunks = list(raw.parse())
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Paris" in text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0

    saved = node.home / "receipt.json"
    saved.write_text(json.dumps(get(node, f"/v1/receipts/{receipt_id}")))
    verified = node.cli("receipt", "verify", str(saved), "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_receipt_is_bound_to_the_request_and_the_answer_that_were_sent(node: Node) -> None:
    body = json.dumps({"model": "smollm2-135m", "messages": QUESTION, "max_tokens": 8, "temperature": 0}).encode()
    request = urllib.request.Request(
        node.url + "/v1/chat/completions",
        data=body,
        headers={"authorization": f"Bearer {node.client_key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        receipt_id, sent = answer.headers["x-freehold-receipt"], answer.read()
    receipt = get(node, f"/v1/receipts/{receipt_id}")
    files = {
        "receipt": json.dumps(receipt).encode(),
        "request": body,
        "response": sent,
        "forged": sent.replace(b"Paris", b"Turin"),
    }
    assert files["forged"] != sent
    paths = {name: node.home / f"{name}.bin" for name in files}
    for name, data in files.items():
        paths[name].write_bytes(data)
    assert base64.b64decode(receipt["salt"])
    genuine = node.cli(
        "receipt", "verify", str(paths["receipt"]), "--request", str(paths["request"]), "--response", str(paths["response"])
    )
    assert genuine.returncode == 0, genuine.stdout + genuine.stderr
    forged = node.cli(
        "receipt", "verify", str(paths["receipt"]), "--request", str(paths["request"]), "--response", str(paths["forged"])
    )
    assert forged.returncode == 1, forged.stdout + forged.stderr


def test_a_ledger_row_says_what_happened_and_no_content(node: Node) -> None:
    node.sdk().chat.completions.create(
        model="smollm2-135m", messages=[{"role": "user", "content": "Say xyzzyplugh."}], max_tokens=4, temperature=0
    )
    database = b"".join(path.read_bytes() for path in node.home.rglob("*.db*"))
    assert database
    assert b"xyzzyplugh" not in database


def test_sixteen_concurrent_streams_equal_the_single_stream_with_the_same_seed(node: Node) -> None:
    prompts = [f"Tell me one fact about the number {n}." for n in range(4)]

    async def ask(client: openai.AsyncOpenAI, n: int) -> str:
        stream = await client.chat.completions.create(
            model="smollm2-135m",
            messages=[{"role": "user", "content": prompts[n % 4]}],
            stream=True,
            max_tokens=24,
            temperature=0.8,
            seed=100 + n % 4,
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def both() -> tuple[list[str], list[str]]:
        async with node.async_sdk() as client:
            alone = [await ask(client, n) for n in range(4)]
            together = await asyncio.gather(*(ask(client, n) for n in range(16)))
        return alone, list(together)

    alone, together = asyncio.run(both())
    assert len(set(alone)) == 4
    assert together == alone * 4


def test_models_and_health_answer(node: Node) -> None:
    assert {model.id for model in node.sdk().models.list()} == {"smollm2-135m", "scripted"}
    for path in ("/healthz", "/readyz"):
        with urllib.request.urlopen(node.url + path, timeout=10) as answer:
            assert answer.status == 200
    with urllib.request.urlopen(node.url + "/metrics", timeout=10) as answer:
        assert b"freehold_" in answer.read()


def test_a_developer_speaks_as_the_system_does(node: Node) -> None:
    def answer(role: str) -> str | None:
        messages: Any = [{"role": role, "content": "Answer in French."}, *QUESTION]
        done = node.sdk().chat.completions.create(model="smollm2-135m", messages=messages, max_tokens=24, temperature=0)
        return done.choices[0].message.content

    assert answer("developer") == answer("system")
    assert answer("developer") != answer("user")


def test_the_engines_load_is_among_the_metrics(node: Node) -> None:
    with urllib.request.urlopen(node.url + "/metrics", timeout=10) as answer:
        assert b'freehold_engine_kv_pages{state="free"}' in answer.read()


def test_logprobs_are_those_of_the_tokens_sent(node: Node) -> None:
    answer = node.sdk().chat.completions.create(
        model="smollm2-135m", messages=QUESTION, max_tokens=8, temperature=0, logprobs=True, top_logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == answer.choices[0].message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in logprobs.content)
