"""What is odd about a policy that could be put in force: rules that never hold, and rules that never get to decide."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from freehold.core.findings import Channel, Direction, Mode
from freehold.guard.calls.oddities import oddities_of
from freehold.guard.patterns import covers, matches, patterns
from freehold.guard.policy import TOOL_CHANNELS, Policy, Rule
from freehold.guard.policy_file import PolicyRule

_CONDITIONS = ("direction", "dialect", "channel", "tool", "team", "key", "model", "label")
_ONLY_IN = {
    Direction.REQUEST: (Channel.SYSTEM, Channel.USER, Channel.ASSISTANT, Channel.TOOL_DESCRIPTION, Channel.INPUT),
    Direction.RESPONSE: (Channel.TEXT, Channel.SUMMARY),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """Of the rule `rule`, the `number`th of its table from 0."""

    number: int
    rule: str
    reason: str
    table: str = "rules"


def oddities(policy: Policy, dialects: frozenset[str] = frozenset()) -> list[Oddity]:
    """`dialects` are those the node speaks; none given are not looked at."""
    found = [
        Oddity(number=number, rule=rule.written.id, reason=reason)
        for number, rule in enumerate(policy.rules)
        for reason in (*_never(rule, dialects), *_hidden(rule, policy.rules[:number]))
    ]
    found += [
        Oddity(number=number, rule=name, reason=reason, table=f"calls.{table}")
        for table, number, name, reason in oddities_of(policy.file.calls, dialects)
    ]
    return found


def _never(rule: Rule, dialects: frozenset[str]) -> Iterator[str]:
    written = rule.written
    if not rule.subjects:
        yield f"never holds: nothing it names is found with a confidence of {written.min_confidence} or more"
    for direction, channels in _ONLY_IN.items():
        other = next(d for d in Direction if d is not direction)
        if _allows(written.direction, direction) or not _allows(written.direction, other) or rule.channel is None:
            continue
        if all(channel in channels for channel in Channel if matches(rule.channel, channel)):
            yield f"never holds: a {other} has no text on channel {' or '.join(rule.channel)}"
    if rule.tool is not None and rule.channel is not None and not any(matches(rule.channel, c) for c in TOOL_CHANNELS):
        yield f"never holds: no tool has a part in channel {' or '.join(rule.channel)}"
    for pattern in patterns(written.dialect) or ():
        if dialects and not any(fnmatchcase(dialect, pattern) for dialect in dialects):
            yield f"no client speaks dialect {pattern!r}; this node speaks {', '.join(sorted(dialects))}"


def _hidden(rule: Rule, before: tuple[Rule, ...]) -> Iterator[str]:
    for other in before:
        if (
            other.mode is Mode.ENFORCE
            and rule.subjects
            and rule.subjects <= other.subjects
            and _covers(other.written, rule.written)
        ):
            yield f"never decides: rule {other.written.id!r} before it holds wherever it would"
            return


def _covers(wide: PolicyRule, narrow: PolicyRule) -> bool:
    """Whether `wide` holds wherever `narrow` does, as far as their patterns tell."""
    return all(covers(getattr(wide, name), getattr(narrow, name)) for name in _CONDITIONS)


def _allows(condition: str | tuple[str, ...] | None, value: str) -> bool:
    wanted = patterns(condition)
    return wanted is None or matches(wanted, value)
