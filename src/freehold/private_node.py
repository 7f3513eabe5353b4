"""A whole node for one program: it takes that program's key alone, and goes with it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from freehold.app import open_node
from freehold.core.errors import InvalidKey
from freehold.core.exchange import KeyId, Principal
from freehold.first_start import fetch_model
from freehold.gateway.serve import bind, serving
from freehold.place import find_place
from freehold.provenance.progress import Progress, Silent


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
async def open_private_node(
    config_path: Path | None = None, progress: Progress | None = None, engine: Mapping[str, Any] | None = None
) -> AsyncIterator[tuple[str, str]]:
    """(URL, key) of a node that listens on a free loopback port as long as the context is open. `engine` as in `find_place`."""
    place = find_place(config_path, engine)
    gateway = msgspec.structs.replace(place.config.gateway, host="127.0.0.1", port=0, tls_certificate=None, tls_key=None)
    place = replace(place, config=msgspec.structs.replace(place.config, gateway=gateway))
    await asyncio.to_thread(fetch_model, place, progress or Silent())
    secret = secrets.token_urlsafe(32)
    async with open_node(place, keys=OneKey(secret)) as node:
        listener = bind(gateway, has_keys=True)
        async with serving(node.app, gateway, listener) as url:
            yield url, secret
