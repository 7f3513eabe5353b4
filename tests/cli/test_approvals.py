"""`freehold approvals` against a running node."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from tests.fakes.keys import ADMIN_KEY, CLIENT_KEY
from tests.gateway.node import TestNode, running
from tests.gateway.test_approvals import AGENT, EXCHANGE, held, until


@dataclass(slots=True)
class Asking:
    """A node in a thread of its own, and the call that waits there."""

    node: TestNode
    outcome: "list[bool]"

    def run(self, *words: str, key: str = ADMIN_KEY, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, ["approvals", "--url", self.node.url, "--key", key, *words], input=stdin)

    @property
    def id(self) -> str:
        return self.node.approvals.waiting()[0].id


@contextmanager
def asking() -> Iterator[Asking]:
    ready, done = threading.Event(), threading.Event()
    made = Asking(node=TestNode(), outcome=[])

    async def serve() -> None:
        async with running(made.node):
            task = asyncio.ensure_future(made.node.approvals.ask(held(60), AGENT, EXCHANGE))
            await until(made.node.approvals.waiting)
            ready.set()
            await asyncio.to_thread(done.wait)
            if task.done():
                made.outcome.append(task.result())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert ready.wait(20)
    try:
        yield made
    finally:
        done.set()
        thread.join()


def test_what_waits_is_listed_and_shown() -> None:
    with asking() as there:
        listed = there.run("list")
        assert there.id in listed.output
        assert "delete-elsewhere" in listed.output
        shown = there.run("show", there.id)
        assert "command: rm -rf /srv/plans" in shown.output
        assert "it deletes files outside the working folder" in shown.output
        assert json.loads(there.run("show", there.id, "--json").output)["tool"] == "bash"
        assert json.loads(there.run("list", "--json").output)[0]["id"] == there.id


@pytest.mark.parametrize(("word", "outcome"), [("approve", True), ("deny", False)])
def test_a_decision_ends_the_wait(word: str, outcome: bool) -> None:
    with asking() as there:
        question = there.id
        assert there.run(word, question, "--note", "as agreed").exit_code == 0
        again = there.run(word, question)
        assert again.exit_code == 1
        assert "no call waits" in again.output
        assert "no call waits" in there.run("list").output
    assert there.outcome == [outcome]


def test_watching_asks_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(_seconds: float) -> None:
        raise KeyboardInterrupt

    with asking() as there:
        monkeypatch.setattr("freehold.cli.approvals.time.sleep", leave)
        watched = there.run("watch", stdin="yes\n")
        assert "let it go on?" in watched.output
        assert watched.exit_code == 0  # Ctrl-C is how it ends
        monkeypatch.undo()
    assert there.outcome == [True]


def test_only_an_admin_is_asked() -> None:
    with asking() as there:
        assert there.run("list", key=f"{ADMIN_KEY}\n").exit_code == 0  # out of a file, which ends in a line break
        for key in ("", CLIENT_KEY, "fh_nobody"):
            refused = there.run("list", key=key)
            assert refused.exit_code == 2
            assert "admin key" in refused.output or "no such key" in refused.output
        assert there.run("show", "../keys").exit_code == 2


def test_the_url_may_be_the_one_that_clients_have() -> None:
    with asking() as there:
        result = CliRunner().invoke(main, ["approvals", "--url", f"{there.node.url}/v1", "--key", ADMIN_KEY, "list"])
    assert result.exit_code == 0, result.output


def test_a_node_that_is_not_there_is_said() -> None:
    result = CliRunner().invoke(main, ["approvals", "--url", "http://127.0.0.1:9", "--key", "k", "list"])
    assert result.exit_code == 2
    assert "is it running" in result.output
