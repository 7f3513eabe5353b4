"""A publisher's signature beside a model that is added: it vouches for as long as its key may sign."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.core.models import Trust
from freehold.provenance.keys import NodeKey, key_directory, node_key
from freehold.provenance.local import Bringing, add, refuse_unsigned, trust_words
from freehold.provenance.model_folder import model_directory
from freehold.provenance.pieces import Recipe
from freehold.provenance.progress import Silent
from freehold.provenance.publisher import signature_beside
from freehold.provenance.pull import open_model
from freehold.provenance.signing import sign_oms, sign_own
from freehold.provenance.tree import rules
from freehold.provenance.trust import MayNotSign, TrustStore, make_entry, write_trust
from tests.fakes.tiny_gguf import write_gguf

PUBLISHER = NodeKey.generate()
NOW = datetime.now(UTC)


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(write_gguf({}, {"w": np.ones((2, 32), np.float32)}))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def signed(path: Path, form: str) -> Path:
    """With a signature beside it."""
    if form == "oms":
        raw, _ = sign_oms(path, PUBLISHER, Silent(), name="acme-m", rule=rules(), recipe=Recipe(algorithm="sha256"))
        path.with_name(f"{path.name}.sig").write_bytes(raw)
    else:
        raw, _ = sign_own(path, PUBLISHER, Silent(), name="acme-m", origin="acme", rule=rules())
        path.with_name(f"{path.name}.freehold.sig").write_bytes(raw)
    return path


def trusting(home: Path) -> TrustStore:
    key = node_key(key_directory(home))
    store = TrustStore(node=key.public).added(make_entry(PUBLISHER.public.pem(), ("acme-*",), at=NOW - timedelta(days=9)))
    write_trust(key_directory(home), store, key)
    return store


def bring(path: Path, home: Path, name: str = "acme-m") -> list[str]:
    notes = Notes()
    bringing = Bringing(directory=path.parent, names=[path.name], name=name, origin="a test", signature=signature_beside(path))
    add(bringing, home, notes, overwrite=True)
    return notes.said


@pytest.mark.parametrize("form", ["own", "oms"])
def test_a_model_that_a_trusted_key_signed_is_its_publishers(path: Path, home: Path, form: str) -> None:
    trusting(home)
    assert bring(signed(path, form), home) == []
    model = open_model(home, "acme-m")
    assert model.trust is Trust.PUBLISHER
    assert PUBLISHER.key_id in trust_words(model)
    refuse_unsigned(model, "refuse")


@pytest.mark.parametrize("form", ["own", "oms"])
def test_what_a_key_signed_that_is_revoked_or_expires_later_does_not_open(path: Path, home: Path, form: str) -> None:
    store = trusting(home)
    bring(signed(path, form), home)
    (entry,) = store.entries
    other = make_entry(NodeKey.generate().public.pem(), ("acme-*",), at=NOW)
    for changed, says in [
        (store.revoked(entry, NOW, "it leaked"), r"was revoked on .* \(it leaked\)"),
        (store.rotated(entry, other, NOW - timedelta(days=1)), f"expired on .*; {other.id} replaced it"),
    ]:
        write_trust(key_directory(home), changed, node_key(key_directory(home)))
        with pytest.raises(MayNotSign, match=says):
            open_model(home, "acme-m")


def test_what_a_key_signed_that_was_taken_off_the_store_is_trusted_on_first_use(path: Path, home: Path) -> None:
    store = trusting(home)
    bring(signed(path, "own"), home)
    write_trust(key_directory(home), store.removed(store.entries[0]), node_key(key_directory(home)))
    model = open_model(home, "acme-m")
    assert model.trust is Trust.FIRST_USE
    with pytest.raises(VerificationError, match="nobody who is trusted here signed it"):
        refuse_unsigned(model, "refuse")


@pytest.mark.parametrize("form", ["own", "oms"])
def test_a_stranger_vouches_for_nothing_and_is_told(path: Path, home: Path, form: str) -> None:
    (said,) = bring(signed(path, form), home)
    assert "vouches for nothing here" in said
    assert open_model(home, "acme-m").trust is Trust.FIRST_USE
    trusting(home)
    assert open_model(home, "acme-m").trust is Trust.PUBLISHER  # its signature was kept


def test_a_key_vouches_for_models_of_its_names_alone(path: Path, home: Path) -> None:
    trusting(home)
    with pytest.raises(MayNotSign, match=r"acme-\* and not for 'other'"):
        bring(signed(path, "own"), home, name="other")
    assert not model_directory(home, "other").exists()


@pytest.mark.parametrize("form", ["own", "oms"])
def test_a_trusted_signature_over_other_bytes_is_refused(path: Path, home: Path, form: str) -> None:
    trusting(home)
    signed(path, form)
    path.write_bytes(write_gguf({}, {"w": np.zeros((2, 32), np.float32)}))
    with pytest.raises(VerificationError, match=r"m\.gguf of acme-m is not what .* signed"):
        bring(path, home)
    assert not model_directory(home, "acme-m").exists()


def test_a_signature_that_is_none_is_malformed(path: Path, home: Path) -> None:
    path.with_name("m.gguf.sig").write_bytes(b"{")
    with pytest.raises(MalformedArtefact):
        bring(path, home)
