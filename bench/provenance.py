"""What proof and record cost: signing, verifying, writing, hashing.

Times are CPU time where other work on the machine would blur them. Hashing is compared in one run, from the page cache, with raw
BLAKE3 and with one SHA-256 over the file, which is what tools that sign models with it cannot be faster than.
"""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Protocol

from blake3 import __version__ as blake3_version
from blake3 import blake3

from freehold.core.events import ServedBy
from freehold.core.exchange import ExchangeId, KeyId, ModelId
from freehold.core.ledger import Draft, LedgerEntry, Status
from freehold.core.measurement import Grade, Measurement
from freehold.core.models import BLOCK_BYTES
from freehold.core.receipts import Claims
from freehold.provenance.keys import NodeKey, trusted
from freehold.provenance.manifest import make_manifest
from freehold.provenance.signer import NodeSigner, sign_manifest
from freehold.provenance.verifier import verify_contents, verify_model, verify_receipt
from freehold.store.keys import ClientKeys
from freehold.store.writer import RecordWriter

FILE_BYTES = 512 << 20
ROUNDS = 5
RECORDS = 4000
CLIENTS = 64


class ReportFigure(Protocol):
    def __call__(
        self,
        name: str,
        value: float,
        unit: str,
        peer: str | float | None = None,
        peer_version: str | None = None,
        ratio: float | None = None,
        limit: float | None = None,
    ) -> None: ...


def run(report: ReportFigure, models_dir: Path) -> None:
    """`models_dir` is not needed: content does not change what hashing costs."""
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as directory:
        _receipts(report)
        asyncio.run(_records(report, Path(directory)))
        _keys(report, Path(directory))
        _hashing(report, Path(directory) / "model")


def _receipts(report: ReportFigure) -> None:
    key = NodeKey.generate()
    signer, keys, claims = NodeSigner(key), trusted(key.public), _draft(0).claims
    envelope = signer.sign(claims, "0" * 64).envelope
    report("provenance.receipt.sign", _cpu_us(lambda: signer.sign(claims, "0" * 64), 2000), "us of CPU")
    report("provenance.receipt.verify", _cpu_us(lambda: verify_receipt(envelope, keys), 1000), "us of CPU")
    report("provenance.receipt.size", len(envelope), "bytes")


async def _records(report: ReportFigure, directory: Path) -> None:
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


def _keys(report: ReportFigure, directory: Path) -> None:
    with closing(ClientKeys(directory / "record.db")) as ring:
        _, secret = ring.create("bench")
        report("provenance.key.authenticate", _cpu_us(lambda: ring.authenticate(secret), 5000), "us of CPU")


def _hashing(report: ReportFigure, directory: Path) -> None:
    directory.mkdir()
    with (directory / "m.gguf").open("wb") as file:
        for _ in range(FILE_BYTES // BLOCK_BYTES):
            file.write(os.urandom(BLOCK_BYTES))
    key = NodeKey.generate()
    envelope = sign_manifest(make_manifest(directory, ["m.gguf"], name="bench", origin="bench"), key)
    model = verify_model(directory, envelope, trusted(key.public))

    def sign() -> None:
        sign_manifest(make_manifest(directory, ["m.gguf"], name="bench", origin="bench"), key)

    def raw() -> None:
        blake3(max_threads=blake3.AUTO).update_mmap(directory / "m.gguf").digest()

    def sha256() -> None:
        with (directory / "m.gguf").open("rb") as file:
            hashlib.file_digest(file, "sha256")

    rounds = _rounds(raw, sha256, lambda: verify_contents(model), sign)
    raw_s, sha256_s, verify_s, sign_s = (min(times) for times in zip(*rounds, strict=True))
    gigabytes = FILE_BYTES / 1e9
    report("provenance.manifest.verify", gigabytes / verify_s, "GB/s", "raw blake3", blake3_version, raw_s / verify_s)
    report("provenance.manifest.verify.sha256", gigabytes / verify_s, "GB/s", "raw sha256", None, sha256_s / verify_s)
    report("provenance.manifest.sign", gigabytes / sign_s, "GB/s", "raw sha256", None, sha256_s / sign_s)


def _rounds(*works: Callable[[], object]) -> list[tuple[float, ...]]:
    """Wall seconds of each work, in turns, so that a busy neighbour hurts all alike."""
    rounds = []
    for _ in range(ROUNDS):
        times = []
        for work in works:
            began_s = time.perf_counter()
            work()
            times.append(time.perf_counter() - began_s)
        rounds.append(tuple(times))
    return rounds


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
