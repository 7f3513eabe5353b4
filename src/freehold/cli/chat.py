"""`freehold chat`: talk to a model in the terminal, streaming.

Decided here: what Ctrl-C means, what is printed where, and what a line at the prompt is. The conversation lives in this
process and nowhere else; the node keeps no content. With no `--url` and no `FREEHOLD_URL`, a node of its own runs inside
for as long as the chat (`chat_inside.py`).
"""

import asyncio
import contextlib
import io
import json
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import exp
from pathlib import Path
from typing import Any

import click

from freehold.cli.chat_client import Answer, Call, Chat, ChatError, Node, await_ready, first_model
from freehold.cli.chat_options import request_options
from freehold.cli.chat_stats import engine_speed
from freehold.cli.engine_options import engine_options, engine_settings
from freehold.core.errors import FreeholdError

HELP = """/help        this text
/reset       forget the conversation
/save FILE   write the conversation to FILE as JSON
/quit        leave (or Ctrl-D; Ctrl-C stops an answer, a second one leaves)"""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PASTE_GAP_S = 0.03  # lines that come faster than this were pasted, not typed
JOINS = "\u200d\ufe0f"  # not printable by themselves, but emoji are built with them


class Screen:
    """Answers go to stdout, everything about them to stderr; colours only on a terminal."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._ends_line = True

    def piece(self, text: str) -> None:
        text = plain(text) if self._is_terminal else text
        if text:
            click.echo(text, nl=False)
            self._ends_line = text.endswith("\n")
        sys.stdout.flush()

    def call(self, call: Call) -> None:
        """For a person in words, for a program as a line of JSON."""
        self.end()
        if self._is_terminal:
            click.secho(plain(f"calls {call.name} {call.arguments}"), fg="yellow")
        else:
            click.echo(json.dumps({"name": call.name, "arguments": call.arguments, "id": call.call_id}))

    def end(self) -> None:
        if not self._ends_line:
            click.echo()
        self._ends_line = True

    def note(self, text: str) -> None:
        self.end()
        if text:
            click.secho(plain(text), err=True, dim=True)

    def failure(self, text: str) -> None:
        self.end()
        click.secho(plain(text), err=True, fg="red")

    def progress(self, text: str) -> None:
        if sys.stderr.isatty():
            line = " ".join(text.split())[:100]
            click.echo(f"\r\x1b[2K{line}", err=True, nl=False)

    def progress_over(self) -> None:
        if sys.stderr.isatty():
            click.echo("\r\x1b[2K", err=True, nl=False)


def plain(text: str) -> str:
    """What a model or a node wrote may hold escape sequences, which a terminal would obey: they are left out."""
    return "".join(char for char in text if char in "\n\t" or char in JOINS or char.isprintable())


def answer_once(runner: asyncio.Runner, chat: Chat, prompt: str, screen: Screen, read: Callable[[], str] | None = None) -> bool:
    """One turn, its tool calls answered by what `read` gives. False when it failed; KeyboardInterrupt passes."""
    answer = Answer()
    asking = chat.ask(prompt, answer, screen.piece)
    while True:
        try:
            runner.run(asking)
        except ChatError as failure:
            screen.failure(str(failure))
            return False
        except KeyboardInterrupt:
            screen.note("stopped")
            raise
        for call in answer.calls.values():
            screen.call(call)
        screen.note("\n".join([*_likely(answer.logprobs), _ending(answer)]))
        if not answer.calls or read is None:
            return True
        results = _results(answer.calls.values(), screen, read)
        if results is None:
            return True
        answer = Answer()
        asking = chat.give_results(results, answer, screen.piece)


def _results(calls: Iterable[Call], screen: Screen, read: Callable[[], str]) -> list[tuple[Call, str]] | None:
    """What the person says each tool gave; None where nobody says anything any more."""
    results = []
    for call in calls:
        screen.note(f"what does {call.name} give?")
        try:
            results.append((call, read()))
        except EOFError:
            return None
    return results


def _likely(logprobs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A token a line: how likely it was, and what else might have stood there."""
    for token in logprobs:
        others = "  ".join(f"{_chance(other)} {other['token']!r}" for other in token.get("top_logprobs") or ())
        yield f"{_chance(token)} {token['token']!r}" + (f"   of {others}" if others else "")


def _chance(token: Mapping[str, Any]) -> str:
    return f"{exp(token['logprob']):6.1%}"


def _ending(answer: Answer) -> str:
    why = {"content_filter": "ended by the guard · ", "length": "ended at the token limit · "}.get(answer.finish_reason or "", "")
    return why + answer.facts()


def converse(runner: asyncio.Runner, chat: Chat, screen: Screen, read: Callable[[], str]) -> None:
    """Turns until the end of input, `/quit`, or a second Ctrl-C with no line between, wherever it strikes."""
    interrupted = False
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            try:
                line = read().strip()
                interrupted = False
                if line.startswith("/") and "\n" not in line:
                    if not command(line, chat, screen):
                        return
                elif line:
                    answer_once(runner, chat, line, screen, read)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                screen.note("Ctrl-C again, or Ctrl-D, to leave")
    screen.end()


def command(line: str, chat: Chat, screen: Screen) -> bool:
    """Obey a line that starts with a slash. False to leave."""
    word, _, rest = line.partition(" ")
    match word:
        case "/quit" | "/exit":
            return False
        case "/reset":
            chat.reset()
            screen.note("forgotten")
        case "/save" if rest.strip():
            screen.note(save(chat, Path(rest.strip()).expanduser()))
        case "/save":
            screen.failure("where to? /save FILE")
        case "/help":
            screen.note(HELP)
        case _:
            screen.failure(f"there is no {word}; /help lists the commands")
    return True


def save(chat: Chat, path: Path) -> str:
    """Never over another file: a chat may be all there is of it. Only the owner can read what was said."""
    text = json.dumps({"model": chat.model, "messages": chat.messages}, indent=2, ensure_ascii=False)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        return f"{path} is there already; choose another name"
    except OSError as exc:
        return f"cannot write {path}: {exc.strerror}"
    return f"saved to {path}"


def read_prompt() -> str:
    """One line, or all lines of a paste."""
    if not sys.stdin.isatty():
        return input()
    lines = [input("> " if sys.stdout.isatty() else "")]
    while select.select([sys.stdin], [], [], PASTE_GAP_S)[0]:
        try:
            lines.append(input())
        except EOFError:
            break
    return "\n".join(lines)


@click.command()
@click.option(
    "--url", envvar="FREEHOLD_URL", show_envvar=True, help="A running node. Without it, a node runs inside this command."
)
@click.option("--key", envvar="FREEHOLD_API_KEY", show_envvar=True, default="", help="The key to show it.")
@click.option("--model", help="The model to talk to, pulled or added or an upstream's. Default: the first the node names.")
@click.option("--system", metavar="TEXT", help="What the model is told before the conversation.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 always takes the likeliest token.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="The longest answer.")
@click.option("--seed", type=int, help="The same seed gives the same answer, from our engine.")
@click.option("--json", "json_object", is_flag=True, help="The answer is a JSON object.")
@click.option("--schema", type=_FILE, metavar="FILE", help="The answer is JSON that fits the JSON schema in FILE.")
@click.option(
    "--tools",
    type=_FILE,
    metavar="FILE",
    help="Tools the model may call: JSON, a list of {name, description, parameters}. You say what they give.",
)
@click.option("--logprobs", type=click.IntRange(0, 20), metavar="N", help="Show how likely each token was, and N others.")
@engine_options
@click.option("--stats", is_flag=True, help="Say at the end how fast the engine was, and how fast it was predicted to be.")
@click.option("--once", metavar="PROMPT", help="Answer this and end; `-` reads it from standard input.")
def chat(
    url: str | None,
    key: str,
    model: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int | None,
    seed: int | None,
    json_object: bool,
    schema: Path | None,
    tools: Path | None,
    logprobs: int | None,
    stats: bool,
    once: str | None,
    **engine: int | None,
) -> None:
    """Talk to a model, streaming."""
    if url and engine_settings(engine):
        raise click.UsageError("what the engine may take is said where the node is started: leave that out, or leave --url out")
    options = request_options(
        json_object=json_object,
        schema=schema,
        tools=tools,
        logprobs=logprobs,
        sampling={"temperature": temperature, "max_tokens": max_tokens, "seed": seed},
    )
    screen = Screen()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what was typed in another encoding can't be sent as it is
    try:
        with _node(url, key, model, engine) as node, asyncio.Runner() as runner:
            if not url:
                runner.run(await_ready(node, screen.progress))
                screen.progress_over()
            talk = Chat.begin(node, model or runner.run(first_model(node)), system, options)
            if once is not None:
                prompt = sys.stdin.read() if once == "-" else once
                if not answer_once(runner, talk, prompt, screen):
                    sys.exit(1)
            else:
                _line_editing()
                if sys.stdin.isatty():
                    screen.note(f"{talk.model} at {node.url} · /help for commands, Ctrl-D to leave")
                converse(runner, talk, screen, read_prompt)
            if stats:
                screen.note(runner.run(engine_speed(node)))
    except (ChatError, FreeholdError) as failure:
        screen.progress_over()
        screen.failure(str(failure))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _node(
    url: str | None, key: str, model: str | None, engine: Mapping[str, int | None]
) -> contextlib.AbstractContextManager[Node]:
    if url:
        return contextlib.nullcontext(Node(url=url, key=key.strip()))  # a variable read from a file ends in a line break
    from freehold.cli.chat_inside import Inside, own_engine  # noqa: PLC0415  # with it come all rooms of a node: 50 MiB, a second

    return Inside(own_engine(engine, model))


def _line_editing() -> None:
    """Arrow keys, history and bracketed paste, where Python was built with them."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - importing it is what switches it on
