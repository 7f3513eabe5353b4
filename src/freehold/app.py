"""Builds the rooms and hands them to each other.

Everything that knows two rooms is here or in `cli`. A node is opened as a context: leaving it closes the rooms in the opposite
order, so that the last records are written before the store closes.
"""

import asyncio
import contextlib
import ctypes
import os
import platform
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import ASGIApp

from freehold import config as configuration
from freehold.batching import follow, open_batches, open_batching, open_signals, open_turns
from freehold.config import Config
from freehold.core.errors import DeviceError, InvalidKey
from freehold.core.exchange import KeyId, Principal
from freehold.core.limits import DAY_NS, DayUse, day_of
from freehold.core.models import Trust
from freehold.core.ports import Alarm, Guard, KeyRing, UpstreamStatus
from freehold.dashboard.app import Dashboard, create_dashboard
from freehold.engine.client import EngineClient, WatermarkFor
from freehold.engine.refusal import Surroundings
from freehold.engine_command import EngineFiles, engine_command, with_engine
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
from freehold.gateway.placement import Placer
from freehold.gateway.prices import PriceList
from freehold.gateway.router import Router
from freehold.gateway.serve import bind, serving
from freehold.gateway.server import create_app
from freehold.gateway.services import Services
from freehold.gateway.traces import addresses, make_traces
from freehold.gateway.upstreams import make_upstream
from freehold.guard import StreamGuard
from freehold.guard.labels import STRICTEST
from freehold.guard.residency import LabelPolicy
from freehold.guard_cache import open_guard
from freehold.log_keeper import LogKeeper
from freehold.meter.opening import open_meter
from freehold.metering import engine_meter_config, exchange_meter, meter_journal, note_prices
from freehold.model_audits.schedule import ModelAudits
from freehold.policy_watch import PolicyWatch, policy_path, read_policy
from freehold.provenance.content import content_key
from freehold.provenance.keys import NodeKey, node_key
from freehold.provenance.local import key_directory, refuse_unsigned, trust_words
from freehold.provenance.progress import Progress, Silent
from freehold.provenance.pull import open_model, pull
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
from freehold.watermarks import watermarks_of
from freehold.witnessing import Witness

_LONGEST_PERIOD_DAYS = 31  # of a budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a node lives and what it was told: the same for the node and for the engine process it starts."""

    home: Path
    config: Config
    config_path: Path | None = None
    engine_options: Mapping[str, Any] = field(default_factory=dict)  # of the command line: they go before the file

    @property
    def record(self) -> Path:
        return self.home / self.config.store.file

    @property
    def folder(self) -> Path:
        """What files named in the configuration are relative to."""
        return self.config_path.parent if self.config_path is not None else self.home


def find_place(config_path: Path | None = None, engine: Mapping[str, Any] | None = None) -> Place:
    """`engine` goes before what the file says of it. The home is made, private to its user. Raises ConfigError, DeviceError."""
    config = with_engine(configuration.load(config_path), engine or {})
    home = configuration.home()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise DeviceError(f"cannot make the home {home}: {exc.strerror}; set FREEHOLD_HOME to a folder of this user") from exc
    return Place(home=home, config=config, config_path=configuration.find(config_path), engine_options=engine or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An open node. `engine` is None where the configuration names no model."""

    app: ASGIApp
    engine: EngineClient | None
    dashboard: Dashboard | None
    mcp: McpApp | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstKeys:
    """The secrets of a new node's two keys: shown once, stored only as digests."""

    client: str
    admin: str


def make_first_keys(place: Place) -> FirstKeys | None:
    """A client key and an admin key where there has never been any; None otherwise."""
    with contextlib.closing(ClientKeys(place.record, place.config.store, sealer=node_key(key_directory(place.home)))) as keys:
        if keys.list():
            return None
        _, client = keys.create("default")
        _, admin = keys.create("admin", is_admin=True)
        return FirstKeys(client=client, admin=admin)


def fetch_model(place: Place, progress: Progress) -> None:
    """Bring the engine's model here if it is not; costs no network when it is."""
    for name in (place.config.engine.model, place.config.engine.draft_model):
        if name and place.config.engine.model:
            pull(name, place.home, progress)
            model = open_model(place.home, name)
            refuse_unsigned(model, place.config.engine.unsigned)
            if model.trust is Trust.FIRST_USE:
                progress.note(f"{name} is {trust_words(model)}; the node runs its bytes as they were then, and no others")


@contextlib.asynccontextmanager
async def open_node(place: Place, keys: KeyRing | None = None) -> AsyncIterator[Node]:
    """All rooms, open and handed to each other. `keys` stands in for the stored client keys."""
    config = place.config
    async with contextlib.AsyncExitStack() as stack:
        metrics = Metrics()
        key = node_key(key_directory(place.home))
        cipher = content_key(key_directory(place.home), make=True) if config.keep else None
        writer = RecordWriter(place.record, NodeSigner(key), config.store, sealer=key, cipher=cipher)
        stack.push_async_callback(asyncio.to_thread, writer.close)
        await asyncio.to_thread(find_trust, place.home, config.store)  # one that is not as the log knows it stops the node
        guard = await asyncio.to_thread(open_policy_guard, place, key)
        _give_memory_back()
        alarms = Alarms(config.alerts, node=platform.node(), count=metrics.count_alert, audit=writer)
        await stack.enter_async_context(alarms)
        reader = RecordReader(place.record, config.store)
        stack.callback(reader.close)
        stored_keys = ClientKeys(place.record, config.store, sealer=key)
        stack.callback(stored_keys.close)
        files = EngineFiles(config, place.home, place.folder, place.config_path, place.engine_options)
        engine = await start_engine(place, stack, surroundings=files.surroundings())
        router = _make_router(place, engine, stack, metrics, alarms)
        prices = PriceList(config.prices)
        used = await asyncio.to_thread(_used, place)
        admission = LimitKeeper(
            prices=prices,
            upstreams_for=router.upstreams_for,
            is_metered=lambda upstream: engine is not None and upstream == engine.name,
            config=config.limits,
            used=used,
            alarm=alarms,
            on_refused=metrics.count_not_admitted,
        )
        residency = load_residency(config.residency, place.folder)
        check_findings(config.residency, guard.policy.subjects)
        ring = keys or stored_keys

        keeper, log_services = _open_log(place, key, alarms, metrics)

        def status() -> Mapping[str, UpstreamStatus]:
            return {"record": writer.status(), "policy": guard.status(), **router.status(), **keeper.status()}

        def key_names() -> Mapping[KeyId, str]:
            return {key.key_id: key.name for key in stored_keys.list()}

        held = HeldCalls(writer, alarms, unix_ns=time.time_ns, count=metrics.count_approval)
        dashboard = None
        if config.dashboard.enabled:
            totals = RecordedTotals(place.record, config.store).between
            dashboard = create_dashboard(reader, ring, status, held, totals, config=config.dashboard, key_names=key_names)
            stack.push_async_callback(dashboard.close)
        mcp = _open_mcp(place, guard, writer, alarms, held, ring, metrics)
        if mcp is not None:
            stack.push_async_callback(mcp.close)
        traces = make_traces(config.traces, addresses(config.upstreams))
        stack.push_async_callback(asyncio.to_thread, traces.close)
        signals = open_signals(config, place.folder)
        turns = open_turns(config, signals, router, engine.load if engine else None, engine.name if engine else None)
        batching = None
        if config.batches.enabled and keys is None:  # a batch outlives its request: whose key it is must be stored
            store = open_batches(place.record, place.home, config, key)
            batching = open_batching(store, config, ring, stored_keys, turns, stack)
        services = Services(
            config=config.gateway,
            router=router,
            admission=admission,
            prices=prices,
            placer=Placer(residency, writer, metrics, sorted(STRICTEST), time.time_ns),
            guard=guard,
            recorder=writer,
            alarm=alarms,
            approvals=held,
            ledger=reader,
            keys=ring,
            meter=exchange_meter(config, place.folder, signals),
            metrics=metrics,
            home=place.home,
            keeping=Keeping(config.keep),
            traces=traces,
            dashboard=dashboard,
            mcp=mcp,
            log=log_services,
            turns=turns,
            batches=batching.desk if batching else None,
            engine_load=engine.load if engine else None,
        )
        hangups = [] if engine is None else [engine.try_again]
        await writer.append("policy_loaded", {"of": "guard", "digest": guard.policy_digest})
        if config.keep:
            await writer.append("policy_loaded", {"of": "keep", "rules": msgspec.to_builtins(config.keep)})
        if isinstance(residency, LabelPolicy):
            await writer.append("policy_loaded", residency.facts())
        _begin(stack, Retention(place.record, config.store, key).run())
        if config.model_audit:
            _begin(stack, _model_audits(place, engine, writer, alarms, prices, metrics).run())
        _begin(stack, follow(signals))
        await note_prices(place.record, config, writer)
        if engine is not None:
            _begin(stack, meter_journal(place.record, config, writer, engine.load).run())
        if batching is not None:
            _begin(stack, batching.run(services))
        _begin(stack, keeper.publish())
        _begin(stack, keeper.witness())
        if (path := policy_path(config.guard.policy, place.config_path, place.home)) is not None:
            hangups.append(_watch_policy(stack, path, guard, writer, metrics, alarms))
        if hangups:  # a node that looks at nothing ends, as others do
            _on_hangup(stack, hangups)
        yield Node(app=create_app(services), engine=engine, dashboard=dashboard, mcp=mcp)


def _open_log(place: Place, key: NodeKey, alarm: Alarm, metrics: Metrics) -> tuple[LogKeeper, LogServices]:
    """The log's tree, who may read it, and the witnesses of it; and this node as a witness, where it is told of logs."""
    config = place.config
    log_ = TileLog(place.record, config.store, key, config.log.origin)
    folder = None if config.log.folder is None else place.folder / config.log.folder
    keeper = LogKeeper(log_, config.log, config.witnesses, alarm, folder=folder, count=metrics.count_witnessed)
    logs = config.log.logs()
    witness = Witness(place.record, config.store, logs, log_, alarm) if logs else None
    files = None if config.log.serve == "off" else log_
    return keeper, LogServices(state=keeper, files=files, is_public=config.log.serve == "public", witness=witness)


def _open_mcp(
    place: Place, guard: Guard, writer: RecordWriter, alarm: Alarm, held: HeldCalls, keys: KeyRing, metrics: Metrics
) -> McpApp | None:
    """None where the configuration names no server."""
    config = place.config
    if not config.mcp:
        return None
    services = McpServices(
        guard=guard,
        recorder=writer,
        audit=writer,
        alarm=alarm,
        approvals=held,
        book=PinBook(place.home / PINS_FILE, time.time_ns),
        json_depth=config.gateway.json_depth,
        json_values=config.gateway.json_values,
        count=lambda entry: metrics.count(entry, between_s=None, is_served=True),
    )
    return open_mcp(config.mcp, services, keys, config.gateway, place.folder)


async def start_engine(
    place: Place,
    stack: contextlib.AsyncExitStack,
    watermark_for: WatermarkFor | None = None,
    surroundings: Surroundings | None = None,
) -> EngineClient | None:
    """The engine of `place`, on its way to being ready; it ends with `stack`. None where no model is named.

    `watermark_for` goes before what is configured.
    """
    model = place.config.engine.model
    if not model:
        return None
    if place.config.meter.source != "auto":  # what was asked for by name has to be there
        open_meter(
            engine_meter_config(place.config.meter, place.folder), expects_card=place.config.engine.device != "cpu"
        ).close()
    sockets = Path(tempfile.mkdtemp(prefix="freehold-"))  # 0700; a path below the home may exceed a socket's 108 bytes
    stack.callback(shutil.rmtree, sockets, ignore_errors=True)
    watermark_for = watermark_for or watermarks_of(place.home, place.config.engine.watermarks)
    command = engine_command(place.config, place.folder)
    engine = EngineClient(command, sockets, model, watermark_for=watermark_for, surroundings=surroundings)
    stack.push_async_callback(engine.close)
    await engine.start()
    return engine


def _make_router(
    place: Place, engine: EngineClient | None, stack: contextlib.AsyncExitStack, metrics: Metrics, alarm: Alarm
) -> Router:
    routes = [Route(upstream=engine, has_breaker=False)] if engine else []
    for settings in place.config.upstreams:
        remote = make_upstream(settings, place.folder)
        stack.push_async_callback(remote.close)
        routes.append(
            Route(
                upstream=remote,
                weight=settings.weight,
                priority=settings.priority,
                first_token_timeout_s=settings.first_token_timeout_s,
            )
        )
    return Router(routes, place.config.routing, alarm=alarm, on_try=metrics.count_try)


def _used(place: Place) -> Sequence[DayUse]:
    """What budgets of this month and this week have been drawn on."""
    since = day_of(time.time_ns()) - _LONGEST_PERIOD_DAYS
    return RecordedUsage(place.record, place.config.store).since(since * DAY_NS)


def _begin(stack: contextlib.AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    """A task that lives as long as the node."""
    task = asyncio.get_running_loop().create_task(work)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


def _model_audits(
    place: Place, engine: EngineClient | None, writer: RecordWriter, alarm: Alarm, prices: PriceList, metrics: Metrics
) -> ModelAudits:
    return ModelAudits(
        place.config,
        place.home,
        place.folder,
        engine=engine,
        audit_log=writer,
        alarm=alarm,
        prices=prices,
        note=metrics.note_model_audit,
    )


def _watch_policy(
    stack: contextlib.AsyncExitStack, path: Path, guard: StreamGuard, writer: RecordWriter, metrics: Metrics, alarm: Alarm
) -> Callable[[], None]:
    """Take the policy file's changes, looked for once a second; each goes into the log. Returns what looks at once."""
    loop = asyncio.get_running_loop()
    kept: set[asyncio.Task[None]] = set()

    def note(accepted: bool) -> None:
        metrics.count_policy_load(accepted=accepted)
        facts = {"of": "guard", "digest": guard.policy_digest}
        if accepted:
            log.info("policy_loaded", **facts)
        else:
            log.error("policy_refused", reason=guard.status().detail)
        task = loop.create_task(writer.append("policy_loaded" if accepted else "policy_rejected", facts))
        kept.add(task)
        task.add_done_callback(kept.discard)

    watch = PolicyWatch(path, guard, alarm, note)
    _begin(stack, watch.run())
    return lambda: _begin(stack, _reload(watch))


def _on_hangup(stack: contextlib.AsyncExitStack, calls: Sequence[Callable[[], None]]) -> None:
    """At SIGHUP everything that an operator may have mended is looked at. One of a terminal that was closed ends us."""
    loop = asyncio.get_running_loop()
    had_terminal = _has_terminal()

    def hang_up() -> None:
        if had_terminal and not _has_terminal():
            os.kill(os.getpid(), signal.SIGTERM)
        for call in calls:
            call()

    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in a thread beside the main one
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def _reload(watch: PolicyWatch) -> None:
    await watch.reload()


def open_policy_guard(place: Place, key: NodeKey) -> StreamGuard:
    """The guard under the configured policy. Takes a second; raises ConfigError for a policy that can't be used."""
    path = policy_path(place.config.guard.policy, place.config_path, place.home)
    secret = sha256(key.sign(b"freehold guard secret")).digest()  # Ed25519 is deterministic: the same at every start
    return open_guard(place.config.guard, read_policy(path) if path is not None else None, secret)


def _give_memory_back() -> None:
    """Compiling rules takes 15 MiB that the C library would keep for ever. It alone knows how; others have no such function."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class OneKey:
    """A key ring of one key that lives as long as its process."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._principal = Principal(key_id=KeyId("key_local"), name="local")

    def authenticate(self, secret: str) -> Principal:
        if not secrets.compare_digest(secret.encode(errors="surrogatepass"), self._secret.encode()):
            raise InvalidKey("this node runs inside another program and takes its key alone")
        return self._principal


@contextlib.asynccontextmanager
async def private_node(
    config_path: Path | None = None, progress: Progress | None = None, engine: Mapping[str, Any] | None = None
) -> AsyncIterator[tuple[str, str]]:
    """A whole node for one program: (URL, key). It listens on a free loopback port and goes with the context.

    `engine` as in `find_place`.
    """
    place = find_place(config_path, engine)
    gateway = msgspec.structs.replace(place.config.gateway, host="127.0.0.1", port=0, tls_certificate=None, tls_key=None)
    place = replace(place, config=msgspec.structs.replace(place.config, gateway=gateway))
    await asyncio.to_thread(fetch_model, place, progress or Silent())
    secret = secrets.token_urlsafe(32)
    async with open_node(place, keys=OneKey(secret)) as node:
        listener = bind(gateway, has_keys=True)
        async with serving(node.app, gateway, listener) as url:
            yield url, secret
