"""What the guard costs and what it finds.

Times are CPU time, best of some rounds. What it finds is measured on labelled corpora, where the environment variable
FREEHOLD_CORPORA names a folder with `secret.jsonl.gz`, `pii.jsonl.gz`, `extraction.jsonl.gz` and `code.jsonl.gz`.
"""

import argparse
import gzip
import inspect
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.report import Report
from freehold.core.events import PromptText, TextDelta, ToolCallDelta
from freehold.core.findings import Channel, Direction, Finding
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.detectors.examples import sample
from freehold.guard.matcher import Engine

DELTA_CHARS = 20
DELTA_LIMIT_US = 3.0  # of clean prose: a stream of 50 deltas has 700 us in all
LINES_LIMIT = 20_000.0  # a second
ROUNDS = 5

PROSE = (
    "The quick brown fox jumps over the lazy dog and then considers whether it was worth it; after all, dogs rarely mind. " * 400
)
CODE = inspect.getsource(argparse)[:32_000]
TOKEN = "ghp_" + sample(36)
DOCUMENT = json.dumps(
    [{"name": f"item {n}", "price": n * 1.5, "tags": ["new", "blue"], "note": "as seen\nbefore"} for n in range(400)]
)

LOGS = "".join(
    f"2024-11-05T10:{n % 60:02}:00Z 10.0.{n % 250}.{n % 200} GET /api/v1/items/{n * 7919 % 100000} 200 {n % 977}ms\n"
    for n in range(400)
)
# The same without addresses, which are findings: of clean text the cost is the search alone.
CLEAN_CODE = re.sub(r"[\w.]+@[\w.]+", "the author", CODE)
CLEAN_LOGS = re.sub(r"10\.0\.(\d+)\.\d+", r"host-\1", LOGS)
# What a coding agent sends: a long system prompt, schemas of tools, and many short strings.
REQUEST = [
    inspect.getsource(argparse)[:10_000] + " – ",
    *(PROSE[n * 97 : n * 97 + 600] for n in range(60)),
    *["object", "string"] * 100,
]

SETS = (("secret", "credential"), ("pii", "personal_data"))
PROMPTS = (("extraction", ("arena-v2", "arena-v01", "mt-bench")), ("code", ("gpteacher-code",)))


def run(report: Report, models_dir: Path) -> None:
    del models_dir  # other parts' models
    engines: tuple[Engine, ...] = ("hyperscan", "re2")
    for engine in engines:
        asked = StreamGuard(GuardConfig(engine=engine))
        peer = {"hyperscan": "hyperscan", "re2": "google-re2"}[asked.engine]
        _speed(report, asked, peer)
    asked = StreamGuard(GuardConfig())
    folder = os.environ.get("FREEHOLD_CORPORA")
    if not folder or not Path(folder).is_dir():
        print("guard: FREEHOLD_CORPORA names no folder of labelled corpora: what is found is not measured")
        return
    _findings(report, asked, Path(folder))


def _speed(report: Report, asked: StreamGuard, peer: str) -> None:
    wholes = {"prose": PROSE, "code": CODE, "json": DOCUMENT, "logs": LOGS, "code_clean": CLEAN_CODE, "logs_clean": CLEAN_LOGS}
    for name, text in wholes.items():
        seconds = _best(lambda text=text: asked.check(text))  # type: ignore[misc]
        report(f"guard.{asked.engine}.whole.{name}", len(text) / 1e6 / seconds, "MB/s", peer=peer, peer_version=version(peer))
    leaves = [PromptText(leaf=at, channel=Channel.USER, text=text) for at, text in enumerate(REQUEST)]
    seconds = _best(lambda: _request(asked, leaves))
    report(f"guard.{asked.engine}.request", seconds * 1e3, "ms", peer=peer, peer_version=version(peer))
    kinds = (("prose", PROSE, False), ("code", CODE, False), ("json_arguments", DOCUMENT, True))
    for name, text, is_json in kinds:
        deltas = [text[at : at + DELTA_CHARS] for at in range(0, len(text), DELTA_CHARS)]
        seconds = _best(lambda deltas=deltas, is_json=is_json: _stream(asked, deltas, is_json))  # type: ignore[misc]
        limit = DELTA_LIMIT_US if name == "prose" else None
        report(
            f"guard.{asked.engine}.delta.{name}",
            seconds / len(deltas) * 1e6,
            "us",
            limit=limit,
            peer=peer,
            peer_version=version(peer),
        )
    lines = [PROSE[at : at + 80] for at in range(0, 40_000, 80)]
    mixed = [f"token={TOKEN} in it, mail bob{n}@gmail.com" if n % 3 == 0 else line for n, line in enumerate(lines)]
    for name, texts in (("clean", lines), ("a_third_found", mixed)):
        seconds = _best(lambda texts=texts: [asked.check(text) for text in texts])  # type: ignore[misc]
        speed = len(texts) / seconds
        report(f"guard.{asked.engine}.lines.{name}", speed, "lines/s", limit=LINES_LIMIT, peer=peer, peer_version=version(peer))


def _stream(asked: StreamGuard, deltas: list[str], is_json: bool) -> None:
    stage = asked.stage(Direction.RESPONSE)
    for text in deltas:
        stage.receive(ToolCallDelta(arguments=text) if is_json else TextDelta(text=text))
    stage.close()


def _request(asked: StreamGuard, leaves: list[PromptText]) -> None:
    stage = asked.stage(Direction.REQUEST)
    for leaf in leaves:
        stage.receive(leaf)
    stage.close()


def _best(act: Callable[[], object]) -> float:
    """CPU seconds of the fastest of some rounds."""
    spent = []
    for _ in range(ROUNDS):
        start = time.process_time()
        act()
        spent.append(time.process_time() - start)
    return min(spent)


def _findings(report: Report, asked: StreamGuard, folder: Path) -> None:
    for file, category in SETS:
        counts: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        judged = [_Judged(row, asked.check(row["text"]).findings, category) for row in _rows(folder / f"{file}.jsonl.gz")]
        for one in judged:
            tally = counts[one.source, one.label]
            tally[0] += bool(one.found)
            tally[1] += 1
        for (source, label), (found, rows) in sorted(counts.items()):
            report(f"guard.{file}.{'recall' if label else 'near_miss_fp'}.{source}", found / rows, f"of {rows}")
        for source, (found, rows) in sorted(_of_their_own_rule(judged).items()):
            report(f"guard.{file}.near_miss_fp_own.{source}", found / rows, f"of {rows}")
    hits: dict[str, int] = defaultdict(int)
    total = 0
    for file, sources in PROMPTS:
        for row in _rows(folder / f"{file}.jsonl.gz"):
            if row["source"] not in sources:
                continue
            total += 1
            findings = asked.check(row["text"]).findings
            for _, category in SETS:
                hits[category] += _has(findings, category)
    for category, count in hits.items():
        report(
            f"guard.prompts.found.{category}",
            count / max(1, total),
            f"of {total}",
            limit=0.002 if category == "credential" else None,
        )


class _Judged:
    """A labelled text; `found` has what was found in it, as (our detector, value)."""

    def __init__(self, row: dict[str, Any], findings: tuple[Finding, ...], category: str) -> None:
        self.source, self.label, self.rule = row["source"], row["label"], row["meta"].get("rule", "")
        self.found = [(f.rule, row["text"][f.start : f.end]) for f in findings if f.category == category]


def _of_their_own_rule(judged: list[_Judged]) -> dict[str, tuple[int, int]]:
    """By source, how many near misses are taken for what they nearly are, and how many there are.

    A near miss of a rule is none of others: there may be a secret of another kind in it. What is found in it counts if it is
    found by one of our detectors that find that rule's true texts, and if no true text of the source has the same value.
    """
    detectors: dict[tuple[str, str], set[str]] = defaultdict(set)
    true_values: dict[str, set[str]] = defaultdict(set)
    for one in judged:
        if one.label:
            detectors[one.source, one.rule] |= {detector for detector, _ in one.found}
            true_values[one.source] |= {value for _, value in one.found}
    counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one in judged:
        if not one.label:
            own, true = detectors[one.source, one.rule], true_values[one.source]
            taken = any(detector in own and value not in true for detector, value in one.found)
            counts[one.source] = counts[one.source][0] + taken, counts[one.source][1] + 1
    return counts


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        print(f"guard: {path.name} is not in FREEHOLD_CORPORA")
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _has(findings: tuple[Finding, ...], category: str) -> bool:
    return any(finding.category == category for finding in findings)
