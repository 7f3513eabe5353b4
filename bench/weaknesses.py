"""What the search for weaknesses finds in code, what it takes for one that is none, and what it costs.

Programs of `code.jsonl.gz` go through what `freehold guard check --jsonl` asks: kind "code" and no language. Found is whatever
has a finding of the category "weakness". Python's are asked of Bandit too, in an environment of its own. Times are CPU time, best
of some rounds.
"""

import json
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.corpora import best, folder, rows
from bench.peers import environment
from bench.report import Report
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.examine import Examiner
from freehold.guard.weaknesses.find import find
from freehold.guard.weaknesses.stage import CATEGORY

RECALL_BAR, FALSE_BAR, BENIGN_BAR, FILE_BAR_MS = 0.60, 0.10, 0.02, 3.0
LABELLED, BENIGN = ("bandit-examples", "gosec"), "gpteacher-code"
BANDIT_VERSION = "1.9.2"


def run(report: Report, models_dir: Path) -> None:
    del models_dir  # other parts' models
    corpora = folder("weaknesses")
    if corpora is None:
        return
    guard = StreamGuard(GuardConfig())
    examiner = Examiner(guard.policy.file, guard)
    counts: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    programs: list[dict[str, Any]] = []
    for row in rows(corpora / "code.jsonl.gz", "weaknesses"):
        if row["source"] not in (*LABELLED, BENIGN):
            continue
        programs.append(row)
        examination = examiner.code(row["text"])
        tally = counts[row["source"], row["label"]]
        tally[0] += 1
        tally[1] += any(finding.category == CATEGORY for finding in examination.findings)
        tally[2] += examination.action == "block"
    for (source, label), (total, found, blocked) in sorted(counts.items()):
        name = "recall" if label else "found" if source == BENIGN else "false_positives"
        limit = RECALL_BAR if label else None if source == BENIGN else FALSE_BAR
        report(f"weaknesses.{name}.{source}", found / total, f"of {total}", limit=limit)
        if source == BENIGN:
            report(f"weaknesses.blocked.{source}", blocked / total, f"of {total}", limit=BENIGN_BAR)
    _times(report, programs)
    _bandit(report, [row for row in programs if row["source"] == "bandit-examples"])


def _times(report: Report, programs: list[dict[str, Any]]) -> None:
    for source in LABELLED:
        texts = [row["text"] for row in programs if row["source"] == source]
        chars = sum(map(len, texts))
        if chars:
            seconds = best(lambda texts=texts: [find(text, None) for text in texts], 2)  # type: ignore[misc]
            report(f"weaknesses.per_4k.{source}", seconds / chars * 4096 * 1e3, "ms", limit=FILE_BAR_MS)


def _bandit(report: Report, programs: list[dict[str, Any]]) -> None:
    """The peer wrote these very examples: its own rate is what can be had."""
    python = environment(f"bandit-{BANDIT_VERSION}", f"bandit=={BANDIT_VERSION}") if programs else None
    if python is None:
        return
    with tempfile.TemporaryDirectory(prefix="freehold-bandit-") as named:
        for row in programs:
            (Path(named) / f"{row['id'].replace('/', '_')}.py").write_text(row["text"], encoding="utf-8")
        command = [str(python), "-m", "bandit", "-q", "-r", "-f", "json", named]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = {Path(result["filename"]).stem for result in json.loads(done.stdout)["results"]}
    for label in (1, 0):
        rows_of = [row for row in programs if row["label"] == label]
        rate = sum(row["id"].replace("/", "_") in found for row in rows_of) / max(1, len(rows_of))
        name = "recall" if label else "false_positives"
        report(f"weaknesses.peer.{name}.bandit-examples", rate, f"of {len(rows_of)}", peer="bandit", peer_version=BANDIT_VERSION)
