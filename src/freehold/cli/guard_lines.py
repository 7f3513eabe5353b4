"""`freehold guard check --jsonl`: many things, one JSON object a line, answered in order, by several processes where asked.

A line that can't be used, or at which a judge fails, is answered with an error, and never with "allow"; the rest go on.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Any, BinaryIO

import orjson

from freehold.cli.guard_words import told
from freehold.core.findings import Action, Channel, Direction
from freehold.guard.call_documents import WrittenCall, calls_of
from freehold.guard.examine import Examination, Examiner, Kind
from freehold.guard.languages import language_named

Batch = list[tuple[int, bytes]]  # lines and their numbers

_CHANNELS = {channel.value: channel for channel in Channel}
_KINDS = {kind.value: kind for kind in Kind}
_BATCH_LINES = 500  # answered, handed to a process, and written at once: a line alone is scanned in less time than that takes
_BATCHES_AHEAD = 4  # a process: read ahead so that none waits, and no more, so that memory stays flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Of one batch, in order."""

    text: bytes
    is_found: bool
    is_failed: bool


class Lines:
    """Answers batches of lines. `is_run`: code in them is going to be run."""

    def __init__(self, examiner: Examiner, direction: Direction, *, is_run: bool) -> None:
        self._examiner, self._direction, self._is_run = examiner, direction, is_run

    def answer(self, batch: Batch) -> Answers:
        answers = [self._line(line, number) for number, line in batch]
        return Answers(
            text=b"".join([orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE) for answer in answers]),
            is_found=any(answer.get("findings") for answer in answers),
            is_failed=any("error" in answer for answer in answers),
        )

    def _line(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            return {"error": f"line {number} is not JSON: {exc}"}
        if not isinstance(row, dict):
            return {"error": f"line {number} is not a JSON object with a text"}
        named = {"id": row.get("id", number)}
        if not isinstance(row.get("text"), str):
            return {**named, "error": f"line {number} has no text, or one that is not a string"}
        if (kind := row.get("kind")) is not None and kind not in (*_KINDS, *_CHANNELS):
            named["scanned_as"] = Kind.TEXT.value  # and not judged as what it may be: a slip in a kind must be seen
        try:
            return {**named, **told(self._examined(row))}
        except Exception as exc:  # one row does not end the others
            return {
                **named,
                "verdict": Action.ASK,
                "findings": [],
                "error": f"line {number} could not be examined: {type(exc).__name__}",
            }

    def _examined(self, row: dict[str, Any]) -> Examination:
        text, kind = row["text"], row.get("kind")
        match _KINDS.get(kind) if isinstance(kind, str) else None:
            case Kind.SHELL:
                language = language_named(_word(row, "lang"))
                return self._examiner.shell(text, (language,) if language else ())
            case Kind.CODE:
                language = language_named(_word(row, "lang"))
                return self._examiner.code(text, language, _word(row, "name"), is_run=self._is_run)
            case Kind.TOOL_CALL:
                return self._examiner.tool_calls(written_calls(text, _word(row, "tool") or _word(row, "name")))
            case Kind.TOOL_RESULT:
                return self._examiner.tool_result(text, _word(row, "tool"))
            case Kind.TEXT:
                return self._examiner.text(text, Channel.USER if self._direction is Direction.REQUEST else Channel.TEXT)
        return self._examiner.text(text, _CHANNELS.get(kind, Channel.USER) if isinstance(kind, str) else Channel.USER)


def written_calls(text: str, tool: str) -> list[WrittenCall]:
    """`text` is one call or more in any dialect, or the arguments of `tool` alone. What is no JSON is for the judge to refuse."""
    try:
        calls = calls_of(orjson.loads(text))
    except orjson.JSONDecodeError:
        return [WrittenCall(tool, text)]
    is_named = any(call.tool == tool if tool else call.tool for call in calls)
    return calls if is_named else [WrittenCall(tool, text)]


def _word(row: dict[str, Any], member: str) -> str:
    value = row.get(member)
    return value if isinstance(value, str) else ""


def check_lines(answer: Callable[[Batch], Answers], source: BinaryIO, jobs: int) -> int:
    """Answer every line, in order; the exit code."""
    found = failed = False
    batches = _batches(source)
    for answers in map(answer, batches) if jobs == 1 else _shared(answer, batches, jobs):
        found, failed = found or answers.is_found, failed or answers.is_failed
        sys.stdout.buffer.write(answers.text)
        sys.stdout.buffer.flush()
    return 2 if failed else 1 if found else 0


_HERE: list[Callable[[Batch], Answers]] = []  # in a process that `_shared` started: how it answers


def _answer_here(batch: Batch) -> Answers:
    return _HERE[0](batch)


def _batches(source: BinaryIO) -> Iterator[Batch]:
    """Lines with their numbers, blank ones left out."""
    numbered = ((number, line) for number, line in enumerate(source, 1) if line.strip())
    while batch := list(islice(numbered, _BATCH_LINES)):
        yield batch


def _shared(answer: Callable[[Batch], Answers], batches: Iterator[Batch], jobs: int) -> Iterator[Answers]:
    """Answers in order from `jobs` processes, which begin as copies of this one: nothing is compiled again."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=_HERE.append, initargs=(answer,)) as pool:
        waiting: deque[Future[Answers]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_answer_here, batch))
            if len(waiting) > jobs * _BATCHES_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
