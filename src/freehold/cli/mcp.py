"""`freehold mcp`: guard MCP servers without a node, and decide on what servers changed."""

import asyncio
import contextlib
import json
import os
import re
import selectors
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from freehold import config as configuration
from freehold.cli import Failed
from freehold.cli.asking import AskingNode, asking_node
from freehold.cli.log import log_events
from freehold.cli.terminal import print_table
from freehold.core.errors import InvalidRequest
from freehold.core.findings import Alert
from freehold.gateway import log
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.opening import part
from freehold.gateway.mcp.pins import FILE_NAME, PINNED, Pin, PinBook, digests_of, list_digest, shown
from freehold.gateway.mcp.services import Bounds, McpServices
from freehold.gateway.paths import Paths
from freehold.guard_cache import open_policy_guard
from freehold.place import Place, find_place
from freehold.provenance.keys import key_directory, node_key
from freehold.provenance.signer import NodeSigner
from freehold.store.writer import RecordWriter

_SHOWN_DIGEST_CHARS = len("sha256:") + 12


@click.group()
def mcp() -> None:
    """Guard MCP servers: wrap one, and decide on tools that changed."""


@mcp.command(context_settings={"ignore_unknown_options": True})
@click.option("--name", help="What the server is called in pins and record; default: made of the command.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--url", envvar="FREEHOLD_URL", show_envvar=True, help="A node through which a person is asked.")
@click.option("--key", envvar="FREEHOLD_API_KEY", show_envvar=True, default="", help="A client key of that node.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def wrap(name: str | None, config_path: Path | None, url: str | None, key: str, command: tuple[str, ...]) -> None:
    """Start the MCP server COMMAND and stand between it and the client on standard input and output.

    Put it in a client's configuration in place of the server's own command: freehold mcp wrap -- COMMAND. Calls are judged,
    results scanned, tools pinned and receipts kept as in a node. A call that policy asks a person about waits for one who is
    asked through the node at --url; without a node, or where it can't be asked, it is refused. An [[mcp]] table of the same
    name gives the settings.
    """
    log_events()
    place = find_place(config_path)
    sys.exit(asyncio.run(_wrap(place, _settings(place, name, command), asking_node(url, key))))


def _settings(place: Place, name: str | None, command: tuple[str, ...]) -> McpConfig:
    named = name or _name_of(command)
    for table in place.config.mcp:
        if table.name == named:
            return msgspec.structs.replace(table, command=command, url=None, headers={}) if command else table
    try:
        return msgspec.convert({"name": named, "command": command}, McpConfig)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(f"--name {named!r} is no name for a server: a-z, 0-9, - and _ may be in it") from exc


def _name_of(command: tuple[str, ...]) -> str:
    """Two servers that one program starts have different pins."""
    word = re.sub(r"[^a-z0-9]+", "-", Path(command[0]).name.lower()).strip("-")[:40] or "server"
    return f"{word}-{sha256(json.dumps(command).encode()).hexdigest()[:8]}"


async def _wrap(place: Place, config: McpConfig, node: AskingNode | None) -> int:
    wrapping = part("wrap")
    guard = open_policy_guard(place, node_key(key_directory(place.home)))  # as the node's own: the same values, the same digests
    with _record(place) as writer:
        services = McpServices(
            guard=guard,
            recorder=writer,
            audit=writer,
            alarm=_Told(),
            approvals=node or wrapping.Nobody(),
            book=_book(place),
            json_depth=place.config.gateway.json_depth,
            json_values=place.config.gateway.json_values,
            paths=Paths(place.folders),
        )
        async with _standard_streams(config.message_limit_bytes) as (reader, write):
            work = asyncio.ensure_future(wrapping.Wrap(config, services, write).run(wrapping.lines_of(reader), os.environ))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, work.cancel)
            try:
                code: int = await work
            except asyncio.CancelledError:
                code = 0
            return code


class _Told:
    """Implements `Alarm`: there is no webhook here, but the client keeps what stands on standard error."""

    def raise_alert(self, alert: Alert) -> None:
        log.error("alert", kind=alert.kind, severity=alert.severity, message=alert.message)


@contextlib.asynccontextmanager
async def _standard_streams(limit_bytes: int) -> AsyncIterator[tuple[asyncio.StreamReader, Any]]:
    """Standard input by lines, and a writer of lines to standard output."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit_bytes)
    try:
        with selectors.DefaultSelector() as selector:  # asyncio would wait for ever on what can't be waited for: /dev/null
            selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        coming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        going, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    except (ValueError, PermissionError) as exc:
        raise InvalidRequest("an MCP client speaks through pipes: standard input and output can't be files") from exc
    writer = asyncio.StreamWriter(going, protocol, None, loop)
    turn = asyncio.Lock()

    async def write(line: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has left, which reading tells
            async with turn:
                writer.write(line + b"\n")
                await writer.drain()

    try:
        yield reader, write
    finally:
        coming.close()
        going.close()


@contextlib.contextmanager
def _record(place: Place) -> Iterator[RecordWriter]:
    key = node_key(key_directory(place.home))
    writer = RecordWriter(place.record, NodeSigner(key), place.config.store, sealer=key)
    try:
        yield writer
    finally:
        writer.close()


def _book(place: Place) -> PinBook:
    return PinBook(place.home / FILE_NAME, time.time_ns)


@mcp.group()
def pins() -> None:
    """See and decide what of MCP servers is trusted as it is now."""


@pins.command("list")
@click.argument("server", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_pins(server: str | None, as_json: bool) -> None:
    """List what servers offer and what waits, of all servers or of SERVER."""
    book = PinBook(configuration.home() / FILE_NAME, time.time_ns)
    known = {name: pins.kinds for name, pins in book.servers().items() if server in (None, name)}
    if as_json:
        click.echo(json.dumps({name: _document(kinds) for name, kinds in known.items()}, indent=2))
        return
    table = Table("server", "what", "name", "state", "digest", "since (UTC)", box=None)
    for name, kinds in known.items():
        for kind, items in kinds.items():
            for item, pin in sorted(items.items()):
                state = "accepted" if pin.may_pass else f"withheld: {pin.why}"
                digest = (pin.waiting or pin.accepted)[:_SHOWN_DIGEST_CHARS]
                since = datetime.fromtimestamp(pin.at, UTC).strftime("%Y-%m-%d %H:%M")
                table.add_row(name, PINNED.get(kind, kind), shown(item), state, digest, since)
    print_table(table)


def _document(kinds: Mapping[str, Mapping[str, Pin]]) -> dict[str, object]:
    items = {kind: {name: msgspec.to_builtins(pin) for name, pin in items.items()} for kind, items in kinds.items()}
    tools = {name: pin.waiting or pin.accepted for name, pin in kinds.get("tools", {}).items()}
    return {"pin": list_digest(tools), **items}


@pins.command()
@click.argument("server")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def show(server: str, config_path: Path | None, command: tuple[str, ...]) -> None:
    """Ask SERVER what it offers now, and show what of that waits, letter by letter: what can't be seen is written as an escape.

    Read it before you accept it. A server that is wrapped and has no [[mcp]] table needs its command: … show NAME -- COMMAND
    """
    place = find_place(config_path)
    waiting = {(kind, name): pin for kind, name, pin in _book(place).waiting(server)}
    if not waiting:
        raise Failed(f"nothing of {server} waits")
    if not command and server not in {table.name for table in place.config.mcp}:
        raise InvalidRequest(f"there is no [[mcp]] table {server!r}; add the command that starts the server: -- COMMAND")
    offered = [
        (kind, str(item.get("uriTemplate" if kind == "resourceTemplates" else "name", "")), item)
        for kind, item in asyncio.run(_offered(place, _settings(place, server, command)))
    ]
    digests = {kind: digests_of((name, item) for its, name, item in offered if its == kind) for kind in PINNED}
    for kind, name, item in offered:
        if (pin := waiting.get((kind, name))) is not None:
            again = "" if digests[kind][name] == pin.waiting else ", and changed since it was seen last"
            click.echo(f"{PINNED[kind]} {shown(name)} ({pin.why}{again}):")
            click.echo(json.dumps(item, indent=2))


async def _offered(place: Place, config: McpConfig) -> list[tuple[str, Mapping[str, Any]]]:
    gateway = place.config.gateway
    bounds = Bounds(size_bytes=config.message_limit_bytes, depth=gateway.json_depth, values=gateway.json_values)
    found: list[tuple[str, Mapping[str, Any]]] = await part("looking").offered(config, bounds, place.folder, os.environ)
    return found


@pins.command()
@click.argument("server")
@click.option("--only", multiple=True, metavar="NAME", help="Accept this tool, prompt or template alone. May be repeated.")
def accept(server: str, only: tuple[str, ...]) -> None:
    """Trust what SERVER offers now, in place of what was accepted before. It is noted in the log."""
    place = find_place()
    book = _book(place)
    waiting = book.waiting(server, frozenset(only))
    if not waiting:
        raise Failed(f"nothing of {server} waits" + (" under these names" if only else ""))
    changes = [
        {"kind": kind, "name": shown(name), "why": pin.why, "was": pin.accepted, "now": pin.waiting}
        for kind, name, pin in waiting
    ]
    asyncio.run(_note(place, "mcp_pins_accepted", {"server": server, "accepted": changes}))  # first, so that it is never without
    book.accept(server, waiting)
    for kind, name, pin in waiting:
        click.echo(f"{PINNED.get(kind, kind)} {shown(name)} ({pin.why}) is accepted as it is now")


@pins.command()
@click.argument("server")
def forget(server: str) -> None:
    """Forget SERVER: what it offers next is trusted as at first sight. It is noted in the log."""
    place = find_place()
    book = _book(place)
    book.waiting(server)  # there is such a server
    asyncio.run(_note(place, "mcp_pins_forgotten", {"server": server}))
    book.forget(server)
    click.echo(f"{server} is forgotten; its next list is pinned as at first sight")


async def _note(place: Place, kind: str, facts: dict[str, object]) -> None:
    with _record(place) as writer:
        await writer.append(kind, facts)
