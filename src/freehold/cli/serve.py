"""`freehold serve`: the node, from nothing to ready.

What happens here in order: the address is taken, the model is pulled if it is not there, and the guard's rules are compiled
beside it; the first keys are made and shown once, the rooms open, the port listens, and the engine loads. The first Ctrl-C or
SIGTERM lets answers under way finish, a second ends them. With `--json` each of these steps is one JSON object a line on standard
output, for a supervisor to read; the log goes to standard error either way.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec

from freehold import heap
from freehold.app import Node, open_node
from freehold.cli.engine_options import engine_options, engine_settings
from freehold.cli.lines import progress_on
from freehold.cli.log import log_events
from freehold.cli.serve_teller import JsonTeller, Teller
from freehold.core.errors import UpstreamUnavailable
from freehold.first_start import fetch_model, make_first_keys
from freehold.gateway.serve import bind, event_loop, serving, url_of
from freehold.guard_cache import compiling
from freehold.place import Place, find_place
from freehold.provenance.progress import Progress

POLL_S = 0.05  # how often loading is looked at: a bar moves smoothly at 20 a second
REFUSAL_POLL_S = 0.5
YOUNG_OBJECTS = 5000  # what streams under way hold at once: Python's own 700 has each looked at again and again


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--host", help="Address to listen on, instead of the configured one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes any free one.")
@click.option("--model", help="The engine's model: the name of one that can be pulled or was added, or a path.")
@engine_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each step.")
def serve(
    config_path: Path | None, host: str | None, port: int | None, model: str | None, as_json: bool, **engine: int | None
) -> None:
    """Run the node: the embedded model, the guard, the record and the dashboard on one port."""
    log_events()
    heap.keep_little()
    tell = JsonTeller() if as_json else Teller()
    with progress_on(sys.stderr, quiet=as_json) as progress:
        named = {} if model is None else {"model": _named(model, progress)}
        settings: dict[str, Any] = engine_settings(engine) | named
        place = _with_address(find_place(config_path, settings), host, port)
        listener = bind(place.config.gateway, has_keys=True)  # what is wrong with the address is told before the rest is fetched
        with compiling(place):
            fetch_model(place, progress)
    first_keys = make_first_keys(place)
    if first_keys is not None:
        tell.keys(first_keys)
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(_run(place, tell, listener))


def _named(model: str, progress: Progress) -> str:
    """The name to serve `model` by, which may be a path."""
    if not Path(model).exists():
        return model
    from freehold.cli.model_paths import name_on_first_use  # noqa: PLC0415  # with it comes what reads models: 7 MiB

    return name_on_first_use(model, progress)


def _with_address(place: Place, host: str | None, port: int | None) -> Place:
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    gateway = msgspec.structs.replace(place.config.gateway, **given)
    return replace(place, config=msgspec.structs.replace(place.config, gateway=gateway))


async def _run(place: Place, tell: Teller, listener: socket.socket) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: (hurry if stop.is_set() else stop).set())
    async with open_node(place) as node, serving(node.app, place.config.gateway, listener, hurry):
        tell.listening(url_of(listener, place.config.gateway))
        stopping = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(_await_engine(node, tell))
        await asyncio.wait((stopping, starting), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            _settle_memory()
            tell.ready(place)
            telling = asyncio.create_task(_tell_refusals(node, tell))
            await stopping
            telling.cancel()
        starting.cancel()
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        tell.stopping()
        if node.dashboard is not None:
            await node.dashboard.close()  # open pages end now; answers under way are waited for
        if node.mcp is not None:
            await node.mcp.close()  # clients that only listen have nothing under way


async def _await_engine(node: Node, tell: Teller) -> None:
    """Until the engine can answer. An engine that cannot start at all is for the operator to mend, not for us to retry."""
    if node.engine is None:
        return
    with tell:
        while not node.engine.status().ready:
            if node.engine.trouble is not None:
                raise UpstreamUnavailable(f"the engine cannot run {node.engine.models[0]}: {node.engine.trouble}")
            if node.engine.fit:
                tell.fit(node.engine.fit)
            if node.engine.loading is not None:
                tell.loading(node.engine.loading)
            await asyncio.sleep(POLL_S)


async def _tell_refusals(node: Node, tell: Teller) -> None:
    """A model that ran may be refused when its engine starts again: then requests fail until somebody mends it."""
    told = None
    while node.engine is not None:
        await asyncio.sleep(REFUSAL_POLL_S)
        refusal = node.engine.refusal
        if refusal is not None and refusal != told:
            tell.refused(refusal.words(node.engine.models[0]))
        if refusal is not None or node.engine.status().ready:
            told = refusal


def _settle_memory() -> None:
    """Once all that serves is there: it lives as long as the process, and no collection need look at it again."""
    gc.collect()
    heap.give_back()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
