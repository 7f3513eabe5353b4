"""Tool calls that wait for a person. Implements `core.ports.Approvals` and `HeldQuestions`.

Decided here: a question lives in memory, as long as the request it belongs to, because what a call says is never written down.
That it was asked, and what became of it, is in the audit log before the call goes on. Nobody's answer in time is no. The one who
answers is an admin, and never the key whose call it is. What the question is about is policy's business.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence

from freehold.core.approvals import Question
from freehold.core.effects import CallJudgement
from freehold.core.errors import ClientError, NotAllowed, NotFound
from freehold.core.events import Held
from freehold.core.exchange import ExchangeId, Principal
from freehold.core.findings import Alert
from freehold.core.limits import time_text
from freehold.core.ports import Alarm, AuditLog, UnixClock

WAITING_LIMIT = 1000  # each holds a request open; nobody reads more questions than that
NOTE_LIMIT_CHARS = 200
_NAMED_EFFECTS = 5  # in an alert: it has to be short

Count = Callable[[str], None]  # outcome: approved, denied, timed_out, withdrawn, refused


class AlreadyDecided(ClientError):
    status = 409
    code = "already_decided"


class HeldCalls:
    """The questions that are open. Used from the event loop's thread alone."""

    def __init__(self, audit: AuditLog, alarm: Alarm, *, unix_ns: UnixClock, count: Count = lambda outcome: None) -> None:
        self._audit, self._alarm = audit, alarm
        self._unix_ns, self._count = unix_ns, count
        self._open: dict[str, tuple[Question, asyncio.Future[tuple[bool, str, str]]]] = {}  # -> (approved, by, note)

    def waiting(self) -> Sequence[Question]:
        """Oldest first."""
        return [question for question, _ in self._open.values()]

    def find(self, question_id: str) -> Question:
        """Raises NotFound."""
        return self._found(question_id)[0]

    def decide(self, question_id: str, *, approved: bool, by: Principal, note: str = "") -> Question:
        """Raises NotFound, AlreadyDecided for whoever comes second, and NotAllowed for the key whose call it is."""
        question, answer = self._found(question_id)
        if by.key_id == question.principal.key_id:
            raise NotAllowed("this key made the call itself; another admin key has to decide on it")
        if answer.done():
            raise AlreadyDecided("this call was decided a moment ago; the log says how")
        answer.set_result((approved, by.key_id, note[:NOTE_LIMIT_CHARS]))
        return question

    async def ask(self, held: Held, principal: Principal, exchange_id: ExchangeId) -> bool:
        """See `core.ports.Approvals`."""
        question = self.question(held.tool, held.arguments, held.judgement, principal, held.timeout_s, exchange_id)
        return await self.put(question)

    def question(
        self,
        tool: str,
        arguments: str,
        judgement: CallJudgement,
        principal: Principal,
        timeout_s: float,
        exchange_id: ExchangeId | None = None,
    ) -> Question:
        """Not put yet. Its time runs from now."""
        now_ns = self._unix_ns()
        return Question(
            id=_fresh_id(),
            exchange_id=exchange_id,
            principal=principal,
            tool=tool,
            arguments=arguments,
            judgement=judgement,
            asked_at_ns=now_ns,
            expires_at_ns=now_ns + int(timeout_s * 1e9),
        )

    async def put(self, question: Question, opened: Callable[[], None] = lambda: None) -> bool:
        """Whether a person says yes in time. Cancelling withdraws it. `opened` is told when it waits: it may never do.

        Question and answer are in the log before this returns: raises RecordNotWritten.
        """
        if len(self._open) >= WAITING_LIMIT:
            await self._note(question, "refused", by="", note="")
            return False
        answer: asyncio.Future[tuple[bool, str, str]] = asyncio.get_running_loop().create_future()
        await self._audit.append("approval_asked", _facts(question), question.exchange_id)
        self._open[question.id] = question, answer
        self._alarm.raise_alert(_alert(question))
        opened()
        try:
            async with asyncio.timeout((question.expires_at_ns - question.asked_at_ns) / 1e9):
                approved, by, note = await answer
        except TimeoutError:
            await self._note(question, "timed_out", by="", note="")
            return False
        except asyncio.CancelledError:
            await asyncio.shield(self._note(question, "withdrawn", by="", note=""))
            raise
        finally:
            del self._open[question.id]
        await self._note(question, "approved" if approved else "denied", by=by, note=note)
        return approved

    def _found(self, question_id: str) -> tuple[Question, "asyncio.Future[tuple[bool, str, str]]"]:
        found = self._open.get(question_id)
        if found is None:
            raise NotFound("no call waits under this id: it was decided, its time is over, or its client left")
        return found

    async def _note(self, question: Question, outcome: str, *, by: str, note: str) -> None:
        self._count(outcome)
        facts = {"id": question.id, "outcome": outcome, "by": by, "note": note}
        await self._audit.append("approval_decided", facts, question.exchange_id)


def _fresh_id() -> str:
    return f"ap_{secrets.token_hex(8)}"


def _facts(question: Question) -> dict[str, object]:
    """For the log: what the call would do, and nothing of what it says."""
    return {
        "id": question.id,
        "key": question.principal.key_id,
        "effects": list(question.effects),
        "expires_at": time_text(question.expires_at_ns),
    }


def _alert(question: Question) -> Alert:
    rules = question.effects
    named = ", ".join(rules[:_NAMED_EFFECTS]) + (
        f" and {len(rules) - _NAMED_EFFECTS} more" if len(rules) > _NAMED_EFFECTS else ""
    )
    who = question.principal.key_id
    until = time_text(question.expires_at_ns)
    message = f"a tool call of {who} waits until {until} ({named or 'its effects'}): freehold approvals show {question.id}"
    return Alert(kind="approval_asked", severity="warning", message=message)
