"""Where one exchange may go: asked once before anything is sent, kept in the log, and asked again right before every try.

The decision is durable before the first byte leaves, whatever it is. A request carries its whole conversation, so that its labels
are those of all turns; one that continues a conversation kept elsewhere (`previous_response_id` and its like) has the labels that
it had when this node placed it. A conversation this node does not know could hold anything: it counts as the strictest.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from freehold.core.errors import NowhereAllowed
from freehold.core.exchange import Exchange, KeyId
from freehold.core.findings import Context, Finding
from freehold.core.ports import AuditLog, Placement, Residency, UnixClock
from freehold.gateway.metrics import Metrics

LABELS_HEADER = b"x-freehold-labels"
REMEMBERED_CONVERSATIONS = 100_000
SHOWN_UPSTREAMS = 10
# Fields that continue something which a provider keeps: OpenAI's Responses, Gemini's caches, Anthropic's containers.
_CONTINUES = ("previous_response_id", "conversation", "cachedContent", "cached_content", "container")

May = Callable[[str], bool]


class Placer:
    """Belongs to the event loop. `strictest` are the labels of a conversation that this node does not know."""

    def __init__(
        self, residency: Residency, audit: AuditLog, metrics: Metrics, strictest: Sequence[str], unix_ns: UnixClock
    ) -> None:
        self._residency = residency
        self._audit = audit
        self._metrics = metrics
        self._strictest = tuple(sorted(strictest))
        self._unix_ns = unix_ns
        self._conversations: OrderedDict[tuple[KeyId, str], tuple[str, ...]] = OrderedDict()

    async def place(
        self,
        exchange: Exchange,
        context: Context,
        headers: Mapping[bytes, bytes],
        findings: Sequence[Finding],
        upstreams: Sequence[str],
    ) -> tuple[Placement, May]:
        """The decision, and the question to ask before each try. `findings` are all those of the request.

        Raises InvalidRequest for labels nobody knows, NowhereAllowed, and RecordNotWritten.
        """
        asked = claimed(headers)
        placement = self._residency.place(context, asked, findings, upstreams, self._unix_ns())
        if not placement.policy_digest:  # nothing is restricted here
            return placement, lambda upstream: True
        if kept := self._kept(exchange):
            asked = (*asked, *kept)
            placement = self._residency.place(context, asked, findings, upstreams, placement.at_ns)
        self._metrics.count_placement(placement)
        await self._audit.append("placement", facts_of(placement, context, asked, findings, upstreams), exchange.id)
        if not placement.allowed:
            raise _nowhere(placement)

        def may(upstream: str) -> bool:
            return bool(self._residency.place(context, asked, findings, [upstream], self._unix_ns()).allowed)

        return placement, may

    def remember(self, key_id: KeyId, conversation: str, placement: Placement) -> None:
        """A provider keeps what was said here under this name, such as a response's id."""
        self._conversations[key_id, conversation] = tuple(sorted(placement.labels))
        self._conversations.move_to_end((key_id, conversation))
        if len(self._conversations) > REMEMBERED_CONVERSATIONS:
            self._conversations.popitem(last=False)

    def _kept(self, exchange: Exchange) -> tuple[str, ...]:
        """The labels of what the request continues without carrying it."""
        labels: set[str] = set()
        for name in continued(exchange):
            labels.update(self._conversations.get((exchange.principal.key_id, name), self._strictest))
        return tuple(sorted(labels))


def continued(exchange: Exchange) -> list[str]:
    """Names of conversations, kept elsewhere, that the request goes on with and does not carry."""
    values = [exchange.document.get(field) for field in _CONTINUES]
    names = [value.get("id") if isinstance(value, Mapping) else value for value in values]
    return [str(name) for name in names if name is not None]


def claimed(headers: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """The labels a caller sends. Whether there are such labels is not known here."""
    words = headers.get(LABELS_HEADER, b"").decode("latin-1").split(",")
    return tuple(word.strip() for word in words if word.strip())


def facts_of(
    placement: Placement, context: Context, claimed: Sequence[str], findings: Sequence[Finding], upstreams: Sequence[str]
) -> dict[str, object]:
    """All that is needed to make the same decision again: names and codes, no content."""
    return {
        "context": {
            "dialect": context.dialect,
            "model": context.model,
            "key_id": context.key_id,
            "key_name": context.key_name,
            "team": context.team,
            "labels": sorted(context.labels),
        },
        "claimed": list(claimed),
        "found": sorted({(finding.rule, finding.category) for finding in findings}),
        "upstreams": list(upstreams),
        "labels": sorted(placement.labels),
        "origins": [list(pair) for pair in placement.origins],
        "allowed": list(placement.allowed),
        "rejected": {one.upstream: list(one.reasons) for one in placement.rejected},
        "policy_digest": placement.policy_digest,
        "at_ns": placement.at_ns,
    }


def _nowhere(placement: Placement) -> NowhereAllowed:
    shown = placement.rejected[:SHOWN_UPSTREAMS]
    reasons = "; ".join(f"{one.upstream}: {', '.join(one.reasons)}" for one in shown)
    more = len(placement.rejected) - len(shown)
    return NowhereAllowed(
        f"no upstream may have data labelled {', '.join(sorted(placement.labels))}: {reasons}"
        + (f"; and {more} more" if more else "")
        + "; an operator sees why with: freehold residency check"
    )
