"""`freehold policy`: is a policy file right, what does it say, and what would it change? Nothing is put in force.

Exit codes: 0 all right, or nothing would change; 1 something odd, or something would change; 2 what was given cannot be used.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
import orjson

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.files import opened
from freehold.core.effects import Place as EffectPlace
from freehold.core.events import PromptText
from freehold.core.findings import Channel, Context, Direction
from freehold.gateway.wire import CODECS, guessed_dialect
from freehold.guard import StreamGuard
from freehold.guard.calls.presets import PRESETS
from freehold.guard.config import GuardConfig
from freehold.guard.patterns import patterns
from freehold.guard.policy import CONDITIONS, Policy
from freehold.guard.policy_check import Oddity, oddities
from freehold.guard.policy_file import PolicyRule, PolicySource
from freehold.guard.simulate import Simulation, unjudged
from freehold.guard_cache import open_guard
from freehold.place import Place, find_place
from freehold.policy_read import read_policy
from freehold.store.reader import RecordReader

_CHANNELS = {channel.value: channel for channel in Channel}
_PAGE = 500  # ledger entries read at once
_CONFIG = click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration that goes with it.")
_JSON = click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")


@click.group()
def policy() -> None:
    """Check, show and try out policies."""


@policy.command()
@click.argument("file", type=click.Path(path_type=Path))
@_CONFIG
@_JSON
def check(file: Path, config_path: Path | None, as_json: bool) -> None:
    """Say whether FILE can be put in force, and which of its rules never hold or never decide.

    The examples of its detectors are run. Exit code 0: all right; 1: something odd; 2: FILE cannot be used.
    """
    source = read_policy(file)
    asked = StreamGuard(_quick(configuration.load(config_path).guard), policy=source)
    odd = oddities(asked.policy, frozenset((*CODECS, "mcp")))
    if as_json:
        rows = [{"rule": o.rule, "line": source.line(o.table, o.number), "reason": o.reason} for o in odd]
        _print({"policy_digest": asked.policy_digest, "oddities": rows})
    else:
        click.echo("\n".join(_told(source, o) for o in odd) or f"{file}: {_contents(asked.policy)}; all right")
    sys.exit(1 if odd else 0)


@policy.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_CONFIG
@_JSON
def show(file: Path | None, config_path: Path | None, as_json: bool) -> None:
    """Say what is done with what is found: under FILE, or under the policy of the configuration."""
    place = find_place(config_path)
    asked = StreamGuard(_quick(place.config.guard), policy=_source(place, file))
    rules = [_rule(rule) for rule in asked.policy.file.rules]
    otherwise = _otherwise(asked.policy)
    if as_json:
        tables = ("tokens", "calls", "code", "injection")
        settings = {name: msgspec.to_builtins(getattr(asked.policy.file, name)) for name in tables}
        said = {"policy_digest": asked.policy_digest, "rules": rules, "otherwise": otherwise, "preset": _preset(asked.policy)}
        _print(said | settings)
        return
    click.echo(f"policy {asked.policy_digest}")
    for rule in rules:
        where = "".join(f"  {name}={','.join(rule[name])}" for name in CONDITIONS if name in rule)
        in_shadow = " in shadow" if rule["mode"] == "shadow" else ""
        click.echo(f"  {rule['id']}: {rule['action']}{in_shadow}{where}")
    for category, done in otherwise.items():
        click.echo(f"  otherwise {category}: " + ", ".join(f"{said} ({count})" for said, count in done.items()))
    click.echo("\n".join(_calls(asked.policy)))
    code, injection = asked.policy.file.code, asked.policy.file.injection
    click.echo(f"code: {code.action if code.enabled else 'not looked at'}" + "".join(f"\n  {_as_line(r)}" for r in code.rules))
    click.echo(f"injection: {injection.action}, spotlight {injection.spotlight}, mode {injection.mode}")


@policy.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("traffic", required=False)
@click.option("--record", "from_record", is_flag=True, help="Ask what this node's record says was found.")
@click.option("--last", type=click.IntRange(1), default=100_000, help="How many of the last exchanges of the record.")
@click.option("--direction", type=click.Choice([d.value for d in Direction]), default="request", help="What TRAFFIC's texts are.")
@_CONFIG
@_JSON
def simulate(
    file: Path, traffic: str | None, from_record: bool, last: int, direction: str, config_path: Path | None, as_json: bool
) -> None:
    """Say what FILE would do otherwise than the policy of the configuration.

    TRAFFIC has one JSON object a line ("-" is standard input): {id, text, kind?, tool?}, or {id, request, dialect?} with the body
    of a request as it would be posted; each may have a {context} of team, key_id, key_name, model, dialect, labels. --record
    takes the findings this node has kept instead, of which it has no texts: what was not looked for then is not in it.

    Exit code 0: nothing would change; 1: something would; 2: something cannot be used.
    """
    if from_record == (traffic is not None):
        raise Unusable("give either a file of TRAFFIC, or --record for what this node has found")
    place = find_place(config_path)
    in_force, candidate = _source(place, None), read_policy(file)
    if from_record:
        asked = StreamGuard(_quick(place.config.guard), policy=candidate)
        result = _replayed(place, asked.policy, last)
        not_judged = unjudged(asked.policy)
    else:
        with opened(traffic or "-") as lines:
            result = _tried(open_guard(place.config.guard, in_force), candidate, lines, Direction(direction))
        not_judged = []
    _show_changes(result, not_judged, as_json)
    sys.exit(1 if result.changes else 0)


def _quick(settings: GuardConfig) -> GuardConfig:
    """Same findings, without compiling a database for one question."""
    return msgspec.structs.replace(settings, engine="re2") if settings.engine == "auto" else settings


def _source(place: Place, file: Path | None) -> PolicySource | None:
    path = file or place.policy
    return None if path is None else read_policy(path)


def _told(source: PolicySource, odd: Oddity) -> str:
    what = "tool" if odd.table == "calls.tools" else "rule"
    return f"{source.name}:{source.line(odd.table, odd.number)}: {what} {odd.rule!r} {odd.reason}"


def _contents(asked: Policy) -> str:
    file = asked.file
    counts = (
        (len(file.rules), "rules"),
        (len(file.detectors), "detectors"),
        (len(file.dictionaries), "dictionaries"),
        (len(file.calls.rules), "rules of calls"),
    )
    return ", ".join(f"{count} {name}" for count, name in counts) + f", preset {file.calls.preset}"


def _rule(rule: PolicyRule) -> dict[str, Any]:
    said: dict[str, Any] = {"id": rule.id, "action": rule.action, "mode": rule.mode}
    said |= {name: list(wanted) for name in CONDITIONS if (wanted := patterns(getattr(rule, name))) is not None}
    return said | ({"note": rule.note} if rule.note else {})


def _calls(asked: Policy) -> Iterator[str]:
    """What is done with tool calls: the rules, then what the preset says of each kind of effect, mildest first."""
    settings = asked.file.calls
    yield f"calls: preset {settings.preset}; a person who is asked has {settings.ask_timeout_s:g} s"
    for tool in settings.tools:
        kind = f" is {tool.kind}" if tool.kind is not None else ""
        yield f"  tool {tool.name}{kind}, results {tool.results}"
    if settings.stream:
        yield f"  go on as they come: {', '.join(settings.stream)}"
    for rule in settings.rules:
        yield f"  {_as_line(rule)}"
    for kind, actions in _preset(asked).items():
        yield f"  otherwise {kind}: " + "; ".join(f"{action} {', '.join(places)}" for action, places in actions.items())


def _preset(asked: Policy) -> dict[str, dict[str, list[str]]]:
    """By kind of effect and action, the places; where all places are the same, "anything"."""
    said: dict[str, dict[str, list[str]]] = {}
    for (kind, place), action in PRESETS[asked.file.calls.preset].items():
        said.setdefault(kind, {}).setdefault(action, []).append(place)
    return {
        str(kind): {str(a): places if len(places) < len(EffectPlace) else ["anything"] for a, places in actions.items()}
        for kind, actions in said.items()
    }


def _as_line(rule: msgspec.Struct) -> str:
    """A rule of calls or of code, with the conditions that it has."""
    said = {name: value for name, value in msgspec.structs.asdict(rule).items() if value not in (None, "", 0.0)}
    known = ("id", "action", "mode", "note")
    conditions = "".join(
        f"  {name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in said.items()
        if name not in known
    )
    return f"{said['id']}: {said['action']}{' in shadow' if said['mode'] == 'shadow' else ''}{conditions}"


def _otherwise(asked: Policy) -> dict[str, dict[str, int]]:
    """By category and direction: what is done where no rule of the file decides, and with how many detectors."""
    counted: dict[str, dict[str, int]] = {}
    for subject in asked.subjects:
        for direction in Direction:
            decision = asked.decisions[subject.id, direction]
            done = counted.setdefault(f"{subject.category} in {direction}s", {})
            said = f"{decision.action}{'' if decision.mode == 'enforce' else ' in shadow'}"
            done[said] = done.get(said, 0) + 1
    return dict(sorted(counted.items()))


def _replayed(place: Place, candidate: Policy, last: int) -> Simulation:
    result = Simulation()
    if not place.record.exists():
        raise Unusable(f"there is no record at {place.record} yet; serve some requests first, or give TRAFFIC")
    with closing(RecordReader(place.record, place.config.store)) as reader:
        newest = reader.recent(1)
        seq = max(0, newest[0][0] - last) if newest else 0
        while page := reader.after(seq, _PAGE):
            for _, entry in page:
                result.replay(entry, candidate)
            seq = page[-1][0]
    return result


def _tried(asked: StreamGuard, source: PolicySource, lines: BinaryIO, direction: Direction) -> Simulation:
    candidate, result = asked.prepare(source), Simulation()
    for number, line in enumerate(lines, 1):
        if line.strip():
            name, context, texts = _given(line, number)
            result.compare(name, asked.found(texts, context, direction), asked.found(texts, context, direction, candidate))
    return result


def _given(line: bytes, number: int) -> tuple[str, Context, list[PromptText]]:
    """(id, whose it is, its texts) of a line of traffic."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise Unusable(f"line {number} is not JSON: {exc}") from exc
    if not isinstance(row, dict):
        raise Unusable(f"line {number} is not a JSON object")
    try:
        context = msgspec.convert(row.get("context", {}), Context)
    except msgspec.ValidationError as exc:
        raise Unusable(f"line {number}: context: {exc}") from exc
    name = str(row.get("id", number))
    if isinstance(row.get("text"), str):
        channel = _CHANNELS.get(str(row.get("kind")), Channel.USER)
        return name, context, [PromptText(leaf=0, channel=channel, text=row["text"], tool=str(row.get("tool", "")))]
    request = row.get("request")
    if not isinstance(request, dict):
        raise Unusable(f"line {number} has neither a text nor a request: give {{id, text}} or {{id, request}}")
    return name, context, list(_leaves(request, row.get("dialect") or context.dialect, number))


def _leaves(request: Mapping[str, Any], dialect: Any, number: int) -> Iterator[PromptText]:
    known = dialect or guessed_dialect(request)
    codec = CODECS.get(known) if isinstance(known, str) else None
    if codec is None:
        raise Unusable(f"line {number}: its dialect is not known; name it: {', '.join(sorted(CODECS))}")
    for at, leaf in enumerate(codec.leaves(request)):
        yield leaf.said(at)


def _show_changes(result: Simulation, not_judged: list[str], as_json: bool) -> None:
    if as_json:
        changes = [asdict(change) for change in result.changes]
        _print({"looked_at": result.sources, "same": result.same, "changes": changes, "not_judged": not_judged})
        return
    click.echo(f"{result.sources} looked at; {result.same} findings would be dealt with as they were")
    for change in result.changes:
        what = f"{change.findings} x {change.rule} in {change.direction}s"
        click.echo(f"  {what}: {change.was} -> {change.would}  {' '.join(change.examples)}")
    if not_judged:
        click.echo(f"not judged, as the record has no labels, tools, paths and hosts: rules {', '.join(not_judged)}")


def _print(answer: object) -> None:
    click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
