"""What a node needs to take batches and work that can wait: the signal of its site, the turns, the store, and what runs them."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from freehold.config import Config
from freehold.core.errors import ConfigError, MalformedArtefact
from freehold.core.ports import EngineLoadProbe, KeyBook, KeyRing
from freehold.gateway import log
from freehold.gateway.batches.desk import BatchDesk
from freehold.gateway.batches.runner import BatchRunner
from freehold.gateway.batches.turns import Turns
from freehold.gateway.router import Router
from freehold.gateway.services import Services
from freehold.meter.signals import Signals
from freehold.provenance.keys import NodeKey
from freehold.store.batches import Batches, new_batch_id

FOLDER = "batches"  # in the home
SIGNAL_LOOK_S = 10.0


def open_batches(record: Path, home: Path, config: Config, key: NodeKey) -> Batches:
    """The store of batches, whose files are sealed under a secret that the node's key gives."""
    secret = sha256(key.sign(b"freehold batch files")).digest()  # Ed25519 is deterministic: the same at every start
    return Batches(record, home / FOLDER, secret, config.store)


def open_signals(config: Config, folder: Path) -> Signals:
    """Raises ConfigError for a file that is not what it must be."""
    try:
        return Signals(config.signal, folder)
    except MalformedArtefact as error:
        raise ConfigError(f"[signal] {error.message}") from error


def open_turns(config: Config, signals: Signals, router: Router, load: EngineLoadProbe | None, engine: str | None) -> Turns:
    """`engine` is the name of the node's own. What the residency table calls local runs at this site as well."""
    local = {*(config.residency.local if config.residency else ()), *([engine] if engine else ())}
    return Turns(
        signals,
        config.batches,
        is_here=lambda model: local.issuperset(router.upstreams_for(model)),
        unix_s=time.time,
        follow=config.signal.follow,
        power_w=config.signal.power_w,
        pue=config.meter.pue or 1.0,
        load=load,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """The two that work with the store: the desk at once, the runner once there are services to answer with."""

    desk: BatchDesk
    run: Callable[[Services], Coroutine[None, None, None]]


def open_batching(
    store: Batches, config: Config, keys: KeyRing, book: KeyBook, turns: Turns, stack: contextlib.AsyncExitStack
) -> Batching:
    """The store is closed with `stack`."""
    stack.callback(store.close)
    desk = BatchDesk(
        store, keys, config.batches, turns, new_id=new_batch_id, unix_s=time.time, idle_timeout_s=config.gateway.idle_timeout_s
    )

    def run(services: Services) -> Coroutine[None, None, None]:
        expected = config.limits.expected_output_tokens
        return BatchRunner(store, book, config.batches, turns, services, output_tokens=expected, unix_s=time.time).run()

    return Batching(desk=desk, run=run)


async def follow(signals: Signals) -> None:
    """Keep the signal up to date, and say when a source of it begins or ceases to fail. Until cancelled."""
    trouble: str | None = None
    while True:
        await asyncio.to_thread(signals.refresh)
        if signals.trouble != trouble:
            trouble = signals.trouble
            if trouble is None:
                log.info("signal_restored")
            else:
                log.error("signal_failed", reason=trouble)
        await asyncio.sleep(SIGNAL_LOOK_S)
