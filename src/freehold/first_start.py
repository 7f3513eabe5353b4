"""What a node has to have before it opens: its model, and the keys of its first users."""

import contextlib
from dataclasses import dataclass

from freehold.core.models import Trust
from freehold.place import Place
from freehold.provenance.keys import key_directory, node_key
from freehold.provenance.progress import Progress
from freehold.store.keys import ClientKeys


def fetch_model(place: Place, progress: Progress) -> None:
    """Bring the engine's model here if it is not; costs no network when it is."""
    engine = place.config.engine
    if not engine.model:
        return
    from freehold.provenance.local import refuse_unsigned, trust_words  # noqa: PLC0415  # with them comes what scans models,
    from freehold.provenance.pull import open_model, pull  # noqa: PLC0415  # and what reads signatures: 3 MiB

    for name in filter(None, (engine.model, engine.draft_model)):
        pull(name, place.home, progress)
        model = open_model(place.home, name)
        refuse_unsigned(model, engine.unsigned)
        if model.trust is Trust.FIRST_USE:
            progress.note(f"{name} is {trust_words(model)}; the node runs its bytes as they were then, and no others")


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
