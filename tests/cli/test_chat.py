import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold import private_node
from freehold.cli.chat import Screen, chat, command, converse, plain
from freehold.cli.chat_client import Answer, Chat, Node
from freehold.core.errors import DeviceError
from tests.cli.scripted_node import KEY, RECEIPT, ScriptedNode, serving


@pytest.fixture(scope="module")
def node() -> Iterator[ScriptedNode]:
    with serving() as node:
        yield node


def run(node: ScriptedNode, *arguments: str, stdin: str = "", key: str = KEY) -> Result:
    return CliRunner().invoke(chat, ["--url", node.url, "--key", key, *arguments], input=stdin)


def test_once_prints_the_answer_alone_on_stdout(node: ScriptedNode) -> None:
    result = run(node, "--once", "hello")
    assert result.exit_code == 0
    assert result.stdout == "You said: hello\n"
    # It came all at once: that says nothing of the model's speed.
    assert re.fullmatch(rf"3 tokens · first after [\d.]+ s · receipt {RECEIPT}\n", result.stderr)


def test_once_reads_a_prompt_of_many_lines_from_stdin(node: ScriptedNode) -> None:
    assert run(node, "--once", "-", stdin="one\ntwo").stdout == "You said: one\ntwo\n"


def test_what_is_typed_in_another_encoding_is_sent_as_far_as_it_can_be(node: ScriptedNode) -> None:
    CliRunner().invoke(chat, ["--url", node.url, "--key", "fh_x", "--once", "-"], input=b"caf\xe9")
    assert node.requests[-1]["messages"][0]["content"] == "caf\ufffd"


def test_a_key_out_of_a_file_may_end_in_a_line_break(node: ScriptedNode) -> None:
    assert run(node, "--once", "a", key=f"{KEY}\n").exit_code == 0


def test_options_reach_the_node_and_what_is_not_given_is_left_to_it(node: ScriptedNode) -> None:
    run(node, "--once", "a", "--model", "other", "--system", "be brief", "--temperature", "0", "--max-tokens", "5", "--seed", "7")
    request = node.requests[-1]
    assert request["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "a"}]
    assert (request["model"], request["temperature"], request["max_tokens"], request["seed"]) == ("other", 0, 5, 7)
    run(node, "--once", "a")
    assert node.requests[-1].keys() == {"model", "messages", "stream", "stream_options"}


def test_the_form_of_the_answer_is_asked_for(node: ScriptedNode, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "array"}')
    run(node, "--once", "a", "--json")
    assert node.requests[-1]["response_format"] == {"type": "json_object"}
    run(node, "--once", "a", "--schema", str(schema))
    form = {"name": "answer", "schema": {"type": "array"}, "strict": True}
    assert node.requests[-1]["response_format"] == {"type": "json_schema", "json_schema": form}
    schema.write_text("[1]")
    assert "is no JSON object" in run(node, "--once", "a", "--schema", str(schema)).stderr
    schema.write_text("{")
    assert "is no JSON: " in run(node, "--once", "a", "--schema", str(schema)).stderr


def test_calls_are_shown_and_answered_by_hand(node: ScriptedNode, tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text('{"name": "f", "parameters": {"type": "object"}}')
    result = run(node, "--tools", str(tools), stdin="call\n42\n")
    call = {"name": "f", "arguments": '{"a": 1}', "id": "call_1"}
    assert json.loads(result.stdout.splitlines()[0]) == call
    assert result.stdout.splitlines()[1] == "You said: 42"
    assert "what does f give?" in result.stderr
    sent = node.requests[-1]
    assert sent["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    function = {"name": "f", "arguments": '{"a": 1}'}
    assert sent["messages"][1:] == [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
    ]
    once = run(node, "--tools", str(tools), "--once", "call")
    assert json.loads(once.stdout) == call
    assert run(node, "--tools", str(tools), stdin="call\n").exit_code == 0
    tools.write_text('[{"description": "no name"}]')
    assert "tool 0 has no name" in run(node, "--tools", str(tools), "--once", "a").stderr


def test_how_likely_tokens_were_is_said_beside_the_answer(node: ScriptedNode) -> None:
    result = run(node, "--once", "a", "--logprobs", "1")
    assert (node.requests[-1]["logprobs"], node.requests[-1]["top_logprobs"]) == (True, 1)
    assert result.stdout == "You said: a\n"
    assert result.stderr.splitlines()[0] == " 50.0% 'You '   of  22.3% 'He '"


def test_a_pipe_is_a_conversation_of_a_line_each(node: ScriptedNode) -> None:
    assert run(node, stdin="hello\n").stdout == "You said: hello\n"


def test_a_url_that_ends_in_v1_works_too(node: ScriptedNode) -> None:
    result = CliRunner().invoke(chat, ["--url", node.url + "/v1/", "--key", KEY, "--once", "hi"])
    assert result.stdout == "You said: hi\n"


def test_url_and_key_come_from_the_environment(node: ScriptedNode) -> None:
    result = CliRunner().invoke(chat, ["--once", "hi"], env={"FREEHOLD_URL": node.url, "FREEHOLD_API_KEY": KEY})
    assert result.stdout == "You said: hi\n"


def test_the_history_goes_along_until_it_is_reset(node: ScriptedNode) -> None:
    run(node, stdin="one\ntwo\n/reset\nthree\n/quit\nnever\n")
    second, third = node.requests[-2:]
    assert [message["content"] for message in second["messages"]] == ["one", "You said: one", "two"]
    assert [message["content"] for message in third["messages"]] == ["three"]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("forbidden", "the guard stopped this request [400]"),
        ("busy", "the engine is starting again (try again in 3 s) [503]"),
        ("page", "the server answered 404 without a reason; is the URL right? [404]"),
        ("breaks", "the answer broke off: the engine died"),
        ("cut", "the answer broke off: the node closed the connection before the end"),
        ("garbage", "the node sent something that is not an OpenAI stream; is the URL right?"),
    ],
)
def test_a_failure_is_said_in_words(node: ScriptedNode, prompt: str, words: str) -> None:
    result = run(node, "--once", prompt)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == words


def test_a_wrong_key_says_where_to_put_the_right_one(node: ScriptedNode) -> None:
    result = run(node, "--once", "hi", key="wrong")
    assert "this key is unknown (give a key with --key or FREEHOLD_API_KEY)" in result.stderr


def test_a_failed_turn_is_forgotten_and_the_chat_goes_on(node: ScriptedNode) -> None:
    result = run(node, stdin="forbidden\nhello\n")
    assert result.exit_code == 0
    assert [message["content"] for message in node.requests[-1]["messages"]] == ["hello"]


def test_nobody_at_the_url_says_what_to_do() -> None:
    result = CliRunner().invoke(chat, ["--url", "http://127.0.0.1:9", "--once", "hi"])
    assert result.exit_code == 1
    assert "start a node with `freehold serve`" in result.stderr


@pytest.mark.parametrize("url", ["localhost", "127.0.0.1:8400"])
def test_what_is_no_url_is_said_so(url: str) -> None:
    result = CliRunner().invoke(chat, ["--url", url, "--once", "hi"])
    assert result.exit_code == 1
    assert f"{url} is no address of a node" in result.stderr


def test_an_answer_the_guard_ended_says_so(node: ScriptedNode) -> None:
    assert run(node, "--once", "filtered").stderr.startswith("ended by the guard · ")


def test_unknown_counts_are_left_out_of_the_facts() -> None:
    answer = Answer(asked_at_s=1.0, first_at_s=1.5, last_at_s=2.5)
    assert answer.facts() == "first after 0.50 s"
    answer.output_tokens = 11
    assert answer.facts() == "11 tokens · 10.0 tokens/s · first after 0.50 s"
    assert Answer().facts() == ""


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    assert plain("a\x1b]0;title\x07b\x9b31mc\u202ed\r\n\tok 👩‍🚀") == "a]0;titleb31mcd\n\tok 👩‍🚀"


def test_save_writes_for_the_owner_alone_and_never_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talk = Chat.begin(Node(url="", key=""), "tiny", "be brief", {})
    path = tmp_path / "talk.json"
    assert command(f"/save {path}", talk, Screen())
    assert json.loads(path.read_text()) == {"model": "tiny", "messages": [{"role": "system", "content": "be brief"}]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    command(f"/save {path}", talk, Screen())
    command("/save /dev/null/no", talk, Screen())
    command("/nothing", talk, Screen())
    err = capsys.readouterr().err
    assert "is there already" in err
    assert "cannot write" in err
    assert "there is no /nothing" in err


@contextlib.asynccontextmanager
async def borrowed(node: ScriptedNode, closed: list[str]) -> AsyncIterator[tuple[str, str]]:
    """Stands for a node of our own."""
    try:
        yield node.url, KEY
    finally:
        await asyncio.sleep(0)
        closed.append("closed")


def test_without_a_url_a_node_runs_inside_until_the_chat_ends(node: ScriptedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(private_node, "open_private_node", lambda progress, engine: borrowed(node, closed))
    node.readiness = [503, 503]
    result = CliRunner().invoke(chat, ["--once", "hello"], env={"FREEHOLD_URL": "", "FREEHOLD_API_KEY": ""})
    assert result.exit_code == 0, result.output
    assert result.stdout == "You said: hello\n"
    assert node.readiness == []
    assert closed == ["closed"]


def test_a_node_inside_that_has_nobody_to_answer_is_not_waited_for(node: ScriptedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_node, "open_private_node", lambda progress, engine: borrowed(node, []))
    monkeypatch.setattr(node, "has_upstreams", False)
    node.readiness = [503]
    result = CliRunner().invoke(chat, ["--once", "hello"], env={"FREEHOLD_URL": "", "FREEHOLD_API_KEY": ""})
    assert result.exit_code == 1
    assert "name a model in [engine]" in result.stderr


class Broken:
    async def __aenter__(self) -> tuple[str, str]:
        raise DeviceError("the disk is full")

    async def __aexit__(self, *exc_info: object) -> None: ...


def test_a_node_inside_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_node, "open_private_node", lambda progress, engine: Broken())
    result = CliRunner().invoke(chat, ["--once", "hello"], env={"FREEHOLD_URL": ""})
    assert result.exit_code == 1
    assert result.stderr == "the disk is full\n"


def test_what_a_node_of_our_own_may_take_cannot_be_said_of_another(node: ScriptedNode) -> None:
    result = CliRunner().invoke(chat, ["--url", node.url, "--threads", "1", "--once", "hello"])
    assert result.exit_code == 2
    assert "where the node is started" in result.output


class Terminal:
    """The program on a pseudo-terminal, as a person has it."""

    def __init__(self, node: ScriptedNode) -> None:
        self._master, slave = pty.openpty()
        environment = {**os.environ, "FREEHOLD_URL": node.url, "FREEHOLD_API_KEY": KEY, "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from freehold.cli.chat import chat; chat()"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str, limit_s: float = 30) -> None:
        """Wait for `text` in what was not looked at yet."""
        deadline = time.monotonic() + limit_s
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} did not come; seen {self.seen!r}"
            if select.select([self._master], [], [], 0.2)[0]:
                self.seen += os.read(self._master, 65536).decode("utf-8", "replace")
        self.seen = self.seen[self.seen.index(text) + len(text) :]

    def press_ctrl_c_at_the_prompt(self, expected: str) -> None:
        """Until it is noticed: CPython's readline misses a signal between printing the prompt and waiting for a key."""
        for _ in range(20):
            self.type("\x03")
            with contextlib.suppress(AssertionError):
                return self.expect(expected, limit_s=1.5)
        raise AssertionError(f"{expected!r} did not come; seen {self.seen!r}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


def _take_terminal() -> None:
    """Make fd 0 the controlling terminal, so that Ctrl-C is a signal, which tests that run in the background would ignore."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def terminal(node: ScriptedNode) -> Iterator[Terminal]:
    terminal = Terminal(node)
    yield terminal
    terminal.close()


def test_ctrl_c_stops_the_answer_and_not_the_program(terminal: Terminal) -> None:
    terminal.expect("> ")
    terminal.type("endless\n")
    terminal.expect("3 4 ")
    terminal.type("\x03")
    terminal.expect("stopped")
    terminal.expect("> ")
    terminal.type("hello\n")
    terminal.expect("You said: hello")
    terminal.expect(RECEIPT)
    terminal.type("/quit\n")
    assert terminal.process.wait(10) == 0


def test_a_second_ctrl_c_leaves_while_the_first_is_still_answered() -> None:
    class Pressed(Screen):
        def note(self, text: str) -> None:
            raise KeyboardInterrupt

    def read() -> str:
        raise KeyboardInterrupt

    with asyncio.Runner() as runner:
        converse(runner, Chat.begin(Node(url="", key=""), "tiny", None, {}), Pressed(), read)


def test_a_second_ctrl_c_leaves(terminal: Terminal) -> None:
    terminal.expect("> ")
    terminal.press_ctrl_c_at_the_prompt("Ctrl-C again")
    for _ in range(4):
        with contextlib.suppress(OSError):  # the terminal is gone
            terminal.type("\x03")
        with contextlib.suppress(subprocess.TimeoutExpired):  # not noticed: one that comes while the program leaves makes it 130
            assert terminal.process.wait(10) == 0
            return
    raise AssertionError("the program did not leave")


def test_ctrl_d_leaves(terminal: Terminal) -> None:
    terminal.expect("> ")
    terminal.type("\x04")
    assert terminal.process.wait(10) == 0


def test_a_paste_of_many_lines_is_one_prompt(terminal: Terminal, node: ScriptedNode) -> None:
    terminal.expect("> ")
    before = len(node.requests)
    terminal.type("first line\nsecond line\nthird line\n")
    terminal.expect("You said: ")
    terminal.expect(RECEIPT)
    terminal.type("/quit\n")
    terminal.process.wait(10)
    assert [request["messages"][-1]["content"] for request in node.requests[before:]] == ["first line\nsecond line\nthird line"]
