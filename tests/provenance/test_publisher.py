"""A publisher's signature beside a model that is added: it vouches for as long as its key may sign."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.core.models import Trust
from freehold.provenance.keys import NodeKey, node_key
from freehold.provenance.local import Bringing, add, key_directory, model_directory, refuse_unsigned, trust_words
from freehold.provenance.pieces import Recipe
from freehold.provenance.progress import Silent
from freehold.provenance.publisher import signature_beside
from freehold.provenance.pull import open_model
from freehold.provenance.signing import sign_oms, sign_own
from freehold.provenance.tree import rules
from freehold.provenance.trust import TrustStore, make_entry, write_trust
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


def test_a_key_that_is_revoked_later_vouches_for_nothing(path: Path, home: Path) -> None:
    store = trusting(home)
    bring(signed(path, "own"), home)
    write_trust(key_directory(home), store.revoked(store.entries[0], NOW, "it leaked"), node_key(key_directory(home)))
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
    (said,) = bring(signed(path, "own"), home, name="other")
    assert "may not sign it" in said
    assert open_model(home, "other").trust is Trust.FIRST_USE


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
