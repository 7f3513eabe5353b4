"""What proof and record cost: signing, verifying, writing, hashing.

Times are CPU time where other work on the machine would blur them. Signing and verifying a model are compared in one run, from
the page cache, with raw BLAKE3 and with the commands of the reference of OpenSSF Model Signing.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from blake3 import __version__ as blake3_version
from blake3 import blake3
from tests.fakes.chains import ec_key

from bench.report import Report
from bench.signing import REFERENCE_VERSION, reference
from freehold.core.events import ServedBy
from freehold.core.exchange import ExchangeId, KeyId, ModelId
from freehold.core.ledger import Draft, LedgerEntry, Status
from freehold.core.measurement import Grade, Measurement
from freehold.core.models import BLOCK_BYTES
from freehold.core.receipts import Claims
from freehold.provenance.keys import NodeKey, SigningKey, trusted
from freehold.provenance.pieces import READ_BYTES, page_buffer
from freehold.provenance.progress import Silent
from freehold.provenance.signer import NodeSigner
from freehold.provenance.signing import Terms, sign_own, verify
from freehold.provenance.tree import rules
from freehold.provenance.trust import Accepted
from freehold.provenance.verifier import verify_receipt
from freehold.store.keys import ClientKeys
from freehold.store.writer import RecordWriter

FILE_BYTES = 2_000_000_000
THREADS = len(os.sched_getaffinity(0))
ROUNDS = 3
RECORDS = 4000
CLIENTS = 64


def run(report: Report, models_dir: Path) -> None:
    """`models_dir` is not needed: content does not change what hashing costs."""
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as directory:
        _receipts(report)
        asyncio.run(_records(report, Path(directory)))
        _keys(report, Path(directory))
        _models(report, Path(directory) / "models")


def _receipts(report: Report) -> None:
    key = NodeKey.generate()
    signer, keys, claims = NodeSigner(key), trusted(key.public), _draft(0).claims
    envelope = signer.sign(claims, "0" * 64).envelope
    report("provenance.receipt.sign", _cpu_us(lambda: signer.sign(claims, "0" * 64), 2000), "us of CPU")
    report("provenance.receipt.verify", _cpu_us(lambda: verify_receipt(envelope, keys), 1000), "us of CPU")
    report("provenance.receipt.size", len(envelope), "bytes")


async def _records(report: Report, directory: Path) -> None:
    """`CLIENTS` exchanges at a time, each waiting until its own record is durable."""
    with closing(RecordWriter(directory / "record.db", NodeSigner(NodeKey.generate()))) as writer:
        waits_s: list[float] = []

        async def client(first: int) -> None:
            for number in range(first, RECORDS, CLIENTS):
                began_s = time.perf_counter()
                await writer.record(_draft(number))
                waits_s.append(time.perf_counter() - began_s)

        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        await asyncio.gather(*(client(first) for first in range(CLIENTS)))
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    report("provenance.record.throughput", RECORDS / wall_s, "durable records/s")
    report("provenance.record.cpu", cpu_s / RECORDS * 1e6, "us of CPU")
    report("provenance.record.wait", median(waits_s) * 1e3, f"ms, median of {CLIENTS} at once")


def _keys(report: Report, directory: Path) -> None:
    with closing(ClientKeys(directory / "record.db")) as ring:
        _, secret = ring.create("bench")
        report("provenance.key.authenticate", _cpu_us(lambda: ring.authenticate(secret), 5000), "us of CPU")


def _models(report: Report, directory: Path) -> None:
    """A model of one large file in the page cache, each work in turns: ours as a library against BLAKE3 alone, over the same
    blocks by as many threads; our commands against the reference's, each a whole process with the key that suits it."""
    model, path = directory / "model", directory / "model" / "m.gguf"
    model.mkdir(parents=True)
    with path.open("wb") as file:
        for start in range(0, FILE_BYTES, BLOCK_BYTES):
            file.write(os.urandom(min(BLOCK_BYTES, FILE_BYTES - start)))
    key = NodeKey.generate()
    terms = Terms(trust=Accepted(keys=trusted(key.public), authorities={}))
    signature, _ = sign_own(model, key, Silent(), name="m", origin="bench", rule=rules())
    small = directory / "small"
    small.mkdir()
    (small / "m.gguf").write_bytes(b"weights")
    works: dict[str, Callable[[], object]] = {
        "raw": lambda: _raw_blake3(path),
        "raw, mapped": lambda: blake3(max_threads=THREADS).update_mmap(path).digest(),
        "sign": lambda: sign_own(model, key, Silent(), name="m", origin="bench", rule=rules()),
        "verify": lambda: verify(model, signature, terms, Silent(), rule=rules()),
        **_commands(directory, model),
        **{f"{name}, small": work for name, work in _commands(directory, small).items()},
    }
    best = _best(works)
    gigabytes = FILE_BYTES / 1e9
    raw_s, mapped_s = best["raw"].wall_s, best["raw, mapped"].wall_s
    report("provenance.blake3", gigabytes / raw_s, f"GB/s, {THREADS} threads", "blake3", blake3_version)
    for what in ("sign", "verify"):
        ours_s = best[what].wall_s
        report(f"provenance.{what}", gigabytes / ours_s, "GB/s", "blake3", blake3_version, raw_s / ours_s, 0.8)
        cpu_s, raw_cpu_s = best[what].cpu_s, best["raw"].cpu_s
        report(f"provenance.{what}.cpu", cpu_s / gigabytes, "s of CPU a GB", "blake3", blake3_version, raw_cpu_s / cpu_s, 0.8)
        report(f"provenance.{what}.mapped", gigabytes / ours_s, "GB/s", "blake3, mapped", blake3_version, mapped_s / ours_s)
        if f"their {what}" in best:
            _compare_commands(report, what, best)


def _compare_commands(report: Report, what: str, best: Mapping[str, "Cost"]) -> None:
    """A command by what it takes for the large file more than for a small one; and as a whole, its start included."""
    gigabytes, peer = FILE_BYTES / 1e9, ("model_signing", REFERENCE_VERSION)
    ours, theirs = (best[f"{who} {what}"] for who in ("our", "their"))
    small, their_small = (best[f"{who} {what}, small"] for who in ("our", "their"))
    ours_s, theirs_s = ours.wall_s - small.wall_s, theirs.wall_s - their_small.wall_s
    report(f"provenance.{what}.command", gigabytes / ours_s, "GB/s", *peer, theirs_s / ours_s, 4.0)
    ours_s, theirs_s = ours.cpu_s - small.cpu_s, theirs.cpu_s - their_small.cpu_s
    report(f"provenance.{what}.command.cpu", ours_s / gigabytes, "s of CPU a GB", *peer, theirs_s / ours_s)
    unit = f"s for {gigabytes:.0f} GB, its start included"
    report(f"provenance.{what}.command.whole", ours.wall_s, unit, *peer, theirs.wall_s / ours.wall_s)


def _commands(directory: Path, model: Path) -> dict[str, Callable[[], object]]:
    """Whole processes, each as it works when nothing else is said. The reference's command knows SHA-256 alone.

    Both with their modules compiled, as they are where they were installed: where the environment forbids to keep that, a source
    tree would compile itself at each start.
    """
    home = {**os.environ, "FREEHOLD_HOME": str(directory / "home")}
    home.pop("PYTHONDONTWRITEBYTECODE", None)
    ours = [sys.executable, "-m", "freehold"]
    found: dict[str, Callable[[], object]] = {
        "our sign": lambda: _run([*ours, "sign", str(model), "--quiet"], home),
        "our verify": lambda: _run([*ours, "verify", str(model), "--quiet"], home),
    }
    if (python := reference()) is None:
        return found
    key = SigningKey.of(ec_key())
    private, public, signature = (directory / f"{model.name}.{what}" for what in ("pem", "pub", "sig"))
    private.write_bytes(key.pem())
    public.write_bytes(key.public.pem())
    theirs = [str(python), "-m", "model_signing"]
    ending = ["key", str(model), "--signature", str(signature), "--ignore-paths", str(model / "freehold.sig")]
    return found | {
        "their sign": lambda: _run([*theirs, "sign", *ending, "--private_key", str(private)], home),
        "their verify": lambda: _run([*theirs, "verify", *ending, "--public_key", str(public)], home),
    }


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run(command, env=environment, check=True, capture_output=True)


def _raw_blake3(path: Path) -> None:
    """The best that BLAKE3 alone does here: blocks by as many threads as there are cores, each in parts that stay in its core's
    cache, into a buffer of its own that begins with a page."""
    handle = os.open(path, os.O_RDONLY)
    own = threading.local()

    def digest(start: int) -> bytes:
        if not hasattr(own, "buffer"):
            own.buffer = page_buffer(READ_BYTES)
        hasher = blake3()
        for offset in range(start, min(start + BLOCK_BYTES, FILE_BYTES), READ_BYTES):
            count = os.preadv(handle, [own.buffer], offset)
            hasher.update(own.buffer[:count])
        return hasher.digest()

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(digest, range(0, FILE_BYTES, BLOCK_BYTES)):
                pass
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one work, of this process and those it started: the least of its rounds."""

    wall_s: float
    cpu_s: float


def _best(works: Mapping[str, Callable[[], object]]) -> dict[str, Cost]:
    """In turns, so that a busy neighbour hurts all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            began_s, began_cpu_s = time.perf_counter(), _cpu_s()
            work()
            costs[name].append(Cost(wall_s=time.perf_counter() - began_s, cpu_s=_cpu_s() - began_cpu_s))
    return {name: Cost(wall_s=min(c.wall_s for c in one), cpu_s=min(c.cpu_s for c in one)) for name, one in costs.items()}


def _cpu_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _cpu_us(work: Callable[[], object], times: int) -> float:
    began_s = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began_s) / times * 1e6


def _draft(number: int) -> Draft:
    exchange_id = ExchangeId(f"xc_{number:026d}")
    energy = Measurement(grade=Grade.MODELLED, source="cpu-time-model", energy_j=3.5, low_j=1.6, high_j=8.6)
    claims = Claims(
        exchange_id=exchange_id,
        issued_at_ns=1_795_000_000_000_000_000 + number,
        dialect="openai.chat",
        operation="chat",
        status="completed",
        served=ServedBy(
            provider="freehold",
            model="smollm2-135m",
            model_id=ModelId("ab" * 32),
            template_digest="cd" * 32,
            build="0.1.0",
            seed=7,
        ),
        request_digest="11" * 32,
        response_digest="22" * 32,
        response_links=50,
        salt=bytes(32),
        policy_digest="33" * 32,
        verdict_digest="44" * 32,
        sampling={"temperature": 0.7, "max_tokens": 256},
        finish_reason="stop",
        input_tokens=12,
        output_tokens=50,
        energy=energy,
    )
    entry = LedgerEntry(
        exchange_id=exchange_id,
        received_at_ns=claims.issued_at_ns,
        key_id=KeyId("key_1"),
        team="research",
        dialect="openai.chat",
        operation="chat",
        provider="freehold",
        model="smollm2-135m",
        model_id=ModelId("ab" * 32),
        stream=True,
        status=Status.COMPLETED,
        finish_reason="stop",
        error_code=None,
        input_tokens=12,
        output_tokens=50,
        ttft_ms=8.5,
        duration_ms=250.0,
        energy=energy,
        findings=(),
        policy_digest="33" * 32,
    )
    return Draft(claims=claims, entry=entry)
