"""`freehold guard hook`: a coding agent asks before each tool call, on standard input, and is answered on standard output.

So an agent is guarded whose traffic with its model does not pass a node. Decided here: nothing fails open. Whatever goes wrong,
a policy that can't be read or a text that can't be parsed, the answer is exit code 2 with a reason, which stops the call; a
process that hangs ends by a signal, and the line of `--print-settings` turns any such end into the same. A person is asked
through a node by an option alone, and not by a variable: the agent's settings must give the time for it, or the agent lets the
call go on. What the agents say and want to hear is in `hook_agents.py`; what is judged is imported when it is asked for, as
agents wait for every call.
"""

import importlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from freehold.cli.hook_agents import AGENTS, STOP, Decision, Moment, Said, guessed
from freehold.core.errors import FreeholdError, InvalidRequest

LIMIT_S = 20  # a call takes some milliseconds
PATIENCE_S = 30  # how long agents wait, as the settings say, beside what a person gets to answer: one that gives up lets it pass
LIMIT_BYTES = 16 << 20  # of what an agent says: a tool may have written a whole file

_NO_OBJECT = f"what it was given is not one JSON object of at most {LIMIT_BYTES >> 20} MiB"
_JUDGES = {  # what is done at each moment, and where: a call does not wait for what reads results and prompts
    Moment.CALL: "freehold.cli.hook_calls:judge_call",
    Moment.RESULT: "freehold.cli.hook_results:judge_result",
    Moment.PROMPT: "freehold.cli.hook_prompts:judge_prompt",
}
_PERSON = "freehold.cli.hook_asking:ask_person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which policy is asked: the configuration's, or that of `policy`; `preset` before what either says. And which node."""

    preset: str | None
    policy: Path | None
    config: Path | None
    ask_s: int = 0  # how long a person is asked through the node at `url`; 0 asks nobody there
    url: str | None = None
    key: str = field(repr=False, default="")


@click.command()
@click.option("--agent", type=click.Choice(sorted(AGENTS)), help="Who asks. Default: told by what it says.")
@click.option("--preset", help="Judge by this preset: observe, developer, production or locked.")
@click.option("--policy", type=click.Path(path_type=Path), help="A policy file to ask in place of the configuration's.")
@click.option("--config", type=click.Path(path_type=Path), help="The configuration whose policy is asked.")
@click.option("--approve", is_flag=True, help="Say yes to what policy allows, so that the agent does not ask its user.")
@click.option(
    "--ask",
    "ask_s",
    type=click.IntRange(1, 86_400),
    metavar="SECONDS",
    help="Have a person asked through a node about what policy asks about, for so long.",
)
@click.option("--url", envvar="FREEHOLD_URL", show_envvar=True, help="The node that --ask asks through.")
@click.option("--key", envvar="FREEHOLD_API_KEY", show_envvar=True, default="", help="A client key of that node.")
@click.option("--print-settings", type=click.Choice(["claude", "codex", "gemini"]), help="Print what the agent's settings need.")
def hook(
    agent: str | None,
    preset: str | None,
    policy: Path | None,
    config: Path | None,
    approve: bool,
    ask_s: int | None,
    url: str | None,
    key: str,
    print_settings: str | None,
) -> None:
    """Answer one question of a coding agent: may this tool call run?

    Reads one JSON object from standard input: what Claude Code, Codex or Gemini CLI hand to their hooks, or {"tool",
    "arguments"}. Exit code 2 stops the call, with the reason on standard error; whatever fails ends so, too.
    """
    options = Options(preset=preset, policy=policy, config=config, ask_s=ask_s or 0, url=url, key=key)
    if print_settings is not None:
        chosen = AGENTS[print_settings]
        click.echo(f"This goes into {chosen.settings_file}, beside what is there:", err=True)
        line = _line(print_settings, options, approve=approve)
        click.echo(chosen.settings(line, options.ask_s + PATIENCE_S), nl=False)
        return
    signal.alarm(options.ask_s + LIMIT_S)  # ends the process, in C code too
    try:
        said = _said(agent, options, approve=approve)
    except BaseException as error:
        said = Said(err=f"The guard's hook failed, so that this does not pass: {_reason(error)}.\n", code=STOP)
    finally:
        signal.alarm(0)
    try:
        sys.stdout.write(said.out)
        sys.stderr.write(said.err)
        sys.stdout.flush()
    except OSError:  # an answer that nobody can read lets nothing pass; and Python would try once more on its way out
        os._exit(STOP)
    sys.exit(said.code)


def _said(agent: str | None, options: Options, *, approve: bool) -> Said:
    document = _document(sys.stdin.buffer.read(LIMIT_BYTES + 1))
    asked_by = AGENTS[agent or guessed(document)]
    asked = asked_by.read(document)
    decision, reason = _made(_JUDGES[asked.moment])(asked, options) if asked.moment in _JUDGES else (Decision.ALLOW, "")
    if decision is Decision.ASK and options.ask_s and asked.moment is Moment.CALL:
        decision, reason = _made(_PERSON)(asked, options, reason)
    return asked_by.answer(asked, decision, reason, approve=approve)


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data) if len(data) <= LIMIT_BYTES else None
    except (ValueError, RecursionError) as exc:  # JSON's and UTF-8's; what is nested too deep
        raise InvalidRequest(_NO_OBJECT) from exc
    if not isinstance(document, dict):
        raise InvalidRequest(_NO_OBJECT)
    return document


def _made(place: str) -> Callable[..., tuple[Decision, str]]:
    module, _, name = place.partition(":")
    found: Callable[..., tuple[Decision, str]] = getattr(importlib.import_module(module), name)
    return found


def _reason(error: BaseException) -> str:
    """Without what the agent said."""
    return error.message if isinstance(error, FreeholdError) else type(error).__name__


def _line(agent: str, options: Options, *, approve: bool) -> str:
    """For a shell. What ends otherwise than the hook itself does, as it is not there or died, must not let a call pass.

    The key is not in it: it stays in the variable.
    """
    words = [*_program(), "guard", "hook", "--agent", agent]
    words += ["--preset", options.preset] if options.preset else []
    words += ["--policy", str(options.policy.absolute())] if options.policy else []
    words += ["--config", str(options.config.absolute())] if options.config else []
    words += ["--approve"] if approve else []
    words += ["--ask", str(options.ask_s)] if options.ask_s else []
    words += ["--url", options.url] if options.ask_s and options.url else []
    return f"{shlex.join(words)} || {{ echo 'Stopped by the guard hook of Freehold.' >&2; exit {STOP}; }}"


def _program() -> list[str]:
    """This program by its whole path, as an agent's PATH may be another."""
    script = Path(sys.argv[0])
    if script.name == "freehold" and script.exists():
        return [str(script.absolute())]
    return [sys.executable, "-m", "freehold"]
