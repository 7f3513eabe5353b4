"""`freehold guard check`: what would the guard do? Nothing is run, sent, stored or changed.

Exit codes: 0 nothing found, 1 something found, 2 what was given cannot be used.
"""

import re
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec
import orjson

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.files import opened
from freehold.cli.guard_lines import Lines, check_lines, written_calls
from freehold.cli.guard_words import Located, as_json, show
from freehold.core.findings import Channel, Context, Direction
from freehold.gateway.wire import CODECS, guessed_dialect
from freehold.gateway.wire.codec import Leaf
from freehold.gateway.wire.leaves import walk
from freehold.gateway.wire.tool_names import ToolNames
from freehold.guard import StreamGuard
from freehold.guard.calls.presets import NAMES
from freehold.guard.examine import Examination, Examiner, Kind
from freehold.guard.languages import language_named
from freehold.guard.syntax import Language
from freehold.guard_cache import open_guard
from freehold.policy_read import policy_path, read_policy

_DIRECTIONS = {direction.value: direction for direction in Direction}
_FLAGS = ("request", "jsonl", "code", "tool_call", "tool_result")
_LANGUAGES = ", ".join(Language)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # \x1b colours what terminals show
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@click.command()
@click.argument("file", default="-")
@click.option("--shell", metavar="TEXT", help="A command line: what would it do, and may it?")
@click.option("--code", is_flag=True, help="FILE is code: its weaknesses, and what running it would do.")
@click.option("--tool-call", is_flag=True, help="FILE is one or more tool calls, in any dialect's JSON.")
@click.option("--tool-result", is_flag=True, help="FILE is what a tool brought back: does it give orders?")
@click.option("--request", is_flag=True, help="FILE is a request's JSON body: scan every string in it.")
@click.option(
    "--jsonl", is_flag=True, help="FILE is one JSON object a line, {text, id?, kind?, lang?, name?, tool?}; so is the answer."
)
@click.option("--lang", help="The language of --shell or --code. Default: told by the text.")
@click.option("--run", "is_run", is_flag=True, help="Code is going to be run: judge what it does, too.")
@click.option("--tool", default="", help="The tool of --tool-result, or of --tool-call where FILE has its arguments alone.")
@click.option("--json", "wants_json", is_flag=True, help="The result as one JSON object.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, help="Processes that share the lines of --jsonl.")
@click.option("--direction", type=click.Choice(sorted(_DIRECTIONS)), default="request", help="Which policy to apply to texts.")
@click.option("--preset", type=click.Choice(NAMES), help="Judge effects by this preset, and not by the policy's.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration whose policy is asked.")
@click.option("--policy", type=click.Path(path_type=Path), help="A policy file to ask in place of the configuration's.")
def check(
    file: str,
    shell: str | None,
    lang: str | None,
    is_run: bool,
    tool: str,
    wants_json: bool,
    jobs: int,
    direction: str,
    preset: Any,
    config_path: Path | None,
    policy: Path | None,
    **flags: bool,
) -> None:
    """Say what the guard would do with the text in FILE, or with standard input.

    Nothing is run. A text is scanned for what it holds; a command and a tool call are judged by what they would do, code by its
    weaknesses, a tool's result by whether it gives orders. A FILE that is no text is looked into as one that a request carries.
    Exit code 0: nothing found; 1: something found, in shadow or not; 2: FILE cannot be used. With --jsonl, `kind` is shell, code,
    tool_call, tool_result, text or a channel (another one is scanned as text, and the answer says so). A line without an id is
    answered with its number for one; one that cannot be used with {id?, error}: the rest go on, and the exit code is 2.
    """
    kind = _kind(shell, flags)
    side, language = _DIRECTIONS[direction], _language(lang)
    guard = _guard(config_path, policy, is_quick=kind != "jsonl")
    examiner = Examiner(guard.policy.file, guard, direction=side, preset=preset)
    if shell is not None:
        if file != "-":
            raise Unusable(f"--shell is the text to ask about, and so is {file}: ask about one thing")
        _tell(examiner.shell(shell, (language,) if language else ()), guard, wants_json=wants_json)
    with opened(file) as source:
        if kind == "jsonl":
            sys.exit(check_lines(Lines(examiner, side, is_run=is_run).answer, source, jobs))
        data = source.read()
    if kind == "request":
        located = list(_located(guard, _document(data, file), side))
        examination = Examination(kind=Kind.TEXT, findings=tuple(item.finding for item in located))
        _tell(examination, guard, located, wants_json=wants_json)
    if kind == "text" and _is_binary(data):
        # As a file that a request carries: what can't be read of it is not let pass unsaid.
        url = f"data:application/octet-stream;base64,{b64encode(data).decode()}"
        _tell(examiner.text(url, Channel.FILE), guard, wants_json=wants_json)
    text = _text(data, file)
    match kind:
        case "code":
            examination = examiner.code(text, language, "" if file == "-" else file, is_run=is_run)
            if not examination.language and not examination.findings:
                raise Unusable(f"{file} is in no language that can be told; name it with --lang: {_LANGUAGES}")
        case "tool_call":
            _document(data, file)
            examination = examiner.tool_calls(written_calls(text, tool))
        case "tool_result":
            examination = examiner.tool_result(text, tool)
        case _:
            examination = examiner.text(text)
    _tell(examination, guard, wants_json=wants_json)


def _tell(examination: Examination, guard: StreamGuard, located: Sequence[Located] = (), *, wants_json: bool) -> NoReturn:
    if wants_json:
        click.echo(as_json(examination, guard.policy_digest, located))
    else:
        show(examination, located)
    sys.exit(1 if examination.findings else 0)


def _kind(shell: str | None, flags: Mapping[str, bool]) -> str:
    chosen = [flag for flag in _FLAGS if flags[flag]] + ([] if shell is None else ["shell"])
    if len(chosen) > 1:
        first, second = (f"--{flag.replace('_', '-')}" for flag in chosen[:2])
        raise Unusable(f"{first} and {second} exclude each other: ask about one thing")
    return chosen[0] if chosen else "text"


def _language(name: str | None) -> Language | None:
    if name is None:
        return None
    if (language := language_named(name)) is None:
        raise Unusable(f"there is no language {name!r} that is analysed; there are {_LANGUAGES}")
    return language


def _guard(config_path: Path | None, policy: Path | None, *, is_quick: bool) -> StreamGuard:
    """`is_quick`: the same findings, without compiling a database for one text."""
    settings = configuration.load(config_path).guard
    named = policy or policy_path(settings.policy, configuration.find(config_path), configuration.home())
    if is_quick and settings.engine == "auto":
        settings = msgspec.structs.replace(settings, engine="re2")
    source = None if named is None else read_policy(named)
    return open_guard(settings, source) if settings.engine != "re2" else StreamGuard(settings, policy=source)


def _is_binary(data: bytes) -> bool:
    """Old encodings of one byte a letter count as text."""
    if b"\0" in data or data.startswith(_UTF_16_MARKS):
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return _CONTROLS.search(data) is not None
    return False


def _text(data: bytes, name: str) -> str:
    """A byte that is no UTF-8 is looked past: what is around it is still found. Raises Unusable for what is no text at all."""
    if not _is_binary(data):
        return data.decode("utf-8", "replace")
    try:
        if data.startswith(_UTF_16_MARKS) and "\0" not in (text := data.decode("utf-16")):
            return text
    except UnicodeDecodeError:
        pass
    raise Unusable(f"{name} is no text: it holds bytes that no text has, as UTF-16 without its mark and binary files do")


def _document(data: bytes, name: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise Unusable(f"{name} is not JSON: {exc}; give one document, as it would be posted") from exc


def _located(guard: StreamGuard, document: Any, direction: Direction) -> Iterator[Located]:
    """What is found in each string, in what its dialect says it is: the user's, a tool's."""
    try:
        leaves = _leaves(document)
    except RecursionError as exc:
        raise Unusable("the document nests too deep to be a request") from exc
    tools = ToolNames(document)
    for leaf in leaves:
        for finding in guard.found([leaf.said(0, tools.of(leaf.path))], Context(), direction):
            yield Located(finding=finding, pointer="".join(f"/{_escaped(step)}" for step in leaf.path))


def _leaves(document: Any) -> list[Leaf]:
    """A document of no dialect is all its user's."""
    dialect = guessed_dialect(document) if isinstance(document, dict) else None
    return CODECS[dialect].leaves(document) if dialect else walk(document, lambda *_: Channel.USER, frozenset())


def _escaped(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")
