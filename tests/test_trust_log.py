from pathlib import Path

import pytest

from freehold.app import open_node
from freehold.config import Config
from freehold.core.errors import ConfigError, VerificationError
from freehold.place import Place
from freehold.provenance.keys import NodeKey, key_directory, node_key
from freehold.provenance.trust import TRUST_NAME, TrustStore, make_entry, write_trust
from freehold.store.config import StoreConfig
from freehold.trust_log import change_trust, find_trust

STORE = StoreConfig()
ENTRY = make_entry(NodeKey.generate().public.pem(), ["acme-*"])


def add(home: Path) -> TrustStore:
    return change_trust(home, STORE, lambda store: store.added(ENTRY), {"change": "added"})


def test_a_home_without_a_key_trusts_nobody(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody is trusted: add a key, or name one with --key"):
        find_trust(tmp_path, STORE)


def test_what_was_changed_is_found_and_agrees_with_the_log(tmp_path: Path) -> None:
    store = add(tmp_path)
    assert find_trust(tmp_path, STORE) == store
    changed = change_trust(tmp_path, STORE, lambda store: store.removed(store.entries[0]), {"change": "removed"})
    assert find_trust(tmp_path, STORE) == changed
    assert changed.entries == ()


def test_a_store_that_the_log_does_not_know_is_not_believed_even_with_the_nodes_seal(tmp_path: Path) -> None:
    store = add(tmp_path)
    key = node_key(key_directory(tmp_path))
    for other in (TrustStore(node=key.public, serial=1), TrustStore(node=key.public, entries=store.entries, serial=7)):
        write_trust(key_directory(tmp_path), other, key)
        with pytest.raises(VerificationError, match="not the trust store that the log knows"):
            find_trust(tmp_path, STORE)
        with pytest.raises(VerificationError, match="not the trust store that the log knows"):
            change_trust(tmp_path, STORE, lambda store: store, {})


def test_a_change_that_is_refused_leaves_row_and_file_as_they_were(tmp_path: Path) -> None:
    store = add(tmp_path)
    with pytest.raises(RuntimeError):
        change_trust(tmp_path, STORE, _fail, {})
    assert find_trust(tmp_path, STORE) == store


def _fail(store: TrustStore) -> TrustStore:
    raise RuntimeError(store.serial)


async def test_a_node_does_not_start_over_a_store_that_was_put_back(tmp_path: Path) -> None:
    add(tmp_path)
    (key_directory(tmp_path) / TRUST_NAME).unlink()
    with pytest.raises(VerificationError, match="or it was removed"):
        async with open_node(Place(home=tmp_path, config=Config())):
            pass
