"""The two sides of an audit: a configured upstream, a model of this machine, or a baseline in a file; and one audit of them."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from freehold.config import Config
from freehold.core.errors import ConfigError, NotFound, UpstreamUnavailable
from freehold.core.ports import Prices, Upstream
from freehold.engine.client import EngineClient
from freehold.gateway.upstreams import make_upstream
from freehold.model_audits.collect import Collector, Pace, Sleep, Told, recounted
from freehold.model_audits.spending import Ceiling, Spending
from freehold.provenance.files import named, read_small
from freehold.provenance.model_audit.baseline import LIMIT_BYTES, Baseline, decode
from freehold.provenance.model_audit.comparison import Comparison, compare
from freehold.provenance.model_audit.sample import AuditPlan, Sample
from freehold.provenance.pull import open_model

ENGINE = "freehold"  # what our own engine is called among the upstreams
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SideName:
    """Where a side's answers come from, before anything is opened. Exactly one of `upstream`, `local` and `file` is set."""

    upstream: str | None = None
    local: str | None = None
    file: Path | None = None
    model: str = ""

    def __str__(self) -> str:
        if self.file is not None:
            return str(self.file)
        return f"{self.model} of upstream {self.upstream}" if self.upstream is not None else f"{self.model} on this machine"

    @property
    def price_name(self) -> str:
        return self.upstream or ENGINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Opened: something that answers."""

    name: SideName
    upstream: Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One side's sample, what it cost, and what it could not give."""

    sample: Sample
    spending: Spending
    cannot: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    comparison: Comparison
    now: Taken
    reference: Sample


def find_side(config: Config, home: Path, folder: Path, name: str, model: str | None, *, may_be_file: bool) -> SideName:
    """What `name` is: a configured upstream, a baseline's file, or a model of this machine. Raises ConfigError, NotFound."""
    for settings in config.upstreams:
        if settings.name == name:
            return SideName(upstream=name, model=_model_of(name, list(settings.models), model))
    path = folder / Path(name).expanduser()
    if may_be_file and path.is_file():
        if model is not None:
            raise ConfigError(f"{name} is a baseline and has its own model; leave the reference's model out")
        return SideName(file=path)
    known = config.engine.model if name == ENGINE else name
    try:
        return SideName(local=known, model=open_model(home, known).manifest.name)
    except NotFound as exc:
        names = ", ".join(settings.name for settings in config.upstreams) or "none"
        files = ", no file" if may_be_file else ""
        raise ConfigError(
            f"{name!r:.200} is no upstream in the configuration (there are: {names}){files}, and no model on this machine: "
            "`freehold models list` tells which are"
        ) from exc


def _model_of(upstream: str, models: list[str], model: str | None) -> str:
    if model is None and len(models) == 1:
        return models[0]
    if model not in models:
        what = "say which model is meant" if model is None else f"it has no model {model!r:.100}"
        raise ConfigError(f"upstream {upstream}: {what}; it has {', '.join(models)}")
    return model


def read_baseline(path: Path) -> Baseline:
    """Raises DeviceError, MalformedArtefact, naming the file."""
    raw = read_small(path, "baseline", LIMIT_BYTES)
    with named(path):
        return decode(raw)


@contextlib.asynccontextmanager
async def open_side(config: Config, folder: Path, name: SideName, engine: Upstream | None = None) -> AsyncIterator[Side]:
    """`engine` is the node's own, where it runs: it answers for its model. A local model otherwise gets an engine of its own."""
    if name.upstream is not None:
        (settings,) = (one for one in config.upstreams if one.name == name.upstream)
        remote = make_upstream(settings, folder)
        try:
            yield Side(name=name, upstream=remote)
        finally:
            await remote.close()
    elif engine is not None and name.local in engine.models:
        yield Side(name=replace(name, model=name.local or ""), upstream=engine)
    else:
        async with _own_engine(config, name.local or "") as own:
            yield Side(name=name, upstream=own)


@contextlib.asynccontextmanager
async def _own_engine(config: Config, model: str) -> AsyncIterator[EngineClient]:
    settings = msgspec.structs.replace(config.engine, model=model, draft_model="")
    command = [sys.executable, "-m", "freehold", "engine", "--settings", msgspec.json.encode(settings).decode()]
    sockets = Path(tempfile.mkdtemp(prefix="freehold-"))
    engine = EngineClient(command, sockets, model)
    try:
        await engine.start()
        while not engine.status().ready:
            if engine.trouble is not None:
                raise UpstreamUnavailable(f"the engine cannot run {model}: {engine.trouble}")
            await asyncio.sleep(_LOOK_EVERY_S)
        yield engine
    finally:
        await engine.close()
        shutil.rmtree(sockets, ignore_errors=True)


async def take(
    side: Side,
    plan: AuditPlan,
    prices: Prices,
    pace: Pace,
    ceiling: Ceiling,
    *,
    of_reference: bool = False,
    told: Told | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Taken:
    """Ask one side. As `Collector.collect`."""
    model = side.name.model
    spending = Spending(ceiling if side.name.upstream is not None else Ceiling(), prices, model, side.name.price_name)
    collector = Collector(
        side.upstream,
        model,
        plan,
        spending,
        pace,
        of_reference=of_reference,
        sleep=sleep,
        told=told or (lambda _requests, _prompts: None),
    )
    sample = await collector.collect()
    return Taken(sample=sample, spending=spending, cannot=collector.cannot)


async def judged(
    plan: AuditPlan,
    now: Taken,
    reference: Sample,
    counted_by: Side | None,
    *,
    is_same_service: bool,
    run: int = 0,
    tell_power: bool = True,
) -> Audited:
    """Compare, off the event loop: it takes seconds. `counted_by` has the reference's tokenizer."""
    sample = now.sample
    if counted_by is not None and isinstance(counted_by.upstream, EngineClient):
        sample = await recounted(sample, counted_by.name.model, counted_by.upstream)
    work = partial(compare, plan, reference, sample, is_same_service=is_same_service, run=run, tell_power=tell_power)
    return Audited(comparison=await asyncio.to_thread(work), now=now, reference=reference)
