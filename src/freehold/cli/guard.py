"""`freehold guard`: what would the guard do? Nothing is sent, stored or changed.

Exit codes: 0 nothing found, 1 something found, 2 what was given cannot be used.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
import orjson

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.core.findings import Channel, Direction, Finding, Mode, Verdict
from freehold.guard import StreamGuard
from freehold.guard.stream_guard import strictest
from freehold.guard_cache import open_guard
from freehold.policy_watch import policy_path, read_policy

_Batch = list[tuple[int, bytes]]  # lines and their numbers

_CHANNELS = {channel.value: channel for channel in Channel}
_DIRECTIONS = {direction.value: direction for direction in Direction}
_BATCH_LINES = 500  # answered, handed to a process, and written at once: a line alone is scanned in less time than that takes
_BATCHES_AHEAD = 4  # a process: read ahead so that none waits, and no more, so that memory stays flat


@dataclass(frozen=True, slots=True, kw_only=True)
class _Located:
    """A finding, and where in a request it is (a JSON pointer, RFC 6901)."""

    finding: Finding
    pointer: str | None


@click.group()
def guard() -> None:
    """Ask the guard, without side effects."""


@guard.command()
@click.argument("file", default="-")
@click.option("--request", "as_request", is_flag=True, help="FILE is a request's JSON body: scan every string in it.")
@click.option("--jsonl", "as_jsonl", is_flag=True, help="FILE is one JSON object a line, {id, text, kind?}; so is the answer.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, help="Processes that share the lines of --jsonl.")
@click.option("--direction", type=click.Choice(sorted(_DIRECTIONS)), default="request", help="Which policy to apply.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration whose policy is asked.")
@click.option("--policy", "policy", type=click.Path(path_type=Path), help="A policy file to ask in place of the configuration's.")
def check(
    file: str,
    as_request: bool,
    as_jsonl: bool,
    as_json: bool,
    jobs: int,
    direction: str,
    config_path: Path | None,
    policy: Path | None,
) -> None:
    """Say what the guard would do with the text in FILE, or with standard input.

    Exit code 0: nothing found; 1: something found, in shadow or not; 2: FILE cannot be used. With --jsonl, a line that cannot
    be used is answered with {id?, error}, the rest go on, and the exit code is 2.
    """
    if as_request and as_jsonl:
        raise Unusable("--request and --jsonl exclude each other: FILE is either one request or one object a line")
    settings = configuration.load(config_path).guard
    named = policy or policy_path(settings.policy, configuration.find(config_path), configuration.home())
    if not as_jsonl and settings.engine == "auto":
        settings = msgspec.structs.replace(settings, engine="re2")  # same findings, without compiling a database for one text
    source_of_rules = None if named is None else read_policy(named)
    asked = open_guard(settings, source_of_rules) if settings.engine != "re2" else StreamGuard(settings, policy=source_of_rules)
    with _opened(file) as source:
        if as_jsonl:
            sys.exit(_check_lines(partial(_answer, asked, _DIRECTIONS[direction]), source, jobs))
        verdict, located = _check_whole(asked, source.read(), file, _DIRECTIONS[direction], as_request)
    _show(verdict, located, as_json)
    sys.exit(1 if located else 0)


def _opened(file: str) -> BinaryIO:
    try:
        return sys.stdin.buffer if file == "-" else Path(file).open("rb")
    except OSError as exc:
        raise Unusable(f"cannot read {file}: {exc.strerror}") from exc


def _check_whole(
    asked: StreamGuard, data: bytes, name: str, direction: Direction, as_request: bool
) -> tuple[Verdict, list[_Located]]:
    if not as_request:
        verdict = asked.check(data.decode("utf-8", "replace"), direction=direction)
        return verdict, [_Located(finding=f, pointer=None) for f in verdict.findings]
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise Unusable(f"{name} is not JSON: {exc}; give one request body, as it would be posted") from exc
    located = [
        _Located(finding=finding, pointer=pointer)
        for pointer, text in _strings(document)
        for finding in asked.check(text, direction=direction).findings
    ]
    findings = tuple(item.finding for item in located)
    return Verdict(action=strictest(findings), policy_digest=asked.policy_digest, findings=findings), located


def _strings(document: Any) -> Iterator[tuple[str, str]]:
    """(pointer, text) of every string in `document`, names of members included, in order."""
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        pointer, node = waiting.pop()
        if isinstance(node, str):
            yield pointer, node
        elif isinstance(node, list):
            waiting += [(f"{pointer}/{index}", item) for index, item in reversed(list(enumerate(node)))]
        elif isinstance(node, dict):
            for name, item in reversed(node.items()):
                here = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
                waiting += [(here, item), (here, name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """Of one batch, in order."""

    text: bytes
    is_found: bool
    is_failed: bool


def _answer(asked: StreamGuard, direction: Direction, batch: _Batch) -> _Answers:
    answers = [_check_line(asked, line, number, direction) for number, line in batch]
    return _Answers(
        text=b"".join([orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE) for answer in answers]),
        is_found=any(answer.get("findings") for answer in answers),
        is_failed=any("error" in answer for answer in answers),
    )


_HERE: list[Callable[[_Batch], _Answers]] = []  # in a process that `_shared` started: how it answers


def _answer_here(batch: _Batch) -> _Answers:
    return _HERE[0](batch)


def _batches(source: BinaryIO) -> Iterator[_Batch]:
    """Lines with their numbers, blank ones left out."""
    numbered = ((number, line) for number, line in enumerate(source, 1) if line.strip())
    while batch := list(islice(numbered, _BATCH_LINES)):
        yield batch


def _shared(answer: Callable[[_Batch], _Answers], batches: Iterator[_Batch], jobs: int) -> Iterator[_Answers]:
    """Answers in order from `jobs` processes, which begin as copies of this one: nothing is compiled again."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=_HERE.append, initargs=(answer,)) as pool:
        waiting: deque[Future[_Answers]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_answer_here, batch))
            if len(waiting) > jobs * _BATCHES_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _check_lines(answer: Callable[[_Batch], _Answers], source: BinaryIO, jobs: int) -> int:
    """Answer every line, in order; the exit code."""
    found = failed = False
    batches = _batches(source)
    for answers in map(answer, batches) if jobs == 1 else _shared(answer, batches, jobs):
        found, failed = found or answers.is_found, failed or answers.is_failed
        sys.stdout.buffer.write(answers.text)
        sys.stdout.buffer.flush()
    return 2 if failed else 1 if found else 0


def _check_line(asked: StreamGuard, line: bytes, number: int, direction: Direction) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        return {"error": f"line {number} is not JSON: {exc}"}
    if not isinstance(row, dict):
        return {"error": f"line {number} is not a JSON object with id and text"}
    named = {"id": row["id"]} if "id" in row else {}
    if not named:
        return {"error": f"line {number} has no id"}
    if not isinstance(row.get("text"), str):
        return {**named, "error": f"line {number} has no text, or one that is not a string"}
    channel = _CHANNELS.get(row["kind"], Channel.USER) if isinstance(row.get("kind"), str) else Channel.USER
    verdict = asked.check(row["text"], channel, direction)
    return {**named, "verdict": verdict.action, "findings": [_brief(finding) for finding in verdict.findings]}


def _brief(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "start": finding.start,
        "end": finding.end,
        "confidence": finding.confidence,
        "action": finding.action,
        "mode": finding.mode,
    }


def _show(verdict: Verdict, located: list[_Located], as_json: bool) -> None:
    if as_json:
        findings = [{**_brief(i.finding), **({} if i.pointer is None else {"pointer": i.pointer})} for i in located]
        answer = {"verdict": verdict.action, "policy_digest": verdict.policy_digest, "findings": findings}
        click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        return
    click.secho(
        verdict.action.value, bold=True, fg="green" if verdict.action == "allow" else "red"
    )  # no colours but on a terminal
    for item in located:
        finding = item.finding
        where = f"{item.pointer} " if item.pointer is not None else ""
        done = finding.action.value if finding.mode is Mode.ENFORCE else f"{finding.action.value}, in shadow: not done"
        click.echo(f"  {where}{finding.start}-{finding.end}  {finding.rule}  {finding.confidence:.2f}  {done}")
