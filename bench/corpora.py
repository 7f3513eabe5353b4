"""Labelled corpora that a bench measures on: JSON lines, gzipped, in a folder that FREEHOLD_CORPORA names."""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

ROUNDS = 5


def folder(part: str) -> Path | None:
    """None, with a line that says so, where there is none."""
    named = os.environ.get("FREEHOLD_CORPORA")
    if named and Path(named).is_dir():
        return Path(named)
    print(f"{part}: FREEHOLD_CORPORA names no folder of labelled corpora: what is found is not measured")
    return None


def rows(path: Path, part: str) -> Iterator[dict[str, Any]]:
    if not path.exists():
        print(f"{part}: {path.name} is not in FREEHOLD_CORPORA")
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def best(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """CPU seconds of the fastest of some rounds."""
    spent = []
    for _ in range(rounds):
        start = process_time()
        act()
        spent.append(process_time() - start)
    return min(spent)
