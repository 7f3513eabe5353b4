"""`freehold doctor`: what this machine can do, and what stands in the way, each with what to do next.

Every check is one function in `CHECKS` and gives one line. A check changes nothing on the machine. One that breaks is
itself a line: the doctor always comes to the end. Only what keeps a node from working is a `fail`.
"""

import errno
import http.client
import importlib
import importlib.metadata
import json
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import click
from msgspec.structs import replace

from freehold import __version__
from freehold import config as configuration
from freehold.cli import machine
from freehold.core.errors import ConfigError, FreeholdError
from freehold.engine.cores import usable_cores
from freehold.engine.device import has_driver
from freehold.engine.kernels.targets import choose_target, host_targets
from freehold.engine.memory import room
from freehold.gateway.serve import check_bind
from freehold.gateway.upstreams import make_upstream
from freehold.guard import StreamGuard
from freehold.meter.opening import Machine, NoSource, choose, look
from freehold.metering import exchange_meter
from freehold.place import Place
from freehold.policy_read import read_policy
from freehold.provenance.catalogue import lookup
from freehold.provenance.keys import PRIVATE_NAME, key_directory
from freehold.provenance.local import refuse_unsigned, trust_words
from freehold.provenance.manifest import MANIFEST_NAME
from freehold.provenance.model_folder import model_directory
from freehold.provenance.pull import open_model
from freehold.provenance.verifier import verify_contents
from freehold.residency import check_findings, load_residency
from freehold.store.keys import ClientKeys
from freehold.store.reader import RecordReader

MEMORY_BYTES = 1 << 29  # the embedded model with its cache, the gateway and the compiler
DISK_BYTES = 1 << 30  # the model takes 0.1 GB, a year of 10 exchanges a minute about 5 GB
VERIFY_LIMIT_BYTES = 4 << 30  # hashing this takes seconds; larger models are checked block by block as they load
CLOCK_SLACK_S = 300.0


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation(Place):
    """What the checks look at. `config` is the default where the file does not hold together; `config_error` says why."""

    config_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`advice` is what to do next; empty where nothing needs doing."""

    level: Level
    detail: str
    advice: str = ""


def ok(detail: str) -> Verdict:
    return Verdict(level=Level.OK, detail=detail)


def warn(detail: str, advice: str) -> Verdict:
    return Verdict(level=Level.WARN, detail=detail, advice=advice)


def fail(detail: str, advice: str) -> Verdict:
    return Verdict(level=Level.FAIL, detail=detail, advice=advice)


def check_python(situation: Situation) -> Verdict:
    return ok(f"Python {platform.python_version()}, freehold {__version__}")


def check_config(situation: Situation) -> Verdict:
    if situation.config_error is not None:
        return fail(situation.config_error, "mend the file; docs/configuration.md lists every setting")
    return ok("holds together")


def _nearest(home: Path) -> Path:
    """The folder that is there already."""
    return next(folder for folder in (home, *home.parents) if folder.exists())


def check_home(situation: Situation) -> Verdict:
    place = _nearest(situation.home)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as exc:
        return fail(f"{place} takes no file: {exc.strerror}", "give it to this user, or set FREEHOLD_HOME to another folder")
    return ok(str(situation.home) if place == situation.home else f"{situation.home} (made at first start)")


def check_disk(situation: Situation) -> Verdict:
    free_bytes = shutil.disk_usage(_nearest(situation.home)).free
    detail = f"{free_bytes / 1e9:.1f} GB free"
    if free_bytes < DISK_BYTES // 8:
        return fail(detail, "free some space: an answer is only given when its record can be written")
    if free_bytes < DISK_BYTES:
        return warn(detail, "free some space soon: when the disk is full, the node stops answering")
    return ok(detail)


def check_cpu(situation: Situation) -> Verdict:
    features = " ".join(machine.cpu_features()) or "none of those the kernels use"
    return ok(f"{machine.cpu_model()}, {usable_cores()} cores to use; {features}")


def check_kernels(situation: Situation) -> Verdict:
    wanted = situation.config.engine.kernels
    chosen, possible = choose_target(None if wanted == "auto" else wanted).name, host_targets()
    if chosen == "portable":
        return warn("portable", "expect slow answers: this CPU has none of the instructions the fast kernels are written for")
    if chosen != possible[0]:
        return warn(f"{chosen}, as the settings ask", f"kernels in [engine], or FREEHOLD_KERNELS, could be {possible[0]}")
    return ok(f"{chosen} (possible: {', '.join(possible)})")


def check_memory(situation: Situation) -> Verdict:
    found = room()
    detail = (
        f"{found.limit_bytes / 2**30:.1f} GiB limit of {found.bound_by}, {found.available_bytes / 2**30:.1f} GiB free, "
        f"{max(0, found.usable_bytes) / 2**30:.1f} GiB for a model"
    )
    if found.usable_bytes < MEMORY_BYTES:
        return warn(detail, "free some memory: the engine refuses a model that does not fit with room to spare")
    return ok(detail)


def check_matcher(situation: Situation) -> Verdict:
    """re2 finds exact spans and must be there; hyperscan makes scanning fast and may be missing."""
    if not _can_import("re2"):
        return fail("google-re2 cannot be loaded", "install freehold again in a fresh environment: nothing is sent unscanned")
    if not _can_import("hyperscan"):
        return warn("re2 alone", "install hyperscan for scanning several times as fast; it has packages for x86-64 and arm64")
    return ok(f"hyperscan {_version('hyperscan')}, google-re2 {_version('google-re2')}")


def check_model(situation: Situation) -> Verdict:
    if not situation.config.engine.model:
        return ok("none: the engine is off, remote providers answer")
    name = situation.config.engine.model
    pin = lookup(name)
    if pin is not None and not (model_directory(situation.home, pin.name) / MANIFEST_NAME).exists():
        return warn(f"{name} is not here yet", f"`freehold models pull {name}` fetches it; `freehold serve` does so by itself")
    model = open_model(situation.home, name)
    refuse_unsigned(model, situation.config.engine.unsigned)
    size_bytes = sum(file.size_bytes for file in model.manifest.files)
    if size_bytes > VERIFY_LIMIT_BYTES:
        held = f"{size_bytes / 1e9:.1f} GB: sizes hold, blocks are checked as they load"
    else:
        verify_contents(model)
        held = f"{size_bytes / 1e6:.0f} MB: every block verified"
    return ok(f"{name}, {held}; {trust_words(model)}")


def check_policy(situation: Situation) -> Verdict:
    config = situation.config
    path = situation.policy
    # re2 compiles in a moment; what is found is the same
    guard = StreamGuard(replace(config.guard, engine="re2"), policy=read_policy(path) if path is not None else None)
    load_residency(config.residency, situation.folder)
    check_findings(config.residency, guard.policy.subjects)
    return ok(str(path) if path is not None else "the defaults, and what [guard] says")


def check_upstreams(situation: Situation) -> Verdict:
    """Whether they can be asked, not whether they answer: that would be traffic."""
    config = situation.config
    for upstream in config.upstreams:
        make_upstream(upstream, situation.folder)
    if not config.upstreams and not config.engine.model:
        return warn("none, and no engine: nobody answers", "name a model in [engine], or a provider in [[upstreams]]")
    return ok(", ".join(upstream.name for upstream in config.upstreams) or "none: the engine answers")


def check_meter(situation: Situation) -> Verdict:
    """Which source tells joules; `freehold meter sources` says why the others do not."""
    config = situation.config
    exchange_meter(config, situation.folder)  # a country or a file of factors that is not one
    found = look(config.meter, Machine(folder=situation.folder))
    source = choose(found, config.meter, on_card=config.engine.device != "cpu" and has_driver())
    for one in found:
        if one.source is not None:
            one.source.close()
    where = "" if config.meter.country or config.signal.file or config.signal.command else "; carbon unknown: no [meter] country"
    broken = [one.detail for one in found if one.kind == "external" and one.source is None and config.meter.external is not None]
    if broken:
        return warn(broken[0], f"mend [meter.external], or take it out: energy comes from {source.name} meanwhile")
    if isinstance(source, NoSource):
        return warn("energy of the card is unknown", "set [meter] gpu_tdp_w; see: freehold meter sources")
    return ok(f"{source.name} ({source.grade.replace('_', ' ')}){where}")


def check_node_key(situation: Situation) -> Verdict:
    path = key_directory(situation.home) / PRIVATE_NAME
    if not path.exists():
        return ok("made at first start")
    for place in (path, path.parent):
        mode = place.stat().st_mode & 0o777
        if mode & 0o077:
            return fail(f"{place} can be read by others (mode {mode:04o})", f"chmod {mode & 0o700:04o} '{place}'")
    return ok(f"{path}, for this user alone")


def check_client_keys(situation: Situation) -> Verdict:
    if not situation.record.exists():
        return ok("made and shown at first start")
    keys = ClientKeys(situation.record, situation.config.store)
    try:
        valid = [key for key in keys.list() if key.revoked_at_ns is None]
    finally:
        keys.close()
    admins = sum(key.is_admin for key in valid)
    if not valid:
        return fail("no valid key: nobody can ask", "freehold keys create NAME")
    if not admins:
        return warn(f"{len(valid)} valid, none of an admin", "freehold keys create NAME --admin opens the dashboard")
    return ok(f"{len(valid)} valid, {admins} of them admin")


def check_port(situation: Situation) -> Verdict:
    gateway = situation.config.gateway
    place = f"{gateway.host}:{gateway.port}"
    try:
        check_bind(gateway, has_keys=True)  # the first start makes some
    except ConfigError as error:
        return fail(f"{place} would be refused", error.message)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(gateway.host, gateway.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE and _is_node(gateway.host, gateway.port):
            return ok(f"a node is listening on {place}")
        reason = "is taken by another program" if exc.errno == errno.EADDRINUSE else f"cannot be used: {exc.strerror}"
        return fail(f"{place} {reason}", "choose another: `freehold serve --port 8401`, or port in [gateway]")
    return ok(f"{place} is free")


def check_clock(situation: Situation) -> Verdict:
    """Receipts carry the time: it must not lie before this installation, nor before what the record already holds."""
    now_s = time.time()
    if now_s + CLOCK_SLACK_S < Path(configuration.__file__).stat().st_mtime:
        return fail("the clock is behind the time freehold was installed", "set the clock: receipts carry the time")
    if situation.record.exists():
        reader = RecordReader(situation.record, situation.config.store)
        try:
            newest = reader.recent(1)
        finally:
            reader.close()
        if newest and now_s + CLOCK_SLACK_S < newest[0][1].received_at_ns / 1e9:
            return fail("the clock is behind the newest exchange of the record", "set the clock: receipts carry the time")
    return ok(time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s)))


CHECKS: dict[str, Callable[[Situation], Verdict]] = {
    "python": check_python,
    "configuration": check_config,
    "home": check_home,
    "disk": check_disk,
    "cpu": check_cpu,
    "kernels": check_kernels,
    "memory": check_memory,
    "guard engine": check_matcher,
    "model": check_model,
    "policy": check_policy,
    "upstreams": check_upstreams,
    "energy": check_meter,
    "node key": check_node_key,
    "client keys": check_client_keys,
    "port": check_port,
    "clock": check_clock,
}


def examine(situation: Situation) -> Iterator[tuple[str, Verdict]]:
    for name, check in CHECKS.items():
        try:
            yield name, check(situation)
        except FreeholdError as failure:
            yield name, fail(failure.message, "")
        except Exception as exc:
            yield (
                name,
                fail(f"could not be checked: {type(exc).__name__}: {exc}", "this is the doctor's defect: please report it"),
            )


def situation(path: Path | None) -> Situation:
    try:
        found = configuration.find(path)
        return Situation(home=configuration.home(), config=configuration.load(path), config_path=found)
    except FreeholdError as failure:
        return Situation(home=configuration.home(), config=configuration.Config(), config_error=failure.message)


@click.command()
@click.option("--config", "path", type=click.Path(path_type=Path), help="The configuration to judge. Default: as for `serve`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every line.")
def doctor(path: Path | None, as_json: bool) -> None:
    """What this machine can do, and what is misconfigured. Exits 1 when something must be mended."""
    verdicts = {}
    for name, verdict in examine(situation(path)):
        verdicts[name] = verdict
        if not as_json:
            _show(name, verdict)
    failed = sum(verdict.level is Level.FAIL for verdict in verdicts.values())
    if as_json:
        checks = [{"check": name, **asdict(verdict)} for name, verdict in verdicts.items()]
        click.echo(json.dumps({"ok": not failed, "checks": checks}, indent=2))
    else:
        click.echo(f"{failed} to mend" if failed else "this machine can run a node")
    sys.exit(1 if failed else 0)


_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def _show(name: str, verdict: Verdict) -> None:
    click.echo(f"{click.style(f'{verdict.level.value:<4}', fg=_COLOURS[verdict.level])}  {name:<13} {verdict.detail}")
    if verdict.advice:
        click.echo(f"{'':<20}→ {verdict.advice}")


def _can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _is_node(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return response.status == 200 and bool(response.read(4096))
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
