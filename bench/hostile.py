"""What comes out of a running node that must not, and what others notice while somebody is hostile.

Leaks are counted over answers of scripted providers: every dialect and channel, values in all their forms, cut into two at every
CUT_STEP-th place (at every one with FREEHOLD_BENCH_ALL_CUTS=1), at random into up to forty, a character at a time, and whole; a
client of the provider's dialect, and in turns one of another. Cases are the tests' own.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median

import aiohttp
from tests.integration import nodes, scripted
from tests.integration.hostile_cases import LIMITS, MIB, UPSTREAM, address, flood, head, raise_file_limit, vitals
from tests.integration.leak_cases import VALUES, cut, random_cuts
from tests.integration.leak_dialects import DIALECTS, UPSTREAMS, arguments
from tests.integration.leak_probe import POLICY, Probe, Prober, configuration, prober, said
from tests.integration.nodes import Node
from tests.integration.scripted import Script, ScriptedProvider, Write

from bench.report import Report

CUT_STEP = 8
STREAM_BYTES = 1 << 30
GROWTH_LIMIT_MIB = 50
TOKEN_S = 0.02
TOKENS = 12
CLIENTS = 16
ROUNDS = 5
IDLE_CONNECTIONS = 10_000
ASKED = 40  # of another client, while somebody is hostile


def run(report: Report, models_dir: Path) -> None:
    """`models_dir` is not needed: providers are scripted."""
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as home, scripted.serving() as provider:
        (Path(home) / "freehold.toml").write_text(configuration(provider, LIMITS, UPSTREAM))
        (Path(home) / "policy.toml").write_text(POLICY)
        with nodes.running(Path(home), preexec=raise_file_limit) as node:
            asyncio.run(_measure(report, node, provider))


async def _measure(report: Report, node: Node, provider: ScriptedProvider) -> None:
    async with prober(node.url, node.client_key, provider) as asking:
        await _long_stream(report, node, provider)  # before others have grown what it is measured against
        for name in DIALECTS:
            await _first_token(report, node, provider, name)
        for attack, hostile in ATTACKS.items():
            await _others(report, asking, node, provider, attack, hostile)
        for name, dialect in DIALECTS.items():
            for channel in dialect.channels:
                answers = await asking.probe_all(_probes(name, channel))
                leaks = sum(any(probe.value.leaks(text) for text in came.texts) for probe, came in answers)
                report(f"hostile.leaks.{name}.{channel}", leaks, f"of {len(answers)} answers", limit=0)


def _probes(name: str, channel: str) -> Iterator[Probe]:
    chance = random.Random(f"{name}{channel}")
    step = 1 if os.environ.get("FREEHOLD_BENCH_ALL_CUTS") else CUT_STEP
    others = [client for client in DIALECTS if client != name]
    for number, value in enumerate(VALUES):
        text = said(name, channel, value)
        ways = [[text], list(text), *(random_cuts(text, chance.randrange(3, 41), chance) for _ in range(3))]
        ways += [cut(text, [place]) for place in range(chance.randrange(step), len(text), step)]
        for at, pieces in enumerate(ways):
            client = others[(number + at) % len(others)] if at % 2 else name
            yield Probe(client=client, provider=name, channel=channel, value=value, pieces=pieces)
        yield Probe(client=name, provider=name, channel=channel, value=value, pieces=[text], is_streamed=False)


# --- Time to the first text, of a stream as a model speaks it ---


async def _first_token(report: Report, node: Node, provider: ScriptedProvider, name: str) -> None:
    """Direct and through the node in turns; what is held back is one token, as its end is not known before the next begins.

    How long a token takes is measured, too, where the provider is asked directly: a timer of 20 ms ends half a millisecond late.
    """
    dialect, model = DIALECTS[name], UPSTREAMS[name]
    headers = {"authorization": f"Bearer {node.client_key}", **dialect.headers}
    events = dialect.stream("text", [" plain"] * TOKENS)
    word = provider.add(Script(raw=lambda write: _paced(write, events)))
    document = dialect.ask(model, f"Go on, {word}.", True)
    chance = random.Random(name)
    direct = provider.url.removesuffix("/v1")

    async def one(session: aiohttp.ClientSession, url: str) -> tuple[float, float]:
        await asyncio.sleep(chance.random() * TOKENS * TOKEN_S)  # clients do not come in step
        begun = time.perf_counter()
        async with session.post(url + dialect.path(model, True), json=document, headers=headers) as response:
            seen, at = b"", list[float]()
            async for piece in response.content.iter_any():
                seen += piece
                if len(at) < 2 and seen.count(b" plain") > len(at):
                    at.append(time.perf_counter() - begun)
        return at[0], at[1] - at[0]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        added: list[float] = []
        tokens_s: list[float] = []
        for _ in range(ROUNDS + 1):
            pair = [await asyncio.gather(*(one(session, url) for _ in range(CLIENTS))) for url in (direct, node.url)]
            added.append(median(first for first, _ in pair[1]) - median(first for first, _ in pair[0]))
            tokens_s += [token_s for _, token_s in pair[0]]
    limit = (median(tokens_s) + 0.001) * 1e3
    report(f"hostile.ttft_added.c{CLIENTS}.{name}", median(added[1:]) * 1e3, "ms", peer="direct", limit=limit)


async def _paced(write: Write, events: list[bytes]) -> None:
    await write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    for event in events:
        await write(event)
        if b" plain" in event:
            await asyncio.sleep(TOKEN_S)


# --- What others notice ---

Attack = Callable[[Prober, Node, ScriptedProvider], contextlib.AbstractAsyncContextManager[None]]


async def _others(report: Report, asking: Prober, node: Node, provider: ScriptedProvider, name: str, attack: Attack) -> None:
    await _asked_s(asking)
    before = await _asked_s(asking)
    async with attack(asking, node, provider):
        during = await _asked_s(asking)
        rss_mib = vitals(node).rss_bytes / MIB
    report(f"hostile.others.{name}", median(during) * 1e3, "ms", peer="before", ratio=median(during) / median(before))
    report(f"hostile.others.{name}.worst", max(during) * 1e3, "ms", peer="before", ratio=max(during) / max(before))
    report(f"hostile.others.{name}.rss", rss_mib, "MiB")


async def _asked_s(asking: Prober) -> list[float]:
    out: list[float] = []
    for _ in range(ASKED):
        begun = time.perf_counter()
        script = Script(pieces=DIALECTS["openai.chat"].stream("text", ["Fine, ", "thank you."]))
        came = await asking.ask("openai.chat", UPSTREAMS["openai.chat"], script, stream=True)
        assert came.status == 200
        out.append(time.perf_counter() - begun)
    return out


async def _connect(node: Node, first: bytes, count: int) -> list[asyncio.StreamWriter]:
    gate, opened = asyncio.Semaphore(256), list[asyncio.StreamWriter]()

    async def one() -> None:
        async with gate:
            _, writer = await asyncio.open_connection(*address(node), limit=2048)
            writer.write(first)
            opened.append(writer)

    await asyncio.gather(*(one() for _ in range(count)))
    return opened


@contextlib.asynccontextmanager
async def _connected(node: Node, first: bytes, count: int) -> AsyncIterator[None]:
    opened = await _connect(node, first, count)
    try:
        yield
    finally:
        for writer in opened:
            writer.transport.abort()
        await asyncio.sleep(1.0)


def _idle(_asking: Prober, node: Node, _provider: ScriptedProvider) -> contextlib.AbstractAsyncContextManager[None]:
    return _connected(node, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", IDLE_CONNECTIONS)


def _slow(_asking: Prober, node: Node, _provider: ScriptedProvider) -> contextlib.AbstractAsyncContextManager[None]:
    return _connected(node, head(node, "/v1/messages", 1000) + b"{", 500)


def _stalled(_asking: Prober, node: Node, provider: ScriptedProvider) -> contextlib.AbstractAsyncContextManager[None]:
    word = provider.add(flood("openai.chat", STREAM_BYTES))
    body = json.dumps(DIALECTS["openai.chat"].ask(UPSTREAMS["openai.chat"], f"Go on, {word}.", True)).encode()
    return _connected(node, head(node, "/v1/chat/completions", len(body)) + body, 32)


def _asked_again_and_again(make: Callable[[Prober], Awaitable[object]]) -> Attack:
    @contextlib.asynccontextmanager
    async def attack(asking: Prober, _node: Node, _provider: ScriptedProvider) -> AsyncIterator[None]:
        async def on() -> None:
            while True:
                await make(asking)

        task = asyncio.create_task(on())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return attack


def _said(text: str, channel: str = "text") -> Callable[[Prober], Awaitable[object]]:
    events = DIALECTS["openai.chat"].stream(channel, [text])
    return lambda asking: asking.ask("openai.chat", UPSTREAMS["openai.chat"], Script(pieces=events), stream=True)


def _read_by_a_tool(text: str) -> Callable[[Prober], Awaitable[object]]:
    """Each time another text: the verdict on one is kept."""
    events, numbers = DIALECTS["openai.chat"].stream("text", ["Fine."]), itertools.count()
    tool = DIALECTS["openai.chat"].requests["tool_result"]

    async def ask(asking: Prober) -> object:
        fields = tool(f"{next(numbers)} {text}")
        return await asking.ask("openai.chat", UPSTREAMS["openai.chat"], Script(pieces=events), fields, stream=True)

    return ask


_COMMANDS = 'for f in *.txt; do [ -f "$f" ] && grep -v a "$f" | sed -e s/b/c/ > "out/$f"; done\n' * (MIB // 16 // 84)
_PROGRAM = "app.get('/', async (req, res) => { const r = await fetch(req.query.u); res.send(r); });\n" * (MIB // 16 // 89)
ATTACKS: dict[str, Attack] = {
    "10k_idle": _idle,
    "500_slow_bodies": _slow,
    "32_stalled_readers": _stalled,
    "4_mib_delta": _asked_again_and_again(_said("so it goes and goes " * (MIB // 5))),
    "4_mib_run": _asked_again_and_again(_said("Zm9vYmFy" * (MIB // 2))),
    "256_kib_digits": _asked_again_and_again(_said("1234 5678 " * (MIB // 40))),
    "256_kib_escapes": _asked_again_and_again(_said('"\\u0441",' * (MIB // 36))),
    "256_kib_findings": _asked_again_and_again(_said("dob 1/2/1990 \u200b" * (MIB // 56))),  # the costliest text that we know
    "64_kib_call": _asked_again_and_again(_said(arguments(_COMMANDS), "tool_call")),
    "64_kib_program": _asked_again_and_again(_said(f"```javascript\n{_PROGRAM}```\n")),
    "64_kib_result": _asked_again_and_again(_read_by_a_tool("\U0001f600 so it goes " * (MIB // 16 // 14))),
}


# --- A stream that is long ---


async def _long_stream(report: Report, node: Node, provider: ScriptedProvider) -> None:
    before = vitals(node).rss_bytes
    most, received, begun = before, 0, time.perf_counter()
    name, model = "openai.chat", UPSTREAMS["openai.chat"]
    document = DIALECTS[name].ask(model, f"Go on, {provider.add(flood(name, STREAM_BYTES))}.", True)
    headers = {"authorization": f"Bearer {node.client_key}"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), read_bufsize=MIB) as session,
        session.post(node.url + DIALECTS[name].path(model, True), json=document, headers=headers) as response,
    ):
        async for piece in response.content.iter_any():
            if received // (4 * MIB) != (received + len(piece)) // (4 * MIB):
                most = max(most, vitals(node).rss_bytes)
            received += len(piece)
    assert received > STREAM_BYTES * 9 // 10, f"only {received} bytes came"
    report("hostile.long_stream.growth", (most - before) / MIB, f"MiB over {received / MIB:.0f} MiB", limit=GROWTH_LIMIT_MIB)
    report("hostile.long_stream.speed", received / 1e6 / (time.perf_counter() - begun), "MB/s")
