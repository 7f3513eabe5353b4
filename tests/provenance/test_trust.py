import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.errors import FreeholdError, InvalidRequest, MalformedArtefact, NotFound, VerificationError
from freehold.core.exchange import KeyId
from freehold.provenance.envelope import canonical_json, seal
from freehold.provenance.keys import NodeKey, SigningKey
from freehold.provenance.trust import AUTHORITY, TRUST_NAME, TRUST_TYPE, TrustStore, make_entry, read_trust, write_trust
from tests.fakes.chains import ec_key, issue

NODE = NodeKey.generate()
ALICE, BOB = NodeKey.generate(), SigningKey.of(ec_key())
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EMPTY = TrustStore(node=NODE.public)


def accepted(store: TrustStore, name: str, at: datetime = NOW) -> set[KeyId]:
    return set(store.accepted(name, at).keys)


def test_without_entries_the_nodes_own_key_alone_may_sign_anything() -> None:
    assert accepted(EMPTY, "anything") == {NODE.key_id}
    assert EMPTY.accepted("anything").authorities == {}


def test_a_key_may_sign_models_whose_names_it_is_trusted_for() -> None:
    store = EMPTY.added(make_entry(ALICE.public.pem(), ["acme-*", "other"]))
    assert accepted(store, "acme-7b") == {NODE.key_id, ALICE.key_id}
    assert accepted(store, "other") == {NODE.key_id, ALICE.key_id}
    for name in ("acme", "Acme-7b", "other-7b", "x/acme-7b"):
        assert accepted(store, name) == {NODE.key_id}
    assert store.explain([ALICE.key_id], "x") == f"the key {ALICE.key_id} is trusted for acme-*, other and not for 'x'"
    assert store.explain([BOB.key_id], "x") is None


def test_a_key_is_trusted_until_its_day() -> None:
    store = EMPTY.added(make_entry(ALICE.public.pem(), ["*"], expires_at=NOW))
    assert ALICE.key_id in accepted(store, "m", NOW - DAY)
    assert ALICE.key_id not in accepted(store, "m", NOW)
    assert "expired on 2026-11-28" in str(store.explain([ALICE.key_id], "m", NOW))


def test_a_revoked_key_lets_nothing_pass_and_stays_listed() -> None:
    entry = make_entry(ALICE.public.pem(), ["*"])
    store = EMPTY.added(entry).revoked(entry, NOW, "its laptop was stolen")
    assert accepted(store, "m", NOW - 30 * DAY) == {NODE.key_id}
    assert "revoked on 2026-11-28 (its laptop was stolen)" in str(store.explain([ALICE.key_id], "m"))
    with pytest.raises(InvalidRequest, match="was revoked on 2026-11-28 already"):
        store.added(entry)
    with pytest.raises(InvalidRequest, match="stays listed"):
        store.removed(store.entries[0])
    with pytest.raises(InvalidRequest, match="already"):
        store.revoked(store.entries[0], NOW, "again")


def test_a_new_key_follows_an_old_one_for_the_same_models() -> None:
    old, new = make_entry(ALICE.public.pem(), ["acme-*"]), make_entry(BOB.public.pem(), ["acme-*"])
    store = EMPTY.added(old).rotated(old, new, NOW)
    assert accepted(store, "acme-7b", NOW - DAY) == {NODE.key_id, ALICE.key_id, BOB.key_id}
    assert accepted(store, "acme-7b", NOW) == {NODE.key_id, BOB.key_id}
    assert f"{BOB.key_id} replaced it" in str(store.explain([ALICE.key_id], "acme-7b", NOW))
    assert store.serial == 2
    earlier = make_entry(ALICE.public.pem(), ["*"], expires_at=NOW - DAY)
    assert EMPTY.added(earlier).rotated(earlier, new, NOW).entries[0].expires_at == NOW - DAY


def test_an_authority_is_trusted_for_those_it_issued() -> None:
    root = issue("root", is_authority=True)
    store = EMPTY.added(make_entry(root.pem(), ["acme-*"]))
    assert store.entries[0].kind == AUTHORITY
    assert store.accepted("acme-7b").authorities == {store.entries[0].id: root.certificate}
    assert store.accepted("other").authorities == {}


@pytest.mark.parametrize(
    ("pem", "names", "error"),
    [
        (b"", ["*"], MalformedArtefact),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ["*"], MalformedArtefact),
        (ALICE.pem(), ["*"], MalformedArtefact),  # a private key
        (ALICE.public.pem(), [], InvalidRequest),
        (ALICE.public.pem(), [" "], InvalidRequest),
        (ALICE.public.pem(), ["a\nb"], InvalidRequest),
    ],
)
def test_what_is_no_entry_is_refused(pem: bytes, names: list[str], error: type[FreeholdError]) -> None:
    with pytest.raises(error):
        make_entry(pem, names)


def test_a_key_is_added_once_and_the_nodes_own_never() -> None:
    entry = make_entry(ALICE.public.pem(), ["*"])
    with pytest.raises(InvalidRequest, match="is in the trust store already"):
        EMPTY.added(entry).added(entry)
    with pytest.raises(InvalidRequest, match="the node's own key"):
        EMPTY.added(make_entry(NODE.public.pem(), ["*"]))


def test_an_entry_is_found_by_the_beginning_of_its_id() -> None:
    store = EMPTY.added(make_entry(ALICE.public.pem(), ["*"])).added(make_entry(BOB.public.pem(), ["*"]))
    assert store.find(ALICE.key_id[:8]).id == ALICE.key_id
    assert store.removed(store.find(BOB.key_id)).entries == store.entries[:1]
    for prefix in ("", "zz"):
        with pytest.raises(NotFound, match="freehold trust list"):
            store.find(prefix)


def test_a_store_survives_writing_and_reading(tmp_path: Path) -> None:
    assert read_trust(tmp_path, NODE.public) == EMPTY
    entry = make_entry(ALICE.public.pem(), ["acme-*"], note="Alice", expires_at=NOW)
    store = EMPTY.added(entry).revoked(entry, NOW, "x").added(make_entry(issue("root", is_authority=True).pem(), ["*"]))
    write_trust(tmp_path, store, NODE)
    assert read_trust(tmp_path, NODE.public) == store
    assert read_trust(tmp_path, NODE.public).digest == store.digest != EMPTY.digest


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_the_file_is_told_and_nothing_is_trusted_by_it(tmp_path: Path, data: st.DataObject) -> None:
    write_trust(tmp_path, EMPTY.added(make_entry(ALICE.public.pem(), ["*"])), NODE)
    raw = bytearray((tmp_path / TRUST_NAME).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    (tmp_path / TRUST_NAME).write_bytes(data.draw(st.sampled_from([bytes(raw), bytes(raw[: bit // 8]), b"{}"])))
    with pytest.raises(VerificationError, match=r"trust\.json is not as this node wrote it"):
        read_trust(tmp_path, NODE.public)


def test_a_store_by_another_key_or_with_a_false_entry_is_refused(tmp_path: Path) -> None:
    store = EMPTY.added(make_entry(ALICE.public.pem(), ["*"]))
    write_trust(tmp_path, store, ALICE)
    with pytest.raises(VerificationError, match="is not as this node wrote it"):
        read_trust(tmp_path, NODE.public)
    for change in ({"id": "00"}, {"kind": AUTHORITY}, {"pem": BOB.public.pem().decode()}, {"pem": "x"}, {"added_at": "x"}):
        document = json.loads(store.encode())
        document["entries"][0] |= change
        (tmp_path / TRUST_NAME).write_bytes(seal(TRUST_TYPE, canonical_json(document), NODE))
        with pytest.raises(VerificationError, match="is not as this node wrote it"):
            read_trust(tmp_path, NODE.public)
    (tmp_path / TRUST_NAME).write_bytes(seal(TRUST_TYPE, canonical_json(json.loads(store.encode()) | {"version": 2}), NODE))
    with pytest.raises(VerificationError, match="version 2"):
        read_trust(tmp_path, NODE.public)
