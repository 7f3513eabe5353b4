"""A real node beside a meter of joules: what answers got, what was nobody's, and that all of it adds up in the log."""

import json
import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration import nodes

CONFIG = """
[meter]
country = "ISL"
embodied_kg = 1000

[meter.external]
file = "joules"
reads = "joules"
every_s = 0.1
"""
IDLE_W, BUSY_W = 40.0, 140.0


@contextmanager
def counting(path: Path) -> Iterator[threading.Event]:
    """A counter of joules in a file: 140 W while the event is set, else 40 W."""
    busy, over = threading.Event(), threading.Event()
    began_s = time.monotonic()

    def count() -> None:
        energy_j, before_s = 1e6, began_s
        while not over.is_set():
            now_s = time.monotonic()
            energy_j, before_s = energy_j + (now_s - before_s) * (BUSY_W if busy.is_set() else IDLE_W), now_s
            fresh = path.with_suffix(".new")
            fresh.write_text(f"{energy_j:.3f}")
            fresh.rename(path)
            time.sleep(0.02)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        while not path.exists():
            time.sleep(0.01)
        yield busy
    finally:
        over.set()
        thread.join()


def test_answers_idling_and_loading_add_up_to_what_the_meter_counted(tmp_path: Path) -> None:
    nodes.furnish(tmp_path, CONFIG)
    with counting(tmp_path / "joules") as busy, nodes.running(tmp_path) as node:
        time.sleep(1.5)  # a pause, from which idling is learned
        busy.set()
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda text: ask(node, text), ("the sea", "the sun")))
        busy.clear()
        told = ask(node, "the moon")
    assert told["x-freehold-energy-source"] == "external-energy"
    report = json.loads(node.cli("meter", "report", "--json").stdout)
    machine, whole = report["machine"], report["all"]
    assert set(report["energy_j_by_grade"]) == {"measured_counter"}
    assert whole["energy_j"] > 0
    assert whole["carbon_requests"] == whole["embodied_requests"] == whole["requests"] == 3
    lines = math.fsum(machine[name] for name in ("attributed_j", "idle_j", "unattributed_j", "load_j"))
    assert lines == pytest.approx(machine["energy_j"], abs=2 * BUSY_W * 0.4)  # but for what is owed when it ends
    assert whole["energy_j"] == pytest.approx(machine["attributed_j"], rel=1e-4)
    assert machine["idle_j"] > 0
    assert machine["load_j"] > 0
    assert node.cli("log", "verify").returncode == 0


def ask(node: nodes.Node, text: str) -> dict[str, str]:
    raw = node.sdk().chat.completions.with_raw_response.create(
        model="smollm2-135m",
        messages=[{"role": "user", "content": f"Tell me of {text}."}],
        max_tokens=60,
        extra_headers={"x-freehold-energy": "1"},
    )
    return {name: value for name, value in raw.headers.items() if name.startswith("x-freehold-")}
