"""What the hook says of a user's prompt: what policy would mask in it can only be stopped, as a hook can't change it."""

import msgspec

from freehold import config as configuration
from freehold.cli.hook import Options
from freehold.cli.hook_agents import Asked, Decision
from freehold.cli.hook_policy import policy_source
from freehold.core.findings import Action
from freehold.guard import StreamGuard

_STOPPED = (Action.TOKENISE, Action.MASK, Action.BLOCK)


def judge_prompt(asked: Asked, options: Options) -> tuple[Decision, str]:
    settings = msgspec.structs.replace(configuration.load(options.config).guard, engine="re2")  # nothing is compiled for one text
    findings = StreamGuard(settings, policy=policy_source(options)).check(asked.text).findings
    rules = sorted({finding.rule for finding in findings if finding.enforced in _STOPPED})
    if not rules:
        return Decision.ALLOW, ""
    return (
        Decision.DENY,
        f"The guard of Freehold does not let this prompt go: it has {', '.join(rules)} in it. Take it out and send it again.",
    )
