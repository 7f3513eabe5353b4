"""Calls that wait for a person, in a list."""

import time
from collections.abc import Sequence

from freehold.core.approvals import Question
from freehold.core.effects import CallJudgement, Effect, EffectKind, Place, Reason
from freehold.core.errors import NotAllowed, NotFound
from freehold.core.exchange import ExchangeId, KeyId, Principal
from freehold.core.findings import Action

CALLER = Principal(key_id=KeyId("key_1"), name="notebook", team="research")


class ListedQuestions:
    """Implements `HeldQuestions`."""

    def __init__(self) -> None:
        self.open: list[Question] = []
        self.decided: list[tuple[str, bool, KeyId, str]] = []

    def waiting(self) -> Sequence[Question]:
        return list(self.open)

    def decide(self, question_id: str, *, approved: bool, by: Principal, note: str = "") -> Question:
        found = next((one for one in self.open if one.id == question_id), None)
        if found is None:
            raise NotFound("no call waits under this id")
        if by.key_id == found.principal.key_id:
            raise NotAllowed("this key made the call itself")
        self.open.remove(found)
        self.decided.append((question_id, approved, by.key_id, note))
        return found


def question(
    number: int = 1,
    *,
    tool: str = "Bash",
    arguments: str = '{"command":"crontab jobs.txt"}',
    principal: Principal = CALLER,
    exchange_id: ExchangeId | None = None,
    left_s: int = 290,
) -> Question:
    effect = Effect(kind=EffectKind.PERSIST, place=Place.HOME, target="jobs.txt", because="sets up what runs by itself")
    reason = Reason(action=Action.ASK, effect=effect, rule="preset developer")
    now_ns = time.time_ns()
    return Question(
        id=f"ap_{number:016x}",
        exchange_id=exchange_id,
        principal=principal,
        tool=tool,
        arguments=arguments,
        judgement=CallJudgement(action=Action.ASK, reasons=(reason,), words="needs a person's yes: it runs by itself later"),
        asked_at_ns=now_ns,
        expires_at_ns=now_ns + left_s * 1_000_000_000 + 900_000_000,
    )
