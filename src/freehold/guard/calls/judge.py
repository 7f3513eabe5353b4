"""What policy says of a tool call: the strictest of what it says of each of its effects.

Of one effect, in this order:

1. The first enforced rule of `[[calls.rules]]` that holds decides. A rule in shadow decides nothing: what it would have done is
   recorded, and the next is asked.
2. Else the preset. What touches one's own hosts is no more than tagged; a folder of one's own counts as the working folder.
3. Where somebody else's words are in the conversation, data-flow raises what the preset said: what sends, publishes, runs or
   writes outside, to where the user named nothing, is asked about. Where those words look like instructions, so is what
   downloads and deletes. Under `observe` it tags.

What a call's text does that is written and not run is noted: tagged at most. Effects are found in `deeds.py`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from freehold.core.effects import CallJudgement, Effect, EffectKind, Place, Reason
from freehold.core.findings import Action, Context, Mode
from freehold.guard.calls import arguments, words
from freehold.guard.calls.presets import action_of
from freehold.guard.calls.settings import CallRule, CallSettings, ToolSettings
from freehold.guard.calls.surroundings import Surroundings
from freehold.guard.calls.written import Written
from freehold.guard.effects.places import HOLE, host_of, normal
from freehold.guard.patterns import is_one, matches, patterns
from freehold.guard.ruling import strictest

DATA_FLOW, NOT_RUN = "data-flow", "written and not run"  # what decides where no rule and no preset does
ANYBODY = Context()
_KEPT_CONTEXTS = 256

_OUT = frozenset(
    (EffectKind.SEND, EffectKind.PUBLISH, EffectKind.SPEND, EffectKind.EXECUTE, EffectKind.ACCOUNT, EffectKind.PERSIST)
)
_CHANGES = frozenset((EffectKind.WRITE, EffectKind.OVERWRITE, EffectKind.DELETE, EffectKind.PERMISSION))
_IN = frozenset((EffectKind.DOWNLOAD, EffectKind.DELETE, EffectKind.INSTALL))
_NEAR = frozenset((Place.NOTHING, Place.TEMP, Place.WORKSPACE, Place.DATABASE))
_OWN_KINDS = frozenset(
    (
        EffectKind.SEND,
        EffectKind.DOWNLOAD,
        EffectKind.READ,
        EffectKind.DISCOVER,
        EffectKind.WRITE,
        EffectKind.PUBLISH,
        EffectKind.LISTEN,
    )
)
_OWN_PLACES = frozenset((Place.HOST, Place.NOTHING))
_FOREIGN_FOLDERS = frozenset((Place.HOME, Place.ELSEWHERE, Place.OTHER_USER, Place.TEMP))
_ON_MACHINES = frozenset((Place.HOST, Place.NOTHING, Place.CREDENTIAL))
_ORDER = {action: number for number, action in enumerate(Action)}


class Conversation(Protocol):
    """What is known of who wrote what in a request: `guard/injection/conversation.py`."""

    @property
    def is_tainted(self) -> bool:
        """Whether somebody else's words are in it."""

    @property
    def is_suspect(self) -> bool:
        """Whether some of them look like instructions to the model."""

    def asked_for(self, target: str) -> bool:
        """Whether the user or the system prompt named this host, address, path or program."""

    def came_from_untrusted(self, target: str) -> bool:
        """Whether it stands in somebody else's words, and the user never named it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`shadows` are what rules in shadow would have done; `written` are the programs that the call writes."""

    judgement: CallJudgement
    shadows: tuple[Reason, ...] = ()
    written: tuple[Written, ...] = ()


class CallJudge:
    """One policy. Immutable but for what it remembers of whose rules are whose."""

    def __init__(self, settings: CallSettings) -> None:
        self.settings = settings
        self._rules = tuple(_Rule(rule) for rule in settings.rules)
        self._by_context: dict[Context, tuple[_Rule, ...]] = {}

    def judge(
        self,
        tool: str,
        arguments_json: str,
        context: Context = ANYBODY,
        conversation: Conversation | None = None,
        surroundings: Surroundings | None = None,
    ) -> CallJudgement:
        """What is done with the call. Never raises, whatever the arguments."""
        return self.look(tool, arguments_json, context, conversation, surroundings).judgement

    def judge_effects(
        self, effects: Iterable[Effect], context: Context = ANYBODY, tool: str = "", conversation: Conversation | None = None
    ) -> CallJudgement:
        """The same for effects that were found elsewhere."""
        return self.look_effects(effects, context, tool, conversation).judgement

    def look_effects(
        self, effects: Iterable[Effect], context: Context = ANYBODY, tool: str = "", conversation: Conversation | None = None
    ) -> Judged:
        return self._judged(effects, (), context, tool, conversation, "")

    def look(
        self,
        tool: str,
        arguments_json: str,
        context: Context = ANYBODY,
        conversation: Conversation | None = None,
        surroundings: Surroundings | None = None,
    ) -> Judged:
        from freehold.guard.calls.deeds import deeds_of  # noqa: PLC0415  # who has no tools does without its megabyte

        declared = self._declared(tool)
        surroundings = surroundings or Surroundings()
        deeds = deeds_of(
            tool,
            arguments.read(arguments_json),
            surroundings,
            kind=None if declared is None else declared.kind,
            argument=None if declared is None else declared.argument,
        )
        judged = self._judged(deeds.effects, deeds.noted, context, tool, conversation, surroundings.folder)
        return replace(judged, written=deeds.written)

    def _declared(self, tool: str) -> ToolSettings | None:
        return next((declared for declared in self.settings.tools if matches((declared.name,), tool)), None)

    def _judged(
        self,
        effects: Iterable[Effect],
        noted: Iterable[Effect],
        context: Context,
        tool: str,
        conversation: Conversation | None,
        folder: str,
    ) -> Judged:
        rules = [rule for rule in self._of(context) if is_one(rule.written.tool, tool)]
        folders = (*self.settings.workspace, folder) if folder else self.settings.workspace
        reasons: list[Reason] = []
        shadows: list[Reason] = []
        for effect in effects:
            reason = self._decide(_placed(effect, folders), rules, conversation, shadows)
            reasons += [reason] if reason.action is not Action.ALLOW else []
        for effect in noted:
            reason = self._decide(_placed(effect, folders), rules, None, [])
            reasons += [replace(reason, action=Action.TAG, rule=NOT_RUN)] if reason.action is not Action.ALLOW else []
        reasons.sort(key=lambda reason: -_ORDER[reason.action])
        judgement = CallJudgement(
            action=strictest([reason.action for reason in reasons]), reasons=tuple(reasons), words=words.explained(reasons)
        )
        return Judged(judgement=judgement, shadows=tuple(shadows))

    def _of(self, context: Context) -> tuple["_Rule", ...]:
        if not self._rules:
            return ()
        if (rules := self._by_context.get(context)) is None:
            if len(self._by_context) >= _KEPT_CONTEXTS:
                self._by_context.clear()
            rules = self._by_context[context] = tuple(rule for rule in self._rules if rule.holds_for(context))
        return rules

    def _decide(
        self, effect: Effect, rules: Sequence["_Rule"], conversation: Conversation | None, shadows: list[Reason]
    ) -> Reason:
        for rule in rules:
            if not rule.holds_of(effect):
                continue
            reason = Reason(action=rule.action, effect=effect, rule=rule.written.id)
            if rule.mode is Mode.ENFORCE:
                return reason
            shadows.append(reason)
        preset = self.settings.preset
        action = action_of(preset, effect.kind, effect.place)
        is_own = effect.kind in _OWN_KINDS and effect.place in _OWN_PLACES and self._is_own(effect.target)
        if is_own:
            action = min(action, Action.TAG, key=_ORDER.__getitem__)
        elif conversation is not None and _ORDER[action] < _ORDER[Action.ASK] and self.settings.data_flow:
            raised = Action.TAG if preset == "observe" else Action.ASK
            if raised is not action and _strays(effect, conversation):
                return Reason(action=raised, effect=effect, rule=DATA_FLOW)
        return Reason(action=action, effect=effect, rule=f"preset {preset}")

    def _is_own(self, target: str) -> bool:
        return _is_plain(target) and matches(self.settings.hosts, _machine(target))


class _Rule:
    """One rule of the file, its conditions taken apart."""

    def __init__(self, written: CallRule) -> None:
        self.written = written
        self.action, self.mode = Action(written.action), Mode(written.mode)
        self._effects, self._places = patterns(written.effects), patterns(written.places)
        self._paths, self._hosts = patterns(written.paths), patterns(written.hosts)
        self._is_mild = self.action in (Action.ALLOW, Action.TAG)

    def holds_for(self, context: Context) -> bool:
        written = self.written
        return (
            is_one(written.dialect, context.dialect)
            and is_one(written.team, context.team)
            and is_one(written.key, context.key_id, context.key_name)
            and is_one(written.model, context.model)
            and is_one(written.label, *context.labels)
        )

    def holds_of(self, effect: Effect) -> bool:
        return (
            (self._effects is None or matches(self._effects, effect.kind) or matches(self._effects, effect.rule))
            and (self._places is None or matches(self._places, effect.place))
            and (self._paths is None or self._is_path(effect))
            and (self._hosts is None or self._is_host(effect))
        )

    def _is_path(self, effect: Effect) -> bool:
        """A path of which a part is not known is none that is let go; what is stopped is stopped by what is known."""
        if not effect.target or effect.place is Place.HOST or (self._is_mild and HOLE in effect.target):
            return False
        path = normal(effect.target.replace("\\", "/"))
        if self._is_mild and ".." in path.split("/"):
            return False
        return self._paths is not None and matches(self._paths, path)

    def _is_host(self, effect: Effect) -> bool:
        if not effect.target or effect.place not in _ON_MACHINES or (self._is_mild and not _is_plain(effect.target)):
            return False
        target = effect.target.lower()
        return self._hosts is not None and (
            matches(self._hosts, _machine(target)) or ("/" not in target and matches(self._hosts, target))
        )


def _is_plain(target: str) -> bool:
    """Whether all who read it as an address read the same: a backslash is a slash to some, a blank an end."""
    return target.isprintable() and not any(char in target for char in "\\ ") and target != ""


def _machine(target: str) -> str:
    """The host of an address; of an e-mail address what stands behind the @."""
    return host_of(target) or re.split(r"[/?#]", target.lower(), maxsplit=1)[0].rsplit("@", 1)[-1]


def _placed(effect: Effect, folders: Sequence[str]) -> Effect:
    """The effect, in the workspace where one of these folders, which count as that, has its target."""
    if effect.place in _FOREIGN_FOLDERS and effect.target and folders:
        path = normal(effect.target.replace("\\", "/"))
        if HOLE not in path and ".." not in path.split("/") and any(_is_below(path, folder) for folder in folders):
            return replace(effect, place=Place.WORKSPACE)
    return effect


def _strays(effect: Effect, conversation: Conversation) -> bool:
    """Whether the effect goes where the user asked for nothing, and somebody else may have."""
    if not conversation.is_tainted:
        return False
    goes_out = effect.kind in _OUT or (effect.kind in _CHANGES and effect.place not in _NEAR)
    if not goes_out and conversation.is_suspect:
        goes_out = effect.kind in _IN and effect.place is not Place.TEMP
        if not goes_out and effect.kind is EffectKind.READ and effect.place is Place.HOST:
            return conversation.came_from_untrusted(effect.target)
    return goes_out and not (effect.target and conversation.asked_for(effect.target))


def _is_below(path: str, folder: str) -> bool:
    folder = normal(folder.replace("\\", "/")).rstrip("/")
    if folder[1:2] == ":":
        path, folder = path.lower(), folder.lower()
    return path == folder or path.startswith(folder + "/")
