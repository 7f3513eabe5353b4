"""How `freehold guard check` tells what it found: in words on a terminal, as JSON to programs.

A finding never shows what was found. What an effect touches is shown to the person who asked about one thing; answers about many
(`--jsonl`) leave it out, as those are kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click
import orjson

from freehold.core.effects import Effect, Place
from freehold.core.findings import Action, Finding, Mode
from freehold.guard.examine import Examination

_TARGET_CHARS = 60
_COLOURS = {Action.ALLOW: "green", Action.TAG: "yellow", Action.ASK: "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A finding, and where in a request it is (a JSON pointer, RFC 6901)."""

    finding: Finding
    pointer: str


def told(examination: Examination) -> dict[str, Any]:
    """The answer of one among many."""
    answer: dict[str, Any] = {"verdict": examination.action, "findings": [_brief(finding) for finding in examination.findings]}
    if examination.effects:
        answer["effects"] = [_effect(effect) for effect in examination.effects]
    return answer


def as_json(examination: Examination, policy_digest: str, located: Sequence[Located] = ()) -> str:
    """`located` are the findings of a request, with their places."""
    answer = {"policy_digest": policy_digest, "kind": examination.kind, **told(examination)}
    if located:
        answer["findings"] = [{**_brief(item.finding), "pointer": item.pointer} for item in located]
    if examination.language:
        answer["language"] = examination.language
    if examination.effects:
        answer["effects"] = [{**_effect(effect), "target": effect.target} for effect in examination.effects]
    if examination.weaknesses:
        answer["weaknesses"] = [asdict(weakness) for weakness in examination.weaknesses]
    if examination.words:
        answer["words"] = examination.words
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()


def show(examination: Examination, located: Sequence[Located] = ()) -> None:
    """In words, for a terminal. No colours but on one."""
    click.secho(examination.action.value, bold=True, fg=_COLOURS.get(examination.action, "red"))
    if examination.language and examination.action is not Action.ALLOW:
        click.echo(f"  read as {examination.language}")
    for line in dict.fromkeys(_effect_lines(examination)):
        click.echo(f"  {line}")
    for weakness in examination.weaknesses:
        click.echo(
            f"  line {weakness.line}  {weakness.rule} (CWE-{weakness.cwe}, {weakness.severity})  {weakness.words}  {weakness.fix}"
        )
    if located:
        for item in located:
            click.echo(f"  {item.pointer} {_finding_line(item.finding)}")
        return
    told_already = {reason.effect.rule for reason in examination.reasons} | {weakness.rule for weakness in examination.weaknesses}
    for finding in examination.findings:
        if finding.rule not in told_already:
            click.echo(f"  {_finding_line(finding)}")


def _effect_lines(examination: Examination) -> Iterator[str]:
    """What policy says something of, the gravest first; then what else is done."""
    said = {reason.effect for reason in examination.reasons}
    for reason in examination.reasons:
        yield f"{reason.action}: {_effect_words(reason.effect)}  ({reason.rule})"
    for effect in examination.effects:
        if effect not in said:
            yield f"-: {_effect_words(effect)}"


def _effect_words(effect: Effect) -> str:
    where = "" if effect.place is Place.NOTHING else f" {effect.place.replace('_', ' ')}"
    target = "" if not effect.target else f" {_printable(effect.target)}"
    return f"{effect.kind.replace('_', ' ')}{where}{target}: {effect.because or 'no more is known'}"


def _printable(target: str) -> str:
    """Nothing that a terminal would obey."""
    shown = "".join(char if char.isprintable() else "?" for char in target)
    return shown if len(shown) <= _TARGET_CHARS else f"{shown[:_TARGET_CHARS]}…"


def _finding_line(finding: Finding) -> str:
    done = finding.action.value if finding.mode is Mode.ENFORCE else f"{finding.action.value}, in shadow: not done"
    return f"{finding.start}-{finding.end}  {finding.rule}  {finding.confidence:.2f}  {done}"


def _brief(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "start": finding.start,
        "end": finding.end,
        "confidence": finding.confidence,
        "action": finding.action,
        "mode": finding.mode,
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {"kind": effect.kind, "place": effect.place, "because": effect.because}
