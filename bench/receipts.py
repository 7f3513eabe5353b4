"""What it costs a request to be provable: its receipt, its row in the log, its leaf in the tree; and what proofs and checks take.

CPU time throughout. The record is written by `CLIENTS` at a time, as under load; the tree is grown and signed after every
`SIGNED_EVERY` exchanges, many times more often than a node does it at that rate.
"""

import asyncio
import importlib.util
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bench.provenance import CLIENTS, _draft
from bench.report import Report
from freehold.cli.audit_record import NodeProofs
from freehold.cli.evidence import evidence_of
from freehold.core import merkle
from freehold.core.ledger import Draft
from freehold.provenance import evidence as bundles
from freehold.provenance.keys import NodeKey, trusted
from freehold.provenance.signer import NodeSigner
from freehold.store.config import StoreConfig
from freehold.store.database import open_reader
from freehold.store.exchanges import verdict_digest
from freehold.store.tree import Tree
from freehold.store.verify import verify_log
from freehold.store.writer import RecordWriter
from freehold.tile_log import TileLog

EXCHANGES = 6000
SIGNED_EVERY = 1000
BUDGET_US = 300.0  # of CPU a request, for receipt, log and tree together
PAGE = Path(__file__).parent.parent / "docs" / "verify_evidence.py"


def run(report: Report, models_dir: Path) -> None:
    """`models_dir` is not needed."""
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as directory:
        path, key = Path(directory) / "record.db", NodeKey.generate()
        log = TileLog(path, StoreConfig(), key)
        record_s, tree_s = asyncio.run(_record(path, key, log))
        report("receipts.request", (record_s + tree_s) / EXCHANGES * 1e6, "us of CPU, all of it", limit=BUDGET_US)
        report("receipts.request.record", record_s / EXCHANGES * 1e6, "us of CPU: sign, store, seal")
        report("receipts.request.tree", tree_s / EXCHANGES * 1e6, "us of CPU: behind the request")
        report("receipts.idle", _cpu_s(log.publish) * 1e3, "ms of CPU, where nothing came")
        _proofs(report, path, key)


async def _record(path: Path, key: NodeKey, log: TileLog) -> tuple[float, float]:
    """CPU seconds of all records, and of the tree over them."""
    record_s = tree_s = 0.0
    drafts = [_honest(number) for number in range(EXCHANGES)]
    with closing(RecordWriter(path, NodeSigner(key), sealer=key)) as writer:

        async def client(numbers: range) -> None:
            for number in numbers:
                await writer.record(drafts[number])

        for start in range(0, EXCHANGES, SIGNED_EVERY):
            began_s = time.process_time()
            end = start + SIGNED_EVERY
            await asyncio.gather(*(client(range(first, end, CLIENTS)) for first in range(start, start + CLIENTS)))
            record_s += time.process_time() - began_s
            tree_s += _cpu_s(log.publish)
    return record_s, tree_s


def _proofs(report: Report, path: Path, key: NodeKey) -> None:
    keys = trusted(key.public)
    with closing(open_reader(path, 5.0)) as connection:
        perfect = Tree(connection).perfect
        proof_s = _cpu_s(lambda: merkle.range_proof(EXCHANGES // 2, EXCHANGES // 2 + 1, EXCHANGES, perfect))
        report("receipts.proof", proof_s * 1e3, "ms of CPU, tiles read")
        evidence = evidence_of(connection, 1, EXCHANGES)
        report("receipts.evidence.size", len(evidence) / EXCHANGES, "bytes an exchange")
        report("receipts.evidence.verify", EXCHANGES / _cpu_s(lambda: bundles.verify(evidence, keys)), "rows/s of CPU")
        page, public = _page(), load_pem_public_key(key.public.pem())
        report("receipts.evidence.verify.page", EXCHANGES / _cpu_s(lambda: page.verify(evidence, public, [])), "rows/s of CPU")
        began_s = time.process_time()
        checked = verify_log(connection, NodeProofs(keys))
        check_s = time.process_time() - began_s
        assert checked.broken is None, checked.broken
        report("receipts.log.verify", EXCHANGES / check_s, "rows/s of CPU, tree and heads included")


def _honest(number: int) -> Draft:
    """A draft whose claims say of its findings what is so: there are none."""
    draft = _draft(number)
    return replace(draft, claims=replace(draft.claims, verdict_digest=verdict_digest([])))


def _page() -> Any:
    spec = importlib.util.spec_from_file_location("verify_evidence", PAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _cpu_s(work: Any) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s
