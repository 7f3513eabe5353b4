"""A node keeps and marks what it is told to; `freehold replay` runs it again elsewhere, and says what is not as it was."""

import json
import sqlite3
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.core.exchange import ExchangeId
from freehold.engine.kernels.targets import host_targets
from freehold.provenance.receipt import decode
from freehold.provenance.watermark import make_watermark
from freehold.store.reader import RecordReader
from tests.integration import nodes
from tests.integration.nodes import Node

pytestmark = pytest.mark.model

KEEP = """
[guard.categories.personal_data]
mode = "enforce"

[[engine.watermarks]]
secret = "press"
teams = ["press"]

[[keep]]
days = 0
labels = ["secret"]

[[keep]]
days = 7
"""
TOOLS = [{"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("home")
    nodes.furnish(home, KEEP)
    make_watermark(home, "press", gamma=0.25, delta=6.0, context_tokens=2)
    make_watermark(home, "legal", gamma=0.25, delta=6.0, context_tokens=2)
    with nodes.running(home) as started:
        yield started


def cli(node: Node, *arguments: str) -> Result:
    """A command in this process, which has its libraries loaded."""
    return CliRunner().invoke(main, arguments, env={"FREEHOLD_HOME": str(node.home)})


def ask(node: Node, key: str, content: str, **body: Any) -> tuple[str, bytes]:
    """The receipt's id, and the answer."""
    document = {"model": "smollm2-135m", "messages": [{"role": "user", "content": content}], "max_tokens": 16, **body}
    request = urllib.request.Request(
        node.url + "/v1/chat/completions",
        data=json.dumps(document).encode(),
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.headers["x-freehold-receipt"]), answer.read()


@pytest.fixture(scope="module")
def exchanges(node: Node) -> list[tuple[str, bytes]]:
    """Four that were computed side by side, the first of them marked."""
    made = cli(node, "keys", "create", "web", "--team", "press", "--json")
    press = json.loads(made.stdout)["secret"]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("Tell me about the sea.", {"temperature": 0.9, "max_tokens": 60}),
        ("Write to ann.lee@example.com about the sea.", {"stream": True, "temperature": 0.9}),
        ("Look.", {"tools": TOOLS, "tool_choice": "none", "seed": 5}),
        ("Count to ten.", {"temperature": 0}),
    ]
    with ThreadPoolExecutor(4) as pool:
        keys = (press, *[node.client_key] * 3)
        return list(pool.map(lambda key, one: ask(node, key, one[0], **one[1]), keys, asked))


@pytest.fixture(scope="module")
def receipts(exchanges: list[tuple[str, bytes]]) -> list[str]:
    return [receipt for receipt, _ in exchanges]


def test_answers_come_out_the_same_in_another_process_with_another_number_of_threads(node: Node, receipts: list[str]) -> None:
    again = cli(node, "replay", receipts[1])
    assert again.exit_code == 0, again.output
    assert "same, byte for byte" in again.stdout
    with_one = cli(node, "replay", receipts[0], "--threads", "1", "--json")
    assert with_one.exit_code == 0, with_one.output
    found = json.loads(with_one.stdout)
    assert (found["result"], found["tokens"], found["response"]) == ("same", "same", "same")


def test_a_teams_answers_are_told_by_its_secret_and_receipts_name_it(node: Node, exchanges: list[tuple[str, bytes]]) -> None:
    text = node.home / "answer.txt"
    text.write_text(json.loads(exchanges[0][1])["choices"][0]["message"]["content"])
    found = cli(node, "watermark", "detect", str(text), "--team", "press", "--json")
    assert found.exit_code == 0, found.output
    assert cli(node, "watermark", "detect", str(text), "--team", "legal").exit_code == 1
    with closing(RecordReader(node.home / "record.db")) as reader:
        stored = [reader.receipt(ExchangeId(receipt)) for receipt, _ in exchanges[:2]]
    served = [decode(b64decode(json.loads(one.receipt.envelope)["payload"]))[0].served for one in stored if one is not None]
    assert [one and one.watermark for one in served] == [json.loads(found.stdout)["digest"], None]


def test_what_lies_in_the_record_is_not_content(node: Node, receipts: list[str]) -> None:
    raw = b"".join(file.read_bytes() for file in node.home.glob("record.db*"))
    assert receipts[0].encode() in raw
    assert b"about the sea" not in raw
    assert not any("about the sea" in line for line in node.log)
    shown = cli(node, "kept", "show", receipts[1]).stdout
    assert "about the sea" in shown
    assert "ann.lee" not in shown


@pytest.mark.skipif(host_targets()[0] == "portable", reason="this CPU has one kernel set")
def test_another_kernel_set_is_named_and_not_run_unless_told_to(node: Node, receipts: list[str]) -> None:
    refused = cli(node, "replay", receipts[0], "--kernels", "portable")
    assert refused.exit_code == 2
    assert f"kernels: {host_targets()[0]} then, portable now" in refused.stderr


def test_one_that_was_changed_or_deleted_or_never_kept_cannot_be_replayed(node: Node, receipts: list[str]) -> None:
    other, kept, deleted = receipts[1], receipts[2], receipts[3]
    with closing(sqlite3.connect(node.home / "record.db")) as connection, connection:
        query = "UPDATE content SET encrypted = (SELECT encrypted FROM content WHERE exchange_id = ?) WHERE exchange_id = ?"
        connection.execute(query, (other, kept))
    swapped = cli(node, "replay", kept)
    assert (swapped.exit_code, "does not open" in swapped.stderr) == (2, True), swapped.output
    assert cli(node, "kept", "delete", deleted).exit_code == 0
    gone = cli(node, "replay", deleted)
    assert (gone.exit_code, "is no more" in gone.stderr) == (2, True), gone.output
    assert cli(node, "log", "verify").exit_code == 0
