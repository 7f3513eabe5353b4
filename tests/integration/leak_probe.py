"""Asks a running node for an answer that a scripted provider was told to give, and looks for the value in all that comes out."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.integration.leak_cases import AFTER, BEFORE, Value, joined, sse_documents
from tests.integration.leak_dialects import DIALECTS, UPSTREAMS, arguments, with_fields
from tests.integration.scripted import EVENTS, JSON, Script, ScriptedProvider

CONCURRENT = 8
KEPT_ACROSS = frozenset(("text", "reasoning", "tool_call", "parallel_calls"))  # channels that every dialect has
_KINDS = {"openai.chat": "openai", "openai.responses": "openai", "anthropic.messages": "anthropic", "google.gemini": "gemini"}
_EXTRA_DIALECTS = {"openai.chat": ["openai.embeddings"]}

POLICY = """
[[rules]]
id = "people-are-nobodys-business"
categories = "personal_data"
action = "mask"
mode = "enforce"

[calls]
preset = "observe"
"""


def configuration(provider: ScriptedProvider, limits: str = "", upstream: str = "") -> str:
    """A node with a provider of each dialect, no engine, and personal data enforced by a policy file beside it."""
    lines = [
        "[engine]",
        'model = ""',
        "[guard]",
        'policy = "policy.toml"',
        "[routing]",
        "tries = 1",
        "breaker_failures = 1000000",
    ]
    lines.append(limits)
    for dialect, model in UPSTREAMS.items():
        names = [dialect, *_EXTRA_DIALECTS.get(dialect, ())]
        models = [model, "embedder"] if "openai.embeddings" in names else [model]
        lines += ["[[upstreams]]", f'name = "{model}"', f'url = "{provider.url}"', f"models = {json.dumps(models)}"]
        lines += [f'kind = "{_KINDS[dialect]}"', f"dialects = {json.dumps(names)}", upstream]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One answer. `pieces` are of the channel's text; `wire` cuts the stream's bytes into the writes that go to the socket."""

    client: str
    provider: str
    channel: str
    value: Value
    pieces: Sequence[str] = ()
    is_streamed: bool = True
    wire: Callable[[bytes], list[bytes]] | None = None

    @property
    def name(self) -> str:
        how = f"in {len(self.pieces)}" if self.is_streamed else "whole"
        return f"{self.client} of {self.provider}: {self.value.name} in {self.channel}, {how}{', wire cut' if self.wire else ''}"


@dataclass(frozen=True, slots=True)
class Came:
    """`sent` is what the provider wrote below its framing."""

    status: int
    body: bytes
    sent: bytes
    documents: list[Any]
    is_stream: bool

    @property
    def texts(self) -> list[str]:
        raw = self.body.decode("utf-8", "replace")
        return [raw, *joined(self.documents)]


def text_of(probe_channel_is_arguments: bool, value: Value) -> str:
    return arguments(value.said) if probe_channel_is_arguments else value.said


def said(provider: str, channel: str, value: Value) -> str:
    """The text of a channel that holds the value."""
    return text_of(DIALECTS[provider].channels[channel], value)


class Prober:
    def __init__(self, session: aiohttp.ClientSession, url: str, key: str, provider: ScriptedProvider) -> None:
        self._session, self._url, self._key, self._provider = session, url, key, provider

    async def ask(self, client: str, model: str, script: Script, fields: dict[str, Any] | None = None, *, stream: bool) -> Came:
        dialect = DIALECTS[client]
        word = self._provider.add(script)
        try:
            document = with_fields(dialect.ask(model, f"Go on, {word}.", stream), fields or {})
            return await self.post(dialect.path(model, stream), document, script, dialect.headers)
        finally:
            self._provider.forget(word)

    async def post(self, path: str, document: Any, script: Script, headers: Any = None) -> Came:
        every = {"authorization": f"Bearer {self._key}", "content-type": "application/json", **(headers or {})}
        async with self._session.post(self._url + path, data=json.dumps(document).encode(), headers=every) as response:
            body = await response.read()
            is_stream = response.content_type == EVENTS
            documents = sse_documents(body) if is_stream else [json.loads(body)]
            return Came(response.status, body, b"".join(script.pieces), documents, is_stream)

    async def probe(self, probe: Probe) -> Came:
        return await self.ask(probe.client, UPSTREAMS[probe.provider], script_of(probe), stream=probe.is_streamed)

    async def probe_all(self, probes: Iterable[Probe]) -> list[tuple[Probe, Came]]:
        """Some at a time; the first that fails ends it."""
        waiting, out = iter(probes), list[tuple[Probe, Came]]()

        async def work() -> None:
            for probe in waiting:
                out.append((probe, await self.probe(probe)))

        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENT):
                group.create_task(work())
        return out


@asynccontextmanager
async def prober(url: str, key: str, provider: ScriptedProvider) -> AsyncIterator[Prober]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), read_bufsize=1 << 20) as session:
        yield Prober(session, url, key, provider)


def script_of(probe: Probe) -> Script:
    """A dialect that a client does not share is asked for a stream, whatever the client asked for."""
    dialect = DIALECTS[probe.provider]
    if probe.is_streamed:
        events = dialect.stream(probe.channel, probe.pieces)
        return Script(pieces=probe.wire(b"".join(events)) if probe.wire else events)
    body = json.dumps(dialect.whole(probe.channel, "".join(probe.pieces)), ensure_ascii=False).encode()
    status = 400 if probe.channel == "error" else 200
    return Script(pieces=[body], content_type=JSON, status=status)


def faults(probe: Probe, came: Came) -> list[str]:
    """What is wrong with an answer, in words; nothing if all is well."""
    out: list[str] = []
    texts = came.texts
    if leaked := [text for text in texts if probe.value.leaks(text)]:
        out.append(f"leaks in {min(leaked, key=len)!r}")
    has_error = came.status != 200 or any(_is_error(document) for document in came.documents)
    if has_error != (probe.channel in ("error", "failed")):
        out.append(f"status {came.status}: {came.body[-300:]!r}")
    is_kept = probe.client == probe.provider or probe.channel in KEPT_ACROSS
    if is_kept and not any(BEFORE in text and AFTER in text for text in texts):
        out.append(f"what stands around it is not whole: {came.body[-600:]!r}")
    return out


def _is_error(document: Any) -> bool:
    return isinstance(document, dict) and (
        bool(document.get("error")) or document.get("type") in ("error", "response.failed") or document.get("status") == "failed"
    )


def all_cuts() -> bool:
    """Whether to try every cut: some hundred thousand answers."""
    return bool(os.environ.get("FREEHOLD_TEST_ALL_CUTS"))
