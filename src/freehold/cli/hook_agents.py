"""How coding agents ask their hooks, and how they want to be answered: one class an agent, one line each in the table.

Written for Claude Code 2.1.197, Codex 0.169.0 and Gemini CLI 0.61.0, whose own programs the tests run. A call that policy allows
is answered with no opinion, and not with "allow": the agent then asks its user whenever it would have without the hook. One
that a person said yes to is answered with "allow" where the agent knows it, so that nobody is asked twice. A call that is
stopped is told twice, as JSON and by exit code 2 with the reason on standard error, so that an agent which reads one alone
stops too. What is decided comes from `hook_calls.py` and its like.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

STOP = 2  # the exit code that stops a call in all three
_NOBODY_TO_ASK = " This needs a person's yes, which can't be had from here: ask the user to do it, or find another way."


class Decision(StrEnum):
    """`NOTE` lets it pass and tells the model what to make of it; `YES` lets it pass as a person said so."""

    ALLOW = "allow"
    YES = "yes"
    NOTE = "note"
    ASK = "ask"
    DENY = "deny"


class Moment(StrEnum):
    """When the agent asks."""

    CALL = "call"
    RESULT = "result"
    PROMPT = "prompt"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`call` is what the agent is about to do, `text` what a tool or the user said."""

    moment: Moment
    event: str = ""  # by the agent's own name for it
    tool: str = ""
    call: Any = field(repr=False, default=None)  # the arguments, as JSON values
    text: str = field(repr=False, default="")
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the hook's process leaves behind."""

    out: str = ""
    err: str = ""
    code: int = 0


class Agent(Protocol):
    settings_file: str  # of its user

    def read(self, document: Mapping[str, Any]) -> Asked: ...

    def answer(self, asked: Asked, decision: Decision, reason: str, *, approve: bool) -> Said:
        """`approve`: say yes to what policy allows, where the agent knows a yes. Raises nothing."""

    def settings(self, command: str, timeout_s: int) -> str:
        """What a user adds to `settings_file`. `command` is a line for a shell that the agent must wait `timeout_s` for."""


_MOMENTS = {
    "PreToolUse": Moment.CALL,
    "PermissionRequest": Moment.CALL,
    "PostToolUse": Moment.RESULT,
    "UserPromptSubmit": Moment.PROMPT,
    "BeforeTool": Moment.CALL,
    "AfterTool": Moment.RESULT,
    "BeforeAgent": Moment.PROMPT,
}


def _read(document: Mapping[str, Any]) -> Asked:
    event = str(document.get("hook_event_name", ""))
    # A call under a name that is not known here is a call.
    moment = _MOMENTS.get(event, Moment.CALL if "tool_input" in document else Moment.OTHER)
    said = document.get("prompt") if moment is Moment.PROMPT else document.get("tool_response")
    return Asked(
        moment=moment,
        event=event,
        tool=_word(document.get("tool_name")),
        call=document.get("tool_input"),
        text=texts_of(said),
        folder=_word(document.get("cwd")),
    )


def texts_of(value: Any) -> str:
    """Every string in a JSON value, a line each."""
    found: list[str] = []
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            found.append(node)
        elif isinstance(node, list):
            waiting += reversed(node)
        elif isinstance(node, Mapping):
            waiting += reversed(list(node.values()))
    return "\n".join(found)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document) + "\n"


def _stop(document: Mapping[str, Any], reason: str) -> Said:
    return Said(out=_json(document), err=f"{reason}\n", code=STOP)


class ClaudeCode:
    settings_file = "~/.claude/settings.json"
    can_ask = True

    def read(self, document: Mapping[str, Any]) -> Asked:
        return _read(document)

    def answer(self, asked: Asked, decision: Decision, reason: str, *, approve: bool) -> Said:
        decision, reason = _askable(asked, decision, reason, can_ask=self.can_ask and asked.event == "PreToolUse")
        if asked.event == "PreToolUse" and (
            decision in (Decision.ASK, Decision.DENY) or ((approve or decision is Decision.YES) and self.can_ask)
        ):
            said = decision if decision in (Decision.ASK, Decision.DENY) else Decision.ALLOW
            words = {"permissionDecision": said, "permissionDecisionReason": reason}
            document = {"hookSpecificOutput": {"hookEventName": asked.event, **words}}
            return _stop(document, reason) if decision is Decision.DENY else Said(out=_json(document))
        if decision is Decision.DENY:
            return _stop({"decision": "block", "reason": reason}, reason)
        return _passed(asked, decision, reason)

    def settings(self, command: str, timeout_s: int) -> str:
        events = {"PreToolUse": {"matcher": "*"}, "PostToolUse": {"matcher": "*"}, "UserPromptSubmit": {}}
        return _hooks(events, {"type": "command", "command": command, "timeout": timeout_s})


class Codex(ClaudeCode):
    """Takes Claude Code's words, but neither "ask" nor "allow": it would complain and run the call."""

    settings_file = "~/.codex/hooks.json"
    can_ask = False


class GeminiCLI:
    """Has an "ask", too, which waits for ever where no person sits before it, and does not say whether one does: not used."""

    settings_file = "~/.gemini/settings.json"

    def read(self, document: Mapping[str, Any]) -> Asked:
        return _read(document)

    def answer(self, asked: Asked, decision: Decision, reason: str, *, approve: bool) -> Said:
        decision, reason = _askable(asked, decision, reason, can_ask=False)
        if decision is Decision.DENY:
            return _stop({"decision": "deny", "reason": reason}, reason)
        return _passed(asked, decision, reason)

    def settings(self, command: str, timeout_s: int) -> str:
        events = {"BeforeTool": {"matcher": "*"}, "AfterTool": {"matcher": "*"}, "BeforeAgent": {}}
        return _hooks(events, {"type": "command", "name": "freehold", "command": command, "timeout": timeout_s * 1000})


def _askable(asked: Asked, decision: Decision, reason: str, *, can_ask: bool) -> tuple[Decision, str]:
    """A question that can't be put is a no."""
    if decision is not Decision.ASK or can_ask:
        return decision, reason
    return Decision.DENY, f"{reason}{_NOBODY_TO_ASK}" if asked.moment is Moment.CALL else reason


def _passed(asked: Asked, decision: Decision, reason: str) -> Said:
    if decision is Decision.NOTE and asked.moment is not Moment.CALL:
        return Said(out=_json({"hookSpecificOutput": {"hookEventName": asked.event, "additionalContext": reason}}))
    return Said(out="{}\n")


class Plain:
    """For an agent of one's own: {"tool", "arguments"}, or a call in any dialect; {"tool", "result"}; {"prompt"}.

    The answer is {"decision", "reason"}. Exit code 2 stands for both "ask" and "deny", as who knows of neither must not go on.
    """

    settings_file = ""

    def read(self, document: Mapping[str, Any]) -> Asked:
        tool, folder = _word(document.get("tool")), _word(document.get("cwd"))
        if "result" in document:
            return Asked(moment=Moment.RESULT, tool=tool, text=texts_of(document["result"]), folder=folder)
        if "prompt" in document:
            return Asked(moment=Moment.PROMPT, text=texts_of(document["prompt"]), folder=folder)
        return Asked(moment=Moment.CALL, call=document, folder=folder)

    def answer(self, asked: Asked, decision: Decision, reason: str, *, approve: bool) -> Said:
        words = {"decision": Decision.ALLOW if decision is Decision.YES else decision, "reason": reason}
        return _stop(words, reason) if decision in (Decision.ASK, Decision.DENY) else Said(out=_json(words))

    def settings(self, command: str, timeout_s: int) -> str:
        return f"{command}\n"


AGENTS: dict[str, Agent] = {"claude": ClaudeCode(), "codex": Codex(), "gemini": GeminiCLI(), "plain": Plain()}


def guessed(document: Mapping[str, Any]) -> str:
    """Which agent wrote `document`. Codex copies Claude Code's words and adds the turn and the model."""
    event = document.get("hook_event_name")
    if event is None:
        return "plain"
    if event in ("BeforeTool", "AfterTool", "BeforeAgent"):
        return "gemini"
    return "codex" if "turn_id" in document or "model" in document else "claude"


def _hooks(events: Mapping[str, Mapping[str, str]], hook: Mapping[str, Any]) -> str:
    return json.dumps({"hooks": {event: [{**matcher, "hooks": [hook]}] for event, matcher in events.items()}}, indent=2) + "\n"
