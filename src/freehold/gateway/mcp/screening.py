"""The guard's view of one client's traffic with one server.

Decided here: each message passes a guard session of its own, under the policy in force now. What a client was asked for is
nothing that this proxy sees, so calls are judged by what they do alone, until a server has sent text that looks like
instructions: from then on calls are judged by the session that saw it, which mistrusts them. A policy that is put in force
later starts afresh.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from freehold.core.errors import BlockedByPolicy, InternalError
from freehold.core.events import (
    Blocked,
    Event,
    FinishReason,
    Found,
    Held,
    MessageEnd,
    PartEnd,
    PartKind,
    Refused,
    ToolCallDelta,
    ToolCallStart,
)
from freehold.core.findings import Action, Context, Direction
from freehold.core.ports import Guard, GuardSession
from freehold.gateway.mcp.message import Message, Side, with_document
from freehold.gateway.mcp.texts import leaves
from freehold.gateway.relay import judged, through
from freehold.gateway.screen import blocked, released
from freehold.gateway.wire.leaves import faithful, rewrite

INJECTION = "injection"  # the category of what looks like instructions to the model
_FIXED = frozenset((("id",), ("method",), ("jsonrpc",), ("params", "name"), ("params", "protocolVersion")))

Note = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCall:
    """What became of one call: arguments that may go on, unless it is refused; `held` where a person has to say so first."""

    arguments: str = field(repr=False)
    held: Held | None = None
    refused: Refused | None = None


class Screening:
    def __init__(self, guard: Guard, context: Context) -> None:
        self._guard, self._context = guard, context
        self._wary: GuardSession | None = None  # the session that saw instructions in what a server sent

    def open(self) -> GuardSession:
        """The guard for one message."""
        return self._guard.open(self._context)

    async def pass_on(
        self, message: Message, sender: Side, session: GuardSession, note: Note, *, asked: str = "", tool: str = ""
    ) -> Message:
        """The message as it may go on. Raises BlockedByPolicy."""
        found = leaves(message, sender, asked)
        texts = [leaf.said(number, tool if leaf.channel.startswith("tool_") else "") for number, leaf in enumerate(found)]
        seen = _Seen(note)
        passed = await released(texts, session.stage(Direction.REQUEST), seen)
        if seen.has_instructions and sender is Side.SERVER:
            self._wary = session
        changes = [(leaf, text) for leaf, text in zip(found, passed, strict=True) if text != leaf.text]
        if any(leaf.path in _FIXED or (leaf.is_key and leaf.path[:-1] == ()) for leaf, _ in changes):
            raise BlockedByPolicy("this node's policy masks the id, the method or the name in this message, so it can't go on")
        if changes:
            return with_document(message, rewrite(message.document, changes))
        return replace(message, data=faithful(message.data, message.document))

    async def judge(self, tool: str, call_id: str, arguments: str, session: GuardSession, note: Note) -> JudgedCall:
        """What policy says of a call. Raises BlockedByPolicy."""
        wary = self._wary
        judging = wary if wary is not None and wary.policy_digest == session.policy_digest else session
        events: list[Event] = [
            ToolCallStart(call_id=call_id, name=tool),
            ToolCallDelta(arguments=arguments),
            PartEnd(kind=PartKind.TOOL_CALL),
            MessageEnd(finish_reason=FinishReason.TOOL_CALLS),
        ]
        if (restorer := session.restorer()) is not None:
            events = [*through(events, [restorer]), *restorer.close()]
        return _judged(await judged([*events, None], judging.judge()), note)


def _judged(events: Sequence[Event], note: Note) -> JudgedCall:
    held: Held | None = None
    refused: Refused | None = None
    released: list[str] = []
    starts = 0
    for event in events:
        note(event)
        match event:
            case Blocked():
                raise blocked(event.verdict)
            case Held():
                held = event
                released += [out.arguments for out in event.released if isinstance(out, ToolCallDelta)]
                starts += 1
            case Refused():
                refused = event
            case ToolCallStart():
                starts += 1
            case ToolCallDelta():
                released.append(event.arguments)
    if refused is None and starts != 1:
        raise InternalError("the judge of tool calls gave no verdict on this call, so it can't go on")
    return JudgedCall(arguments="".join(released), held=held, refused=refused)


class _Seen:
    """Passes on what is found, and keeps in mind whether it is instructions."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self.has_instructions = False

    def __call__(self, event: Event) -> None:
        self._note(event)
        if isinstance(event, Found):
            self.has_instructions |= looks_injected(event)


def looks_injected(event: Event) -> bool:
    return isinstance(event, Found) and event.finding.category == INJECTION and event.finding.enforced is not Action.ALLOW
