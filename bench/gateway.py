"""What the node costs between a client and a remote provider: CPU a stream, and time to the first text.

A provider that answers at once stands in a process of its own; the node is the `freehold serve` command with its guard, its keys
and its record, in a fresh home. Both are asked over raw sockets by the same generator, in turns, so that other work on the
machine hits both alike. CPU is the node's own, from /proc: what it spent while it answered, its threads included.

Two kinds of stream: one whose chunks come all at once, which shows what a request costs, and one whose chunks come apart, as a
model speaks, which shows what a chunk costs that is read, scanned and sent alone.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.peers import LITELLM_VERSION, litellm
from bench.report import Report
from freehold.gateway.serve import event_loop

CHUNKS = 50
CHUNK_TEXT = "a few plain words.. "  # 20 characters
CPU_LIMIT_MS = 0.7
TOGETHER, APART = "mock-1", "mock-apart"
APART_S = 0.004
ROUNDS = 5
ROUND_S = 1.5
PEER_ROUNDS = 3
PEER_ROUND_S = 4.0
PEER_KEY = "sk-bench"
LITELLM_LIMIT = 30  # times our CPU a stream
WARM_UP_S = 1.5
START_LIMIT_S = 60

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who is asked. `pid` is whose CPU counts."""

    address: tuple[str, int]
    key: str
    pid: int


@dataclass(slots=True)
class Round:
    """What one round of asking showed."""

    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    ttft_s: list[float] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)

    @property
    def answers_a_second(self) -> float:
        return len(self.total_s) / self.elapsed_s

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s / len(self.total_s) * 1e3


def run(report: Report, models_dir: Path) -> None:
    """`models_dir` is not needed: the provider's answers are written here."""
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as home, provider() as direct, node(Path(home), direct) as ours:
        with asyncio.Runner(loop_factory=event_loop) as runner:
            for clients in (1, 16):
                runner.run(_compare(report, direct, ours, clients))
            runner.run(_apart(report, ours, 16))
            with litellm(direct.address, TOGETHER, PEER_KEY) as peer:
                if peer is not None:
                    theirs = Target(address=peer[0], key=PEER_KEY, pid=peer[1])
                    for clients in (1, 16):
                        runner.run(_beside_litellm(report, theirs, ours, clients))
        report("gateway.rss", _rss_mib(ours.pid), "MiB", limit=80)


async def _compare(report: Report, direct: Target, ours: Target, clients: int) -> None:
    """Rounds in turns; each figure is the median of its rounds."""
    name = f"gateway.stream.c{clients}"
    await _round(ours, clients, WARM_UP_S)
    pairs = [(await _round(direct, clients, ROUND_S), await _round(ours, clients, ROUND_S)) for _ in range(ROUNDS)]
    rates = [ours_round.answers_a_second for _, ours_round in pairs]
    ratios = [ours_round.answers_a_second / direct_round.answers_a_second for direct_round, ours_round in pairs]
    dearer = median(ours_round.cpu_ms / direct_round.cpu_ms for direct_round, ours_round in pairs)
    report(f"{name}.cpu", median(ours_round.cpu_ms for _, ours_round in pairs), "ms/stream", limit=CPU_LIMIT_MS)
    report(f"{name}.cpu_of_direct", dearer, "times the CPU of the provider, asked directly", peer="direct", ratio=dearer)
    report(f"{name}.rate", median(rates), "streams/s", peer="direct", ratio=median(ratios))
    for figure, times in (("ttft_added", "ttft_s"), ("total_added", "total_s")):
        added = [median(getattr(b, times)) - median(getattr(a, times)) for a, b in pairs]
        report(f"{name}.{figure}", median(added) * 1e3, "ms", peer="direct")


async def _beside_litellm(report: Report, theirs: Target, ours: Target, clients: int) -> None:
    """Rounds in turns, as above. Its rounds are longer: it answers some ten streams a second."""
    await _round(theirs, clients, PEER_ROUND_S)
    pairs = [(await _round(theirs, clients, PEER_ROUND_S), await _round(ours, clients, ROUND_S)) for _ in range(PEER_ROUNDS)]
    name, peer = f"gateway.stream.c{clients}", f"litellm {LITELLM_VERSION}"
    less = median(their_round.cpu_ms / our_round.cpu_ms for their_round, our_round in pairs)
    dear = median(their_round.cpu_ms for their_round, _ in pairs)
    report(f"{name}.cpu_of_litellm", dear, "ms/stream", peer=peer, ratio=less, limit=LITELLM_LIMIT)
    for figure, times in (("ttft_of_litellm", "ttft_s"), ("total_of_litellm", "total_s")):
        theirs_s = [median(getattr(round_, times)) for round_, _ in pairs]
        ours_s = [median(getattr(round_, times)) for _, round_ in pairs]
        ratio = median(a / b for a, b in zip(theirs_s, ours_s, strict=True))
        report(f"{name}.{figure}", median(theirs_s) * 1e3, "ms", peer=peer, ratio=ratio)


async def _apart(report: Report, ours: Target, clients: int) -> None:
    await _round(ours, clients, WARM_UP_S, APART)
    rounds = [await _round(ours, clients, ROUND_S, APART) for _ in range(ROUNDS)]
    report(f"gateway.stream_apart.c{clients}.cpu", median(one.cpu_ms for one in rounds), "ms/stream")


async def _round(target: Target, clients: int, duration_s: float, model: str = TOGETHER) -> Round:
    result, cpu_before, begun = Round(), _cpu_s(target.pid), time.perf_counter()
    until = begun + duration_s
    await asyncio.gather(*(_client(target, until, result, model) for _ in range(clients)))
    result.elapsed_s = time.perf_counter() - begun
    result.cpu_s = _cpu_s(target.pid) - cpu_before
    return result


async def _client(target: Target, until: float, result: Round, model: str) -> None:
    """One connection, one request after the other."""
    loop = asyncio.get_running_loop()
    transport, asking = await loop.create_connection(_Asking, *target.address)
    request = _request(target, model)
    while (begun := time.perf_counter()) < until:
        first, last = await asking.ask(request)
        result.ttft_s.append(first - begun)
        result.total_s.append(last - begun)
    transport.close()


def _request(target: Target, model: str) -> bytes:
    question = "Tell me something plain, in fifty short pieces."
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}).encode()
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: localhost",
        f"authorization: Bearer {target.key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class _Asking(asyncio.Protocol):
    """Reads as little as tells the first text and the end of an answer: the generator must cost less than what it measures."""

    _done: asyncio.Future[tuple[float, float]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvloop's is no subclass
        self._transport = transport

    def ask(self, request: bytes) -> Awaitable[tuple[float, float]]:
        self._first_at = 0.0
        self._tail = b""
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        seen = self._tail + data
        if not self._first_at and b'"content":"a few' in seen:
            self._first_at = time.perf_counter()
        if seen.startswith(b"HTTP/1.1 ") and not seen.startswith(b"HTTP/1.1 200"):
            self._done.set_exception(AssertionError(f"the answer is not 200: {seen[:300]!r}"))
        elif seen.endswith(b"\r\n0\r\n\r\n"):
            self._done.set_result((self._first_at, time.perf_counter()))
        else:
            self._tail = seen if seen.startswith(b"HTTP/1.1 ") and b"\r\n\r\n" not in seen else seen[-256:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the answer was cut off"))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / (1 << 20)


@contextlib.contextmanager
def provider() -> Iterator[Target]:
    """The provider in its own process."""
    with _process([sys.executable, "-m", "bench.gateway"], {}) as (process, first_line):
        yield Target(address=("127.0.0.1", int(first_line())), key="none", pid=process.pid)


@contextlib.contextmanager
def node(home: Path, upstream: Target) -> Iterator[Target]:
    """The node in its own process: guard and record as delivered, no engine."""
    settings = ["[engine]", 'model = ""', "[[upstreams]]", 'name = "mock"', f'models = ["{TOGETHER}", "{APART}"]']
    settings.append('url = "http://{}:{}/v1"'.format(*upstream.address))
    (home / "freehold.toml").write_text("\n".join(settings))
    command = [sys.executable, "-m", "freehold", "serve", "--port", "0", "--json"]
    with _process(command, {"FREEHOLD_HOME": str(home), "FREEHOLD_CONFIG": ""}) as (process, line):
        key, address = "", ("127.0.0.1", 0)
        while (step := json.loads(line() or '{"event": "ended"}'))["event"] != "ready":
            if step["event"] == "ended":
                raise RuntimeError(f"the node did not start: exit code {process.wait()}")
            key = step.get("client_key", key)
            if "url" in step:
                address = ("127.0.0.1", int(step["url"].rpartition(":")[2]))
        yield Target(address=address, key=key, pid=process.pid)


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[tuple["subprocess.Popen[str]", Callable[[], str]]]:
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline
    finally:
        process.terminate()
        process.wait(timeout=START_LIMIT_S)
        process.stdout.close()


class _Provider(asyncio.Protocol):
    """Answers each request with the same stream, at once or piece by piece. Reads no further than it must."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvloop's is no subclass
        self._transport = transport
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        self._seen = b""
        if APART.encode() in body:
            self._send_apart(iter(_STREAM))
        else:
            for piece in _STREAM:
                self._transport.write(piece)

    def _send_apart(self, pieces: Iterator[bytes]) -> None:
        if piece := next(pieces, b""):
            self._transport.write(piece)
            asyncio.get_running_loop().call_later(APART_S, self._send_apart, pieces)


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    document = {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": "mock-1", "choices": [choice]}
    return _framed(b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_STREAM = [
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    *[_chunk({"content": CHUNK_TEXT}) for _ in range(CHUNKS)],
    _chunk({}, "stop"),
    _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n",
]


async def _provide() -> None:
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=event_loop) as main_runner:
        main_runner.run(_provide())
