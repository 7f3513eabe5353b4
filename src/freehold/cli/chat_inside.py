"""The node that runs inside a chat which was told of none."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from freehold import config as configuration
from freehold import private_node
from freehold.cli.chat_client import Node
from freehold.cli.engine_options import engine_settings
from freehold.cli.terminal import PullProgress


class Inside:
    """A node of our own, on a thread of its own: it goes on while this thread waits for a line."""

    def __init__(self, engine: Mapping[str, Any]) -> None:
        """`engine` goes before the configured settings of the engine."""
        self._engine = engine
        self._ready: Future[Node] = Future()
        self._loop = asyncio.new_event_loop()
        self._life = self._loop.create_task(self._live())
        self._thread = threading.Thread(target=self._run, name="private-node", daemon=True)

    def __enter__(self) -> Node:
        logging.getLogger("freehold").addHandler(logging.NullHandler())  # a conversation is no place for a node's log
        self._thread.start()
        try:
            return self._ready.result()
        except BaseException:
            self._end()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self._end()

    async def _live(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            with PullProgress() as progress:  # shown when the model has to be fetched first
                url, key = await stack.enter_async_context(private_node.open_private_node(progress=progress, engine=self._engine))
            self._ready.set_result(Node(url=url, key=key))
            await asyncio.Event().wait()  # until cancelled

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._life)
        except BaseException as exc:
            if not self._ready.done():
                self._ready.set_exception(exc)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _end(self) -> None:
        """Let the node close its rooms in order, and wait for it."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it ended by itself
            self._loop.call_soon_threadsafe(self._life.cancel)
        self._thread.join()


def own_engine(given: Mapping[str, int | None], model: str | None) -> dict[str, int | str]:
    """The [engine] settings of a node inside. A model that no upstream has is the engine's."""
    settings = engine_settings(given)
    if model and not any(model in upstream.models for upstream in configuration.load(None).upstreams):
        settings["model"] = model
    return settings
