"""The hook has a person asked through a node, where its agent's settings say so: `freehold guard hook --ask SECONDS`.

A person's yes lets the call go on, a person's no stops it, as does the end of the time. Where the node can't be asked the
question stays one, for the agent to put to its own user. Calls that one event holds are asked about one by one.
"""

import asyncio
import time

from freehold.cli.asking import AskingNode, asking_node
from freehold.cli.hook import Options
from freehold.cli.hook_agents import Asked, Decision
from freehold.cli.hook_calls import JudgedCall, judged_calls
from freehold.core.errors import ConfigError, UpstreamUnavailable
from freehold.core.findings import Action

_NO = "A person was asked through the node and did not say yes: nothing of this call has happened."
_NOBODY = "Nobody could be asked through a node: "
_SET = "FREEHOLD_URL and FREEHOLD_API_KEY say which node, and the key to show it."


def ask_person(asked: Asked, options: Options, reason: str) -> tuple[Decision, str]:
    """What became of a question that `judge_call` gave `reason` for."""
    calls = judged_calls(asked, options)
    waiting = [call for call in calls if call.judgement.action is Action.ASK]
    if any(call.judgement.action is Action.BLOCK for call in calls):  # policy changed since: no person is asked about that
        return Decision.DENY, reason
    try:
        node = asking_node(options.url, options.key)
        if node is None:
            raise ConfigError(_SET)
        is_yes = asyncio.run(_all_yes(node, waiting, options.ask_s))
    except (ConfigError, UpstreamUnavailable) as problem:
        return Decision.ASK, f"{reason}\n{_NOBODY}{problem.message}"
    return (Decision.YES, "A person said yes to this call through the node.") if is_yes else (Decision.DENY, f"{_NO}\n{reason}")


async def _all_yes(node: AskingNode, calls: list[JudgedCall], ask_s: float) -> bool:
    ends_s = time.monotonic() + ask_s
    for call in calls:
        left_s = ends_s - time.monotonic()
        if left_s <= 0 or not await node.put(call.tool, call.arguments, call.judgement, left_s):
            return False
    return bool(calls)  # nothing asked is no yes
