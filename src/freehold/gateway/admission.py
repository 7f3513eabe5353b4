"""Whether a key may have one more exchange: implements `core.ports.Admission`.

A key is held to its own limits and to its team's; all are asked before any is drawn on. Decided here:

- Rates hold for any 60 seconds. They count requests admitted, and tokens as expected until they are known.
- A budget is what was used plus what running exchanges may still use. An exchange holds the most it can cost: its prompt, and as
  many tokens as it allows the answer (`max_tokens`). So a budget of money is never overdrawn by an answer that was limited; one
  that was not is taken for `expected_output_tokens`, and what it costs beyond that is the most that a budget is overdrawn by.
- A cost that stays unknown (a client that left before the provider counted) is charged as what was held for it.
- The joules of an exchange are not known before: an energy budget admits until it is used up, and running exchanges end. Energy
  that stays unknown is counted nowhere: see `[limits]` in the configuration for who may use upstreams that are not metered.
- An exchange that waits for its turn runs nothing yet: its budget is held, and it counts among those that wait, of which a key
  and the node have so many. Rates and the number at a time are drawn on when its turn comes.

Rates and running exchanges are this process's. What budgets were drawn on is in the ledger, and read from it at the start.
Not thread-safe: it belongs to the event loop.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic, time_ns

from freehold.core.errors import FreeholdError, LimitReached, NotAllowed
from freehold.core.exchange import Exchange, Principal
from freehold.core.findings import Alert
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.limits import DAY_NS, NO_LIMITS, DayUse, EnergyBudget, Limits, MoneyBudget, Period, day_of, time_text
from freehold.core.measurement import NOTHING_RAN
from freehold.core.ports import Alarm, MonotonicClock, Permit, UnixClock
from freehold.gateway.config import LimitsConfig
from freehold.gateway.prices import PriceList
from freehold.gateway.window import SlidingWindow, Spent

SPAN_S = 60.0
BUSY_RETRY_S = 1.0  # when a running exchange will end is not known
WAITING_RETRY_S = 60.0  # what waits, waits for hours
BYTES_PER_TOKEN = 4  # of English text and JSON; a first guess, corrected when the provider has counted
ATTACHMENT_TOKENS = (
    1600  # what a large image costs at the providers that publish it; its base64 would count for a hundred times that
)
_KEPT_DAYS = 38  # a month and a week
_EMBEDDINGS = "embeddings"  # has no output
_COUNT = "count_tokens"  # generates nothing, and its answer is a number of tokens that nobody used


@dataclass(slots=True)
class _Use:
    """What a key or a team is using, and has used by day."""

    running: int = 0
    waiting: int = 0
    requests: SlidingWindow = field(default_factory=lambda: SlidingWindow(SPAN_S))
    tokens: SlidingWindow = field(default_factory=lambda: SlidingWindow(SPAN_S))
    held_microusd: int = 0
    charged_microusd: dict[int, int] = field(default_factory=dict)  # by day
    energy_j: dict[int, float] = field(default_factory=dict)
    alerted: set[tuple[str, int]] = field(default_factory=set)  # budgets that were told to be used up, by first day

    def add(self, day: int, charged_microusd: int, energy_j: float) -> None:
        self.charged_microusd[day] = self.charged_microusd.get(day, 0) + charged_microusd
        self.energy_j[day] = self.energy_j.get(day, 0.0) + energy_j
        for days in (self.charged_microusd, self.energy_j):
            if len(days) > _KEPT_DAYS:
                del days[min(days)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """A key or a team, as one request meets it."""

    who: str  # "key 'alice'"
    limits: Limits
    use: _Use


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """What one exchange is expected to take."""

    model: str
    tokens: int
    ceiling_microusd: int | None  # None is unknown
    now_s: float
    today: int


class _Refused(Exception):
    """Why not: `reason` is a word for the metrics."""

    def __init__(self, reason: str, error: FreeholdError) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error


class LimitKeeper:
    """Implements `core.ports.Admission`. `is_metered` says of an upstream whether its joules are known.

    `on_refused` gets one of `REASONS` each time.
    """

    REASONS = (
        "model",
        "waiting",
        "concurrent",
        "requests_per_min",
        "tokens_per_min",
        "price_unknown",
        "money",
        "energy_unknown",
        "energy",
    )

    def __init__(
        self,
        *,
        prices: PriceList,
        upstreams_for: Callable[[str], Sequence[str]],
        is_metered: Callable[[str], bool],
        config: LimitsConfig | None = None,
        used: Iterable[DayUse] = (),
        alarm: Alarm | None = None,
        on_refused: Callable[[str], None] = lambda _reason: None,
        monotonic_s: MonotonicClock = monotonic,
        unix_ns: UnixClock = time_ns,
    ) -> None:
        self._prices = prices
        self._upstreams_for = upstreams_for
        self._is_metered = is_metered
        self._config = config or LimitsConfig()
        self._alarm = alarm
        self._on_refused = on_refused
        self._monotonic_s = monotonic_s
        self._unix_ns = unix_ns
        self._uses: dict[tuple[str, str], _Use] = {}
        self._waiting = 0  # of all keys
        for row in used:
            for use in self._of(row.key_id, row.team):
                use.add(row.day, row.charged_microusd, row.energy_j)

    def admit(self, principal: Principal, exchange: Exchange, *, waits: bool = False) -> Permit:
        """Called once the model is known to be served."""
        holders = self._holders(principal)
        try:
            if not principal.may_use(exchange.model):
                raise _Refused("model", _not_this_model(principal))
            ask = self._ask(exchange, holders)
            if waits:
                self._check_waiting(holders[0])
            for holder in holders:
                if holder.limits is not NO_LIMITS:
                    self._check(holder, ask, rates=not waits)
        except _Refused as refusal:
            self._on_refused(refusal.reason)
            raise refusal.error from None
        return _Permit(self, holders, ask, waits=waits)

    def begin(self, holders: Sequence[_Holder], ask: _Ask) -> _Ask:
        """What an exchange that waited draws on now. Raises LimitReached."""
        ask = self._now(ask)
        if (refusal := self._refusal(holders, ask)) is not None:
            self._on_refused(refusal.reason)
            raise refusal.error
        return ask

    def wait_s(self, holders: Sequence[_Holder], ask: _Ask) -> float:
        """How long until `begin` makes sense; 0 is now."""
        refusal = self._refusal(holders, self._now(ask))
        return 0.0 if refusal is None else getattr(refusal.error, "retry_after_s", None) or 0.0

    def count_waiting(self, use: _Use, more: int) -> None:
        use.waiting += more
        self._waiting += more

    def _refusal(self, holders: Sequence[_Holder], ask: _Ask) -> _Refused | None:
        """Why what waited may not begin. Its money is held already."""
        try:
            for holder in holders:
                _check_rates(holder, ask)
                if holder.limits.energy is not None:
                    self._check_energy(holder, holder.limits.energy, ask)
        except _Refused as refusal:
            return refusal
        return None

    def _now(self, ask: _Ask) -> _Ask:
        return replace(ask, now_s=self._monotonic_s(), today=day_of(self._unix_ns()))

    def _check_waiting(self, key: _Holder) -> None:
        config = self._config
        most = ((key.use.waiting, config.waiting_per_key, key.who), (self._waiting, config.waiting, "this node"))
        for count, limit, who in most:
            if count >= limit:
                words = (
                    f"{who} may have {limit} requests that wait for their turn, and has; make them a batch, or try again later"
                )
                raise _Refused("waiting", LimitReached(words, retry_after_s=WAITING_RETRY_S, code="too_many_waiting"))

    def _holders(self, principal: Principal) -> list[_Holder]:
        whos = (f"key {principal.name!r}", f"team {principal.team!r}")
        limits = (principal.limits, principal.team_limits)
        uses = self._of(principal.key_id, principal.team)
        return [_Holder(who=who, limits=limit, use=use) for who, limit, use in zip(whos, limits, uses, strict=False)]

    def _of(self, key_id: str, team: str | None) -> list[_Use]:
        names = [("key", key_id)] if team is None else [("key", key_id), ("team", team)]
        for name in names:
            if name not in self._uses:
                self._uses[name] = _Use()
        return [self._uses[name] for name in names]

    def _ask(self, exchange: Exchange, holders: Sequence[_Holder]) -> _Ask:
        now_s, today = self._monotonic_s(), day_of(self._unix_ns())
        if all(holder.limits.tokens_per_min is None and holder.limits.money is None for holder in holders):
            return _Ask(model=exchange.model, tokens=0, ceiling_microusd=None, now_s=now_s, today=today)
        expected = self._config.expected_output_tokens
        answer = exchange.choices * max(exchange.sampling.max_tokens or expected, 1)
        answer = 0 if exchange.operation in (_EMBEDDINGS, _COUNT) else answer
        prompt = 0 if exchange.operation == _COUNT else _expected_input(exchange)
        ceiling = None
        if any(holder.limits.money is not None for holder in holders):
            ceiling = self._prices.ceiling_microusd(exchange.model, self._upstreams_for(exchange.model), prompt, answer)
        # A rate is no promise about money: `max_tokens` is what a client fears, not what it expects.
        tokens = prompt + min(answer, exchange.choices * expected)
        return _Ask(model=exchange.model, tokens=tokens, ceiling_microusd=ceiling, now_s=now_s, today=today)

    def _check(self, holder: _Holder, ask: _Ask, *, rates: bool) -> None:
        if rates:
            _check_rates(holder, ask)
        money, energy = holder.limits.money, holder.limits.energy
        if money is not None:
            self._check_money(holder, money, ask)
        if energy is not None:
            self._check_energy(holder, energy, ask)

    def _check_money(self, holder: _Holder, budget: MoneyBudget, ask: _Ask) -> None:
        if ask.ceiling_microusd is None and self._config.unknown_price == "refuse":
            words = (
                f"{holder.who} has a budget of money, and what {ask.model} costs is not known at every upstream serving it; an "
            )
            raise _Refused(
                "price_unknown",
                NotAllowed(words + "operator adds it to [[prices]], or allows unknown prices", code="price_unknown"),
            )
        use, own = holder.use, ask.ceiling_microusd or 0
        first = budget.period.first_day(ask.today)
        charged = sum(amount for day, amount in use.charged_microusd.items() if day >= first)
        left = budget.limit_microusd - charged - use.held_microusd
        if ask.ceiling_microusd == 0 or (left > 0 and own <= left):  # what costs nothing needs no budget
            return
        of, when = f"{_dollars(budget.limit_microusd)} for this {budget.period}", _when(budget.period, ask.today)
        if charged >= budget.limit_microusd:
            self._alert("money", holder, first, f"{holder.who} has used up its {of}")
            words = f"{holder.who} has used {_dollars(charged)} of its {of}; the next begins {when}"
            raise _Refused("money", LimitReached(words, retry_after_s=self._until(budget.period), code="insufficient_quota"))
        words = (
            f"{holder.who} has used {_dollars(charged)} of its {of} and requests under way hold {_dollars(use.held_microusd)}; "
            f"this one may cost up to {_dollars(own)}: ask for fewer max_tokens, or wait until {when}"
        )
        frees = own <= budget.limit_microusd - charged
        retry_after_s = BUSY_RETRY_S if frees else self._until(budget.period)
        raise _Refused("money", LimitReached(words, retry_after_s=retry_after_s, code="insufficient_quota"))

    def _check_energy(self, holder: _Holder, budget: EnergyBudget, ask: _Ask) -> None:
        if self._config.unknown_energy == "refuse" and not all(map(self._is_metered, self._upstreams_for(ask.model))):
            words = (
                f"{holder.who} has a budget of energy, and what {ask.model} uses is not known at every upstream serving it; an "
            )
            raise _Refused(
                "energy_unknown", NotAllowed(words + "operator may allow unknown energy in [limits]", code="energy_unknown")
            )
        first = budget.period.first_day(ask.today)
        used_j = sum(joules for day, joules in holder.use.energy_j.items() if day >= first)
        if used_j < budget.limit_j:
            return
        of = f"{budget.limit_j:g} J for this {budget.period}"
        self._alert("energy", holder, first, f"{holder.who} has used up its {of}")
        words = f"{holder.who} has used {used_j:g} J of its {of}; the next begins {_when(budget.period, ask.today)}"
        raise _Refused("energy", LimitReached(words, retry_after_s=self._until(budget.period), code="insufficient_quota"))

    def _until(self, period: Period) -> float:
        """Seconds to the next period."""
        now_ns = self._unix_ns()
        return (period.next_first_day(day_of(now_ns)) * DAY_NS - now_ns) / 1e9

    def _alert(self, kind: str, holder: _Holder, first_day: int, message: str) -> None:
        """Once a budget and period."""
        if self._alarm is not None and (kind, first_day) not in holder.use.alerted:
            holder.use.alerted.add((kind, first_day))
            self._alarm.raise_alert(Alert(kind="budget_reached", severity="warning", message=message))


class _Permit:
    """Implements `core.ports.Permit`: drawn when made, or by `begin` of what waited; given back by `settle`."""

    __slots__ = ("_ask", "_held", "_holders", "_is_settled", "_keeper")

    def __init__(self, keeper: LimitKeeper, holders: Sequence[_Holder], ask: _Ask, *, waits: bool) -> None:
        self._keeper = keeper
        self._holders = holders
        self._ask = ask
        self._is_settled = False
        self._held: list[Spent | None] | None = None  # of each holder's tokens; None of one that waits
        for holder in holders:
            holder.use.held_microusd += ask.ceiling_microusd or 0
        if waits:
            keeper.count_waiting(holders[0].use, 1)
        else:
            self._draw(ask)

    @property
    def reserved_microusd(self) -> int | None:
        return self._ask.ceiling_microusd

    def wait_s(self) -> float:
        return 0.0 if self._held is not None else self._keeper.wait_s(self._holders, self._ask)

    def begin(self) -> None:
        if self._held is None:
            self._draw(self._keeper.begin(self._holders, self._ask))
            self._keeper.count_waiting(self._holders[0].use, -1)

    def _draw(self, ask: _Ask) -> None:
        self._held = []
        for holder in self._holders:
            limits, use = holder.limits, holder.use
            use.running += 1
            if limits.requests_per_min is not None:
                use.requests.spend(1, ask.now_s)
            self._held.append(None if limits.tokens_per_min is None else use.tokens.spend(ask.tokens, ask.now_s))

    def settle(self, entry: LedgerEntry | None) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        held, has_begun = self._held, self._held is not None
        if held is None:  # nothing ran
            self._keeper.count_waiting(self._holders[0].use, -1)
            held = [None] * len(self._holders)
        is_billed = entry is not None and (entry.provider is not None or _may_have_begun(entry))
        tokens = _tokens(entry) if entry is not None else None
        if tokens is None:
            tokens = self._ask.tokens if is_billed else 0
        cost = entry.cost_microusd if entry is not None else None
        if cost is None:
            cost = (self.reserved_microusd or 0) if is_billed else 0
        for holder, spent in zip(self._holders, held, strict=True):
            use = holder.use
            use.running -= has_begun
            use.held_microusd -= self.reserved_microusd or 0
            if spent is not None:
                use.tokens.correct(spent, tokens)
            if entry is not None:
                use.add(day_of(entry.received_at_ns), cost, entry.energy.energy_j or 0.0)


def _may_have_begun(entry: LedgerEntry) -> bool:
    """At a provider, whose client left before a word came of it."""
    return entry.status is Status.CANCELLED and entry.energy != NOTHING_RAN


def _check_rates(holder: _Holder, ask: _Ask) -> None:
    limits, use = holder.limits, holder.use
    if limits.concurrent is not None and use.running >= limits.concurrent:
        requests = "1 request" if limits.concurrent == 1 else f"{limits.concurrent} requests"
        words = f"{holder.who} may have {requests} at the same time, and has; wait for one to end"
        raise _Refused("concurrent", LimitReached(words, retry_after_s=BUSY_RETRY_S))
    for reason, what, limit, window, amount in (
        ("requests_per_min", "requests", limits.requests_per_min, use.requests, 1),
        ("tokens_per_min", "tokens", limits.tokens_per_min, use.tokens, ask.tokens),
    ):
        if limit is not None and (wait_s := window.wait_s(amount, limit, ask.now_s)) > 0:
            words = f"{holder.who} may use {limit} {what} in a minute, and this would be more; try again in {wait_s:.1f} s"
            raise _Refused(reason, LimitReached(words, retry_after_s=wait_s))


def _expected_input(exchange: Exchange) -> int:
    """Tokens of the prompt, at a guess. What is attached would count for far too much by its bytes."""
    by_bytes = -(-len(exchange.body) // BYTES_PER_TOKEN)
    attachments = sum(message.attachments for message in exchange.messages)
    if attachments == 0:
        return by_bytes
    text_bytes = sum(len(message.text.encode(errors="surrogatepass")) for message in exchange.messages)
    return min(by_bytes, text_bytes // BYTES_PER_TOKEN + attachments * ATTACHMENT_TOKENS)


def _tokens(entry: LedgerEntry) -> int | None:
    if entry.operation == _COUNT:
        return 0
    if entry.input_tokens is None and entry.output_tokens is None:
        return None
    return (entry.input_tokens or 0) + (entry.output_tokens or 0)


def _not_this_model(principal: Principal) -> NotAllowed:
    globs = " and ".join(", ".join(globs) for globs in (principal.models, principal.team_models) if globs)
    return NotAllowed(f"key {principal.name!r} may not use this model; it may use {globs}", code="model_not_allowed")


def _dollars(microusd: int) -> str:
    """Cents, and what is less than a dollar to the last digit there is."""
    whole = f"{microusd / 1e6:.6f}"
    return "$" + (f"{microusd / 1e6:.2f}" if microusd >= 1_000_000 or whole.endswith("0000") else whole)


def _when(period: Period, today: int) -> str:
    return time_text(period.next_first_day(today) * DAY_NS)
