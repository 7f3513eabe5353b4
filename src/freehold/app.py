"""Builds the rooms of a node and hands them to each other.

A node is opened as a context: leaving it closes the rooms in the opposite order, so that the last records are written before the
store closes. What connects two rooms and is more than a line or two has a module of its own beside this one.
"""

import asyncio
import contextlib
import platform
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from starlette.types import ASGIApp

from freehold.batching import follow, open_batches, open_batching, open_signals, open_turns
from freehold.core.exchange import KeyId
from freehold.core.limits import DAY_NS, DayUse, day_of
from freehold.core.ports import KeyRing, UpstreamStatus
from freehold.dashboard.app import Dashboard, create_dashboard
from freehold.engine.client import EngineClient
from freehold.engine_command import EngineFiles, start_engine
from freehold.gateway import log
from freehold.gateway.admission import LimitKeeper
from freehold.gateway.alerts import Alarms
from freehold.gateway.approvals import HeldCalls
from freehold.gateway.attempt import Route
from freehold.gateway.keeping import Keeping
from freehold.gateway.log_routes import LogServices
from freehold.gateway.mcp.opening import McpApp, open_mcp
from freehold.gateway.mcp.pins import FILE_NAME as PINS_FILE
from freehold.gateway.mcp.pins import PinBook
from freehold.gateway.mcp.services import McpServices
from freehold.gateway.metrics import Metrics
from freehold.gateway.paths import Paths
from freehold.gateway.placement import Placer
from freehold.gateway.prices import PriceList
from freehold.gateway.router import Router
from freehold.gateway.server import create_app
from freehold.gateway.services import Services
from freehold.gateway.traces import addresses, make_traces
from freehold.gateway.upstreams import make_upstream
from freehold.guard import StreamGuard
from freehold.guard.labels import STRICTEST
from freehold.guard.residency import LabelPolicy
from freehold.guard_cache import open_policy_guard
from freehold.hangup import on_hangup
from freehold.log_keeper import LogKeeper
from freehold.metering import exchange_meter, meter_journal, note_prices
from freehold.place import Place
from freehold.policy_watch import PolicyWatch
from freehold.provenance.content import content_key
from freehold.provenance.keys import NodeKey, key_directory, node_key
from freehold.provenance.signer import NodeSigner
from freehold.residency import check_findings, load_residency
from freehold.store.keys import ClientKeys
from freehold.store.reader import RecordReader
from freehold.store.retention import Retention
from freehold.store.totals import RecordedTotals
from freehold.store.usage import RecordedUsage
from freehold.store.writer import RecordWriter
from freehold.tile_log import TileLog
from freehold.trust_log import find_trust
from freehold.witnessing import Witness

_LONGEST_PERIOD_DAYS = 31  # of a budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An open node. `engine` is None where the configuration names no model."""

    app: ASGIApp
    engine: EngineClient | None
    dashboard: Dashboard | None
    mcp: McpApp | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What is open first, and handed to most that comes after."""

    place: Place
    stack: contextlib.AsyncExitStack  # what is pushed on it ends with the node
    metrics: Metrics
    key: NodeKey
    writer: RecordWriter
    guard: StreamGuard
    alarms: Alarms
    files: EngineFiles
    paths: Paths

    def begin(self, work: Coroutine[None, None, object]) -> None:
        """A task that lives as long as the node."""
        task = asyncio.get_running_loop().create_task(work)

        async def end() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self.stack.push_async_callback(end)


@contextlib.asynccontextmanager
async def open_node(place: Place, keys: KeyRing | None = None) -> AsyncIterator[Node]:
    """All rooms, open and handed to each other. `keys` stands in for the stored client keys."""
    config = place.config
    async with contextlib.AsyncExitStack() as stack:
        ground = await _open_ground(place, stack)
        writer, guard, metrics = ground.writer, ground.guard, ground.metrics
        reader = RecordReader(place.record, config.store)
        stack.callback(reader.close)
        stored_keys = ClientKeys(place.record, config.store, sealer=ground.key)
        stack.callback(stored_keys.close)
        ring = keys or stored_keys

        engine = await start_engine(place, stack, surroundings=ground.files.surroundings())
        router = _open_router(ground, engine)
        prices = PriceList(config.prices)
        admission = await _open_admission(ground, engine, router, prices)
        residency = load_residency(config.residency, place.folder)
        check_findings(config.residency, guard.policy.subjects)

        keeper, log_services = _open_log(ground)

        def status() -> Mapping[str, UpstreamStatus]:
            return {"record": writer.status(), "policy": guard.status(), **router.status(), **keeper.status()}

        def key_names() -> Mapping[KeyId, str]:
            return {key.key_id: key.name for key in stored_keys.list()}

        held = HeldCalls(writer, ground.alarms, unix_ns=time.time_ns, count=metrics.count_approval)
        dashboard = None
        if config.dashboard.enabled:
            totals = RecordedTotals(place.record, config.store).between
            told = ground.paths.keep_from_client
            dashboard = create_dashboard(
                reader, ring, status, held, totals, config=config.dashboard, key_names=key_names, told=told
            )
            stack.push_async_callback(dashboard.close)
        mcp = _open_mcp(ground, held, ring)
        traces = make_traces(config.traces, addresses(config.upstreams))
        stack.push_async_callback(asyncio.to_thread, traces.close)
        signals = open_signals(config, place.folder)
        turns = open_turns(config, signals, router, engine.load if engine else None, engine.name if engine else None)
        batching = None
        if config.batches.enabled and keys is None:  # a batch outlives its request: whose key it is must be stored
            store = open_batches(place.record, place.home, config, ground.key)
            batching = open_batching(store, config, ring, stored_keys, turns, stack)
        services = Services(
            config=config.gateway,
            router=router,
            admission=admission,
            prices=prices,
            placer=Placer(residency, writer, metrics, sorted(STRICTEST), time.time_ns),
            guard=guard,
            recorder=writer,
            alarm=ground.alarms,
            approvals=held,
            ledger=reader,
            keys=ring,
            meter=exchange_meter(config, place.folder, signals),
            metrics=metrics,
            paths=ground.paths,
            keeping=Keeping(config.keep),
            traces=traces,
            dashboard=dashboard,
            mcp=mcp,
            log=log_services,
            turns=turns,
            batches=batching.desk if batching else None,
            engine_load=engine.load if engine else None,
        )
        await _note_policies(ground, residency if isinstance(residency, LabelPolicy) else None)

        ground.begin(Retention(place.record, config.store, ground.key).run())
        if config.model_audit:
            ground.begin(_model_audits(ground, engine, prices))
        ground.begin(follow(signals))
        await note_prices(place.record, config, writer)
        if engine is not None:
            ground.begin(meter_journal(place.record, config, writer, engine.load).run())
        if batching is not None:
            ground.begin(batching.run(services))
        ground.begin(keeper.publish())
        ground.begin(keeper.witness())
        on_hangup(stack, [*([engine.try_again] if engine else []), *_watch_policy(ground)])
        yield Node(app=create_app(services), engine=engine, dashboard=dashboard, mcp=mcp)


async def _open_ground(place: Place, stack: contextlib.AsyncExitStack) -> _Ground:
    config, metrics = place.config, Metrics()
    key = node_key(key_directory(place.home))
    cipher = content_key(key_directory(place.home), make=True) if config.keep else None
    writer = RecordWriter(place.record, NodeSigner(key), config.store, sealer=key, cipher=cipher)
    stack.push_async_callback(asyncio.to_thread, writer.close)
    await asyncio.to_thread(find_trust, place.home, config.store)  # one that is not as the log knows it stops the node
    guard = await asyncio.to_thread(open_policy_guard, place, key)
    alarms = Alarms(config.alerts, node=platform.node(), count=metrics.count_alert, audit=writer)
    await stack.enter_async_context(alarms)
    files = EngineFiles(place)
    return _Ground(
        place=place,
        stack=stack,
        metrics=metrics,
        key=key,
        writer=writer,
        guard=guard,
        alarms=alarms,
        files=files,
        paths=Paths((*place.folders, *files.folders())),
    )


def _open_router(ground: _Ground, engine: EngineClient | None) -> Router:
    config = ground.place.config
    routes = [Route(upstream=engine, has_breaker=False)] if engine else []
    for settings in config.upstreams:
        remote = make_upstream(settings, ground.place.folder)
        ground.stack.push_async_callback(remote.close)
        routes.append(
            Route(
                upstream=remote,
                weight=settings.weight,
                priority=settings.priority,
                first_token_timeout_s=settings.first_token_timeout_s,
            )
        )
    return Router(routes, config.routing, alarm=ground.alarms, on_try=ground.metrics.count_try)


async def _open_admission(ground: _Ground, engine: EngineClient | None, router: Router, prices: PriceList) -> LimitKeeper:
    return LimitKeeper(
        prices=prices,
        upstreams_for=router.upstreams_for,
        is_metered=lambda upstream: engine is not None and upstream == engine.name,
        config=ground.place.config.limits,
        used=await asyncio.to_thread(_used, ground.place),
        alarm=ground.alarms,
        on_refused=ground.metrics.count_not_admitted,
    )


def _used(place: Place) -> Sequence[DayUse]:
    """What budgets of this month and this week have been drawn on."""
    since = day_of(time.time_ns()) - _LONGEST_PERIOD_DAYS
    return RecordedUsage(place.record, place.config.store).since(since * DAY_NS)


def _open_log(ground: _Ground) -> tuple[LogKeeper, LogServices]:
    """The log's tree, who may read it, and the witnesses of it; and this node as a witness, where it is told of logs."""
    place, config, alarm = ground.place, ground.place.config, ground.alarms
    log_ = TileLog(place.record, config.store, ground.key, config.log.origin)
    folder = None if config.log.folder is None else place.folder / config.log.folder
    keeper = LogKeeper(log_, config.log, config.witnesses, alarm, folder=folder, count=ground.metrics.count_witnessed)
    logs = config.log.logs()
    witness = Witness(place.record, config.store, logs, log_, alarm) if logs else None
    files = None if config.log.serve == "off" else log_
    return keeper, LogServices(state=keeper, files=files, is_public=config.log.serve == "public", witness=witness)


def _open_mcp(ground: _Ground, held: HeldCalls, keys: KeyRing) -> McpApp | None:
    """None where the configuration names no server."""
    place, config, metrics = ground.place, ground.place.config, ground.metrics
    if not config.mcp:
        return None
    services = McpServices(
        guard=ground.guard,
        recorder=ground.writer,
        audit=ground.writer,
        alarm=ground.alarms,
        approvals=held,
        book=PinBook(place.home / PINS_FILE, time.time_ns),
        json_depth=config.gateway.json_depth,
        json_values=config.gateway.json_values,
        paths=ground.paths,
        count=lambda entry: metrics.count(entry, between_s=None, is_served=True),
    )
    mcp = open_mcp(config.mcp, services, keys, config.gateway, place.folder)
    ground.stack.push_async_callback(mcp.close)
    return mcp


async def _note_policies(ground: _Ground, residency: LabelPolicy | None) -> None:
    """The log says under what the node started."""
    writer, keep = ground.writer, ground.place.config.keep
    await writer.append("policy_loaded", {"of": "guard", "digest": ground.guard.policy_digest})
    if keep:
        await writer.append("policy_loaded", {"of": "keep", "rules": msgspec.to_builtins(keep)})
    if residency is not None:
        await writer.append("policy_loaded", residency.facts())


def _model_audits(ground: _Ground, engine: EngineClient | None, prices: PriceList) -> Coroutine[None, None, None]:
    from freehold.model_audits.schedule import ModelAudits  # noqa: PLC0415  # its statistics take 3 MiB

    audits = ModelAudits(
        ground.place.config,
        ground.place.home,
        ground.place.folder,
        engine=engine,
        audit_log=ground.writer,
        alarm=ground.alarms,
        prices=prices,
        note=ground.metrics.note_model_audit,
    )
    return audits.run()


def _watch_policy(ground: _Ground) -> Sequence[Callable[[], None]]:
    """Take the policy file's changes; each goes into the log. Returns what looks at once, where there is a file."""
    path, guard = ground.place.policy, ground.guard
    if path is None:
        return []
    loop = asyncio.get_running_loop()
    kept: set[asyncio.Task[None]] = set()

    def note(accepted: bool) -> None:
        ground.metrics.count_policy_load(accepted=accepted)
        facts = {"of": "guard", "digest": guard.policy_digest}
        if accepted:
            log.info("policy_loaded", **facts)
        else:
            log.error("policy_refused", reason=guard.status().detail)
        task = loop.create_task(ground.writer.append("policy_loaded" if accepted else "policy_rejected", facts))
        kept.add(task)
        task.add_done_callback(kept.discard)

    watch = PolicyWatch(path, guard, ground.alarms, note)
    ground.begin(watch.run())
    return [lambda: ground.begin(watch.reload())]
