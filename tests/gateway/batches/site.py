"""A gateway with fakes for the other rooms but a real store and record: what batches need to run."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import openai

from freehold.core.ports import EngineLoadProbe, SignalPoint
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.batches.desk import BatchDesk
from freehold.gateway.batches.runner import BatchRunner
from freehold.gateway.batches.turns import Turns
from freehold.gateway.serve import bind, serving
from freehold.gateway.server import create_app
from freehold.gateway.services import Services
from freehold.meter.signals import merged
from freehold.store.batches import Batches, new_batch_id
from freehold.store.reader import RecordReader
from freehold.store.writer import RecordWriter
from tests.fakes.keys import CLIENT_KEY
from tests.fakes.upstream import MODEL
from tests.gateway.node import TestNode
from tests.store.drafts import ChainSigner

CHAT: Final = "/v1/chat/completions"


@dataclass(slots=True)
class Sky:
    """Implements `Signal`: what a test says electricity is like."""

    points: Sequence[SignalPoint] = ()

    def between(self, start_s: float, end_s: float) -> tuple[SignalPoint, ...]:
        return merged([self.points], start_s, end_s)


@dataclass(slots=True)
class Clock:
    """Unix time that a test may move on."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@dataclass(slots=True)
class Site:
    home: Path
    node: TestNode = field(default_factory=TestNode)
    config: BatchesConfig = field(default_factory=BatchesConfig)
    sky: Sky = field(default_factory=Sky)
    clock: Clock = field(default_factory=Clock)
    here: bool = True
    load: EngineLoadProbe | None = None
    store: Batches = field(init=False)
    turns: Turns = field(init=False)
    services: Services = field(init=False)
    reader: RecordReader = field(init=False)
    _clients: list[openai.AsyncOpenAI] = field(default_factory=list)

    def sdk(self, key: str = CLIENT_KEY) -> openai.AsyncOpenAI:
        client = self.node.sdk(key)
        self._clients.append(client)
        return client


@contextlib.asynccontextmanager
async def running(site: Site) -> AsyncIterator[Site]:
    record = site.home / "record.db"
    site.store = Batches(record, site.home / "batches", b"s" * 32)
    writer = RecordWriter(record, ChainSigner())
    site.reader = RecordReader(record)
    site.turns = Turns(site.sky, site.config, is_here=lambda model: site.here, unix_s=site.clock, power_w=100.0, load=site.load)
    keys: Any = site.node.keys
    desk = BatchDesk(site.store, keys, site.config, site.turns, new_id=new_batch_id, unix_s=site.clock, idle_timeout_s=5.0)
    site.services = replace(
        site.node.services(), recorder=writer, turns=site.turns, batches=desk, unix_ns=lambda: int(site.clock() * 1e9)
    )
    runner = BatchRunner(site.store, keys, site.config, site.turns, site.services, unix_s=site.clock)
    task = asyncio.create_task(runner.run())
    try:
        async with serving(create_app(site.services), site.node.config, bind(site.node.config, has_keys=True)) as url:
            site.node.url = url
            yield site
    finally:
        for client in site._clients:
            await client.close()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        writer.close()
        site.reader.close()
        site.store.close()


def line(custom_id: str, text: str = "hello", *, url: str = CHAT, **body: Any) -> str:
    whole = {"model": MODEL, "messages": [{"role": "user", "content": text}], **body}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": whole})


async def made(client: openai.AsyncOpenAI, *lines: str, headers: dict[str, str] | None = None, **order: Any) -> Any:
    """A batch of these lines, as the SDK makes one."""
    content = "\n".join(lines).encode()
    file = await client.files.create(file=("lines.jsonl", content), purpose="batch")
    order = {"endpoint": CHAT, "completion_window": "24h", **order}
    return await client.batches.create(input_file_id=file.id, extra_headers=headers, **order)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - what is waited for is another task's, or the disk's
            await asyncio.sleep(0.01)


async def over(client: openai.AsyncOpenAI, batch: Any) -> Any:
    """The batch once it is over."""
    async with asyncio.timeout(20):
        while batch.status not in ("completed", "failed", "cancelled", "expired"):
            await asyncio.sleep(0.03)
            batch = await client.batches.retrieve(batch.id)
    return batch


async def lines_of(client: openai.AsyncOpenAI, file_id: str | None) -> dict[str, Any]:
    """What a file of answers or errors says, by custom id."""
    if file_id is None:
        return {}
    content = await client.files.content(file_id)
    found = [json.loads(text) for text in content.text.splitlines()]
    by_id = {one["custom_id"]: one for one in found}
    assert len(by_id) == len(found), "a line was answered twice"
    return by_id
