"""Which exchanges are kept so that they can be run again, for how long, and what of them.

Nothing is, unless an operator says so. Only exchanges of our own engine are: a provider's answer cannot be run again. Kept is the
request as the engine got it, after the guard. What is encrypted how, and stored where, is left to others.
"""

from collections.abc import Iterable, Sequence

import orjson

from freehold.core.content import Kept, KeptExchange
from freehold.core.exchange import Exchange, fits
from freehold.core.findings import Action, Direction, Finding
from freehold.core.ledger import Status
from freehold.core.limits import DAY_NS
from freehold.gateway.account import Account
from freehold.gateway.config import KeepConfig

_ENDED = (Status.COMPLETED, Status.BLOCKED)
_CHANGES = (Action.MASK, Action.TOKENISE, Action.BLOCK)
_QUERY = ("alt",)  # what codecs read of it; the rest may hold a key


class Keeping:
    """The operator's rules; the first that fits counts."""

    def __init__(self, rules: Sequence[KeepConfig] = ()) -> None:
        self._rules = tuple(rules)

    def days(self, exchange: Exchange, labels: Iterable[str]) -> int:
        """For how long the exchange may be kept; 0 is not at all. `labels` are those it was placed by."""
        principal, all_labels = exchange.principal, {*labels, *exchange.principal.labels}
        for rule in self._rules:
            if (
                fits(rule.keys, principal.name)
                and fits(rule.teams, principal.team or "")
                and fits(rule.models, exchange.model)
                and (not rule.labels or not all_labels.isdisjoint(rule.labels))
            ):
                return rule.days
        return 0


def _is_changed(findings: Iterable[Finding]) -> bool:
    """Whether the guard took something out of the answer."""
    return any(finding.direction is Direction.RESPONSE and finding.enforced in _CHANGES for finding in findings)


def kept(account: Account, query: dict[str, str], path: str) -> Kept | None:
    """What is to be kept of an exchange that is over; None where it is not to be, or could not be run again."""
    exchange, served = account.passed, account.served
    if exchange is None or not account.keep_days or account.status not in _ENDED:
        return None
    if served is None or served.model_id is None or served.seed is None:
        return None
    principal, usage = exchange.principal, account.usage
    content = KeptExchange(
        exchange_id=account.exchange_id,
        received_at_ns=account.received_at_ns,
        dialect=account.dialect,
        path=path,
        query={name: query[name] for name in _QUERY if name in query},
        body=(orjson.dumps(exchange.document) if exchange.is_rewritten else exchange.body).decode(),
        is_rewritten=exchange.is_rewritten,
        has_reversible_tokens=any(
            finding.direction is Direction.REQUEST and finding.enforced is Action.TOKENISE for finding in account.findings
        ),
        key_id=principal.key_id,
        key_name=principal.name,
        team=principal.team,
        labels=tuple(sorted(principal.labels)),
        cached_input_tokens=usage.cached_input_tokens if usage else None,
        tokens=None if _is_changed(account.findings) else account.tokens,
    )
    return Kept(content=orjson.dumps(content), until_ns=account.received_at_ns + account.keep_days * DAY_NS)
