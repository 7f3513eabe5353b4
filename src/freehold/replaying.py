"""Runs a kept exchange again: engine, guard and codec as in the node, and no client. Knows the rooms it needs.

The engine is started anew with the model, the kernels, the context and the holding of keys and values that the receipt names, and
otherwise as it is configured here: memory, threads, drafts and what else is computed beside it change nothing of a result.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import msgspec

from freehold.core.content import KeptExchange
from freehold.core.errors import ConfigError, NotFound, UpstreamUnavailable
from freehold.core.events import Event, MessageEnd, MessageStart, ServedBy
from freehold.core.receipts import Claims
from freehold.core.watermark import Watermark
from freehold.engine.client import EngineClient
from freehold.engine.config import EngineConfig
from freehold.engine_command import start_engine
from freehold.gateway.account import sampling_claims
from freehold.gateway.replay import NotComparable, ReplayedExchange
from freehold.guard_cache import open_policy_guard
from freehold.place import Place
from freehold.provenance.keys import key_directory, node_key
from freehold.provenance.pull import open_model
from freehold.provenance.replay import (
    Difference,
    FirstDifference,
    check_tokens,
    differences,
    first_difference,
    same_tokens,
    sampling_differences,
)
from freehold.provenance.watermark import watermark_of_digest

POLL_S: Final = 0.05
_CPU_KERNELS: Final = ("vnni", "avx2", "portable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of it. `ran` is False where something is not as it was and nobody said to run it all the same.

    `tokens` None is that none were compared; `first` is the first that is another, where those of then are kept. `response` is
    "same", "differs", or why the answer as it was sent was not compared.
    """

    differences: tuple[Difference, ...]
    ran: bool
    output_tokens: int = 0
    tokens: Literal["same", "differ"] | None = None
    first: FirstDifference | None = None
    response: str = ""

    @property
    def outcome(self) -> Literal["same", "differs", "cannot"]:
        """Cannot, too, where it ran and there was nothing to compare."""
        if self.tokens == "differ" or self.response == "differs":
            return "differs"
        return "same" if self.tokens == "same" or self.response == "same" else "cannot"


def engine_of(claims: Claims, place: Place, given: Mapping[str, Any]) -> Place:
    """The place with its engine as the receipt names it; `given` goes before that. Raises ConfigError for what is no setting."""
    served = claims.served
    assert served is not None
    named: dict[str, Any] = {"model": served.model, "context_tokens": served.context_tokens or 0}
    if served.kv_type:
        named["kv_type"] = served.kv_type
    if served.kernels in _CPU_KERNELS:
        named |= {"kernels": served.kernels, "device": "cpu"}
    settings = msgspec.to_builtins(place.config.engine) | named | given
    try:
        engine = msgspec.convert(settings, EngineConfig)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"the engine cannot be set up as the receipt says: {exc}") from exc
    config = msgspec.structs.replace(place.config, engine=engine)
    return Place(home=place.home, config=config, config_path=place.config_path)


async def replay(claims: Claims, kept: KeptExchange, place: Place, *, anyway: bool = False) -> Replay:
    """Run it in `place` (see `engine_of`) and compare.

    Raises NotFound where the exchange can't be replayed, UpstreamUnavailable where the engine can't run, and what it raises.
    """
    served = claims.served
    if served is None or served.seed is None:
        raise NotFound("the receipt names no engine of ours with a seed: it cannot be replayed")
    if kept.tokens is not None:
        check_tokens(claims, kept.tokens)
    exchange = ReplayedExchange(kept, place.config.gateway)
    asked_differently = sampling_differences(claims.sampling, sampling_claims(exchange.exchange.sampling))
    watermark = watermark_of_digest(place.home, served.watermark) if served.watermark else None
    foreseen = [*differences(served, _foreseen(served, place, watermark)), *asked_differently]
    if foreseen and not anyway:
        return Replay(differences=tuple(foreseen), ran=False)
    async with contextlib.AsyncExitStack() as stack:
        engine = await start_engine(place, stack, lambda _: watermark)
        if engine is None:
            raise NotFound("the receipt names no model")
        await _ready(engine)
        answer = engine.send(exchange.for_engine(served.seed))
        start, *events = await anext(answer)
        assert isinstance(start, MessageStart)
        found = [*differences(served, start.served), *asked_differently]
        if found and not anyway:
            return Replay(differences=tuple(found), ran=False)
        events = [start, *events, *[event async for later in answer for event in later]]
    ends = [event for event in events if isinstance(event, MessageEnd)]
    now = [end.tokens or () for end in sorted(ends, key=lambda end: end.choice)]
    return Replay(
        differences=tuple(found),
        ran=True,
        output_tokens=sum(map(len, now)),
        tokens={None: None, True: "same", False: "differ"}[same_tokens(claims, now)],
        first=None if kept.tokens is None else first_difference(kept.tokens, now),
        response=await _response(claims, exchange, _served_then(events, served), place),
    )


def _foreseen(then: ServedBy, place: Place, watermark: Watermark | None) -> ServedBy:
    """As far as can be told before the engine is loaded: the model and the secrets that are here, and what was set otherwise."""
    engine = place.config.engine
    model_id = open_model(place.home, engine.model).manifest.model_id
    kernels = then.kernels if engine.kernels == "auto" else engine.kernels
    digest = None if watermark is None else watermark.digest
    return replace(then, model_id=model_id, kernels=kernels, kv_type=engine.kv_type, watermark=digest)


def _served_then(events: list[Event], served: ServedBy) -> list[Event]:
    """The answer names what computed it: that is compared by itself."""
    return [MessageStart(served=served) if isinstance(event, MessageStart) else event for event in events]


async def _response(claims: Claims, exchange: ReplayedExchange, events: list[Event], place: Place) -> str:
    guard = await asyncio.to_thread(open_policy_guard, place, node_key(key_directory(place.home)))
    if guard.policy_digest != claims.policy_digest:
        return "not compared: another policy is in force than that which the receipt names"
    try:
        sent = await exchange.sent(events, guard, claims.salt)
    except NotComparable as exc:
        return f"not compared: {exc}"
    return "same" if (sent.digest, sent.links) == (claims.response_digest, claims.response_links) else "differs"


async def _ready(engine: EngineClient) -> None:
    while not engine.status().ready:
        if engine.trouble is not None:
            raise UpstreamUnavailable(f"the engine cannot run {engine.models[0]}: {engine.trouble}")
        await asyncio.sleep(POLL_S)
