"""What the hook says of a tool call: by what it would do. Loads no more than that takes, as an agent waits for every call.

Secrets are not looked for: a call's arguments stay on this machine unless one of its effects sends them.
"""

from typing import NamedTuple

import msgspec

from freehold.cli.hook import Options
from freehold.cli.hook_agents import Asked, Decision
from freehold.cli.hook_policy import policy_of
from freehold.core.effects import CallJudgement
from freehold.core.errors import ConfigError
from freehold.core.findings import Action
from freehold.guard.call_documents import WrittenCall, calls_of, json_of
from freehold.guard.calls.judge import CallJudge
from freehold.guard.calls.presets import NAMES
from freehold.guard.calls.settings import CallSettings
from freehold.guard.calls.surroundings import Surroundings, is_free
from freehold.guard.calls.words import explained
from freehold.guard.policy_file import PolicyFile
from freehold.guard.ruling import strictest

_DECISIONS = {Action.ASK: Decision.ASK, Action.BLOCK: Decision.DENY}
_HEADS = {
    Decision.ASK: "The guard of Freehold wants a person's yes for this call:",
    Decision.DENY: "The guard of Freehold stops this call, and nothing of it has happened:",
}


class JudgedCall(NamedTuple):
    tool: str
    arguments: str  # JSON text
    judgement: CallJudgement


def judge_call(asked: Asked, options: Options) -> tuple[Decision, str]:
    reasons = [
        reason for call in judged_calls(asked, options) for reason in call.judgement.reasons if reason.action in _DECISIONS
    ]
    if not reasons:
        return Decision.ALLOW, ""
    decision = _DECISIONS[strictest([reason.action for reason in reasons])]
    return decision, f"{_HEADS[decision]}\n{explained(reasons)}"


def judged_calls(asked: Asked, options: Options) -> list[JudgedCall]:
    judge = CallJudge(_calls(policy_of(options), options.preset))
    surroundings = Surroundings(asked.folder if asked.folder and is_free(asked.folder) else "")
    return [
        JudgedCall(tool, arguments, judge.judge(tool, arguments, surroundings=surroundings))
        for tool, arguments in _written(asked)
    ]


def _written(asked: Asked) -> list[WrittenCall]:
    return [WrittenCall(asked.tool, json_of(asked.call))] if asked.tool else calls_of(asked.call)


def _calls(policy: PolicyFile, preset: str | None) -> CallSettings:
    if preset is None:
        return policy.calls
    if preset not in NAMES:
        raise ConfigError(f"there is no preset {preset!r}; there are {', '.join(NAMES)}")
    return msgspec.structs.replace(policy.calls, preset=preset)
