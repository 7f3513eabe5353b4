import base64
import contextlib
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, MalformedArtefact, UnsupportedArtefact, VerificationError
from freehold.provenance.certificates import certificate_id
from freehold.provenance.keys import NodeKey, SigningKey, trusted
from freehold.provenance.oms import OLD_PREDICATE_TYPE
from freehold.provenance.oms_bundle import open_with_certificate, open_with_key, parse_bundle, seal_bundle
from tests.fakes.chains import CURVES, Issued, chain, ec_key, issue
from tests.provenance.oms_vectors import CASES, accepted, signature

PAYLOAD = b'{"a": 1}'
NOW = datetime.now(UTC)
KEY = SigningKey.of(ec_key())


def opened(raw: bytes, case: str) -> bytes:
    bundle, trust = parse_bundle(raw), accepted(case)
    if bundle.chain:
        return open_with_certificate(bundle, trust.authorities, NOW).payload
    return open_with_key(bundle, trust.keys).payload


@pytest.mark.parametrize("case", CASES)
def test_bundles_of_the_reference_open_under_their_key_or_authority_and_no_other(case: str) -> None:
    assert json.loads(opened(signature(case), case))["_type"] == "https://in-toto.io/Statement/v1"
    form, curve, *_ = case.split(".")
    other = f"{form}.{'p384' if curve == 'p256' else 'p256'}.files.sha256"
    with pytest.raises(VerificationError, match=r"not trusted here|no authority trusted here"):
        opened(signature(case), other)


@pytest.mark.parametrize("key", [KEY, *(SigningKey.of(ec_key(curve)) for curve in CURVES), NodeKey.generate()])
def test_what_a_key_of_any_kind_sealed_opens(key: SigningKey) -> None:
    bundle = parse_bundle(seal_bundle(PAYLOAD, key))
    assert open_with_key(bundle, trusted(KEY.public, key.public)).payload == PAYLOAD
    assert open_with_key(bundle, trusted(key.public)).signer.trusted_by == key.key_id
    with pytest.raises(VerificationError, match="not trusted here"):
        open_with_key(bundle, trusted(NodeKey.generate().public))


def sealed_under(issued: tuple[Issued, ...]) -> bytes:
    return seal_bundle(PAYLOAD, SigningKey.of(issued[0].key), [one.certificate for one in issued])


def by_authority(raw: bytes, root: Issued, **options: Any) -> bytes:
    authorities = {certificate_id(root.certificate): root.certificate}
    return open_with_certificate(parse_bundle(raw), authorities, NOW, **options).payload


@pytest.mark.parametrize("curve", CURVES)
def test_a_chain_opens_under_its_root_or_what_is_between(curve: str) -> None:
    signing, between, root = chain(curve=curve)
    raw = sealed_under((signing, between))
    assert by_authority(raw, root) == PAYLOAD
    assert by_authority(raw, between) == PAYLOAD
    assert by_authority(sealed_under((signing,)), between) == PAYLOAD
    for sealed, authority in ((raw, chain()[2]), (sealed_under((signing,)), root)):
        with pytest.raises(VerificationError, match="no authority trusted here"):
            by_authority(sealed, authority)


def test_an_ed25519_certificate_signs_as_well() -> None:
    root = issue("root", is_authority=True)
    assert by_authority(sealed_under((issue("s", root, key=Ed25519PrivateKey.generate()),)), root) == PAYLOAD


def test_a_certificate_must_be_meant_for_signatures_and_its_issuer_for_certificates() -> None:
    root = issue("root", is_authority=True)
    assert by_authority(sealed_under((issue("s", root, for_code=True),)), root) == PAYLOAD
    with pytest.raises(VerificationError, match="not meant for signatures"):
        by_authority(sealed_under((issue("s", root, signs=False),)), root)
    no_authority = issue("between", root)
    with pytest.raises(VerificationError, match="no authority trusted here"):
        by_authority(sealed_under((issue("s", no_authority), no_authority)), root)


def test_an_expired_certificate_passes_only_where_that_is_said() -> None:
    signing, between, root = chain(days=10, began_days_ago=20)
    raw = sealed_under((signing, between))
    with pytest.raises(VerificationError, match=r"expired on .*--accept-expired"):
        by_authority(raw, root)
    # Both above it began after it was issued: as of its first day they were not valid, either.
    with pytest.raises(VerificationError, match="no authority trusted here"):
        by_authority(raw, root, accept_expired=True)
    root = issue("root", is_authority=True, began_days_ago=30)
    assert by_authority(sealed_under((issue("s", root, days=10, began_days_ago=20),)), root, accept_expired=True) == PAYLOAD
    early = issue("s", root, began_days_ago=-5)
    with pytest.raises(VerificationError):
        by_authority(sealed_under((early,)), root)


def test_without_an_authority_no_certificate_passes() -> None:
    with pytest.raises(VerificationError, match="name one with --ca"):
        open_with_certificate(parse_bundle(sealed_under(tuple(chain()[:2]))), {}, NOW)


def test_a_certificate_of_another_key_signs_nothing() -> None:
    signing, between, root = chain()
    with pytest.raises(VerificationError, match="is not the signing key's"):
        seal_bundle(PAYLOAD, KEY, [signing.certificate])
    document = json.loads(sealed_under((signing, between)))
    document["dsseEnvelope"] = json.loads(seal_bundle(PAYLOAD, KEY))["dsseEnvelope"]
    with pytest.raises(VerificationError, match="does not hold: the content was changed"):
        by_authority(json.dumps(document).encode(), root)


def test_signatures_of_release_0_2_still_hold_for_its_statements_alone() -> None:
    """It signed what Python prints of bytes, under "DSSEV1", and always over SHA-256."""
    key = ec_key("p384")
    for predicate, holds in ((OLD_PREDICATE_TYPE, True), ("https://model_signing/signature/v1.0", False)):
        payload = json.dumps({"predicateType": predicate}).encode()
        kind = "application/vnd.in-toto+json"
        message = f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode()
        for digest in (hashes.SHA256(), hashes.SHA384()):
            document = json.loads(seal_bundle(payload, SigningKey.of(key)))
            document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(key.sign(message, ECDSA(digest))).decode()
            del document["verificationMaterial"]["publicKey"]["hint"]
            bundle = parse_bundle(json.dumps(document).encode())
            keys = trusted(SigningKey.of(key).public)
            if holds:
                assert open_with_key(bundle, keys).payload == payload
            else:
                with pytest.raises(VerificationError):
                    open_with_key(bundle, keys)


def test_fields_of_other_writers_are_passed_over() -> None:
    document = json.loads(seal_bundle(PAYLOAD, KEY))
    document["verificationMaterial"] |= {"timestampVerificationData": {}, "later": [1]}
    document["verificationMaterial"]["publicKey"]["rawBytes"] = "AAAA"
    document["dsseEnvelope"]["signatures"][0]["keyid"] = None
    del document["verificationMaterial"]["tlogEntries"]
    assert open_with_key(parse_bundle(json.dumps(document).encode()), trusted(KEY.public)).payload == PAYLOAD


def _put(*path: str | int, to: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


MATERIAL = "verificationMaterial"


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (_put("mediaType", to="application/json"), UnsupportedArtefact, "'application/json'"),
        (_put("dsseEnvelope", "payloadType", to="x"), UnsupportedArtefact, "holds 'x'"),
        (_put("dsseEnvelope", "payload", to="!"), MalformedArtefact, "not base64"),
        (_put("dsseEnvelope", "payload", to="YW=="), MalformedArtefact, "canonical"),
        (_put("dsseEnvelope", "signatures", to=[]), MalformedArtefact, "0 signatures"),
        (_put("dsseEnvelope", "signatures", to=[{"sig": "AAAA"}] * 2), MalformedArtefact, "2 signatures"),
        (_put("dsseEnvelope", "signatures", 0, "sig", to=""), VerificationError, "does not hold"),
        (_put("dsseEnvelope", to=None), MalformedArtefact, "dsseEnvelope"),
        (_put(MATERIAL, to={}), MalformedArtefact, "does not say whose it is"),
        (_put(MATERIAL, "certificate", to={"rawBytes": "AAAA"}), MalformedArtefact, "or says it twice"),
        (_put(MATERIAL, "publicKey", "hint", to="00"), VerificationError, "not trusted here"),
        (_put(MATERIAL, to={"x509CertificateChain": {"certificates": []}}), MalformedArtefact, "0 certificates"),
        (_put(MATERIAL, to={"certificate": {"rawBytes": "AAAA"}}), MalformedArtefact, "cannot be parsed"),
        (
            _put(MATERIAL, to={"x509CertificateChain": {"certificates": [{"rawBytes": ""}] * 9}}),
            MalformedArtefact,
            "9 certificates",
        ),
    ],
)
def test_a_bundle_that_does_not_hold_together_is_refused(
    change: Callable[[Any], None], error: type[ArtefactError], says: str
) -> None:
    document = json.loads(seal_bundle(PAYLOAD, KEY))
    change(document)
    with pytest.raises(error, match=says):
        open_with_key(parse_bundle(json.dumps(document).encode()), trusted(KEY.public))


@settings(max_examples=200)
@given(data=st.data())
def test_no_flipped_bit_of_the_envelope_passes(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(["key.p256.files.sha256", "certificate.p256.files.sha256"]))
    raw = bytearray(signature(case))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    before = opened(signature(case), case)
    try:
        after = opened(bytes(raw), case)
    except ArtefactError:
        return
    assert after == before  # a field that says nothing, as a certificate above the one that is trusted, or a key id


@pytest.mark.parametrize("which", [0, 1])
def test_no_damage_to_a_certificate_passes_or_raises_another_error(which: int) -> None:
    """The library parses most fields late: each byte is flipped once."""
    document = json.loads(signature("certificate.p256.files.sha256"))
    certificate = document["verificationMaterial"]["x509CertificateChain"]["certificates"][which]
    der = base64.b64decode(certificate["rawBytes"])
    for place in range(len(der)):
        raw = bytearray(der)
        raw[place] ^= 1 << place % 8
        certificate["rawBytes"] = base64.b64encode(raw).decode()
        with pytest.raises(ArtefactError):
            opened(json.dumps(document).encode(), "certificate.p256.files.sha256")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data(), garbage=json_values)
def test_garbage_anywhere_raises_only_our_error_and_never_passes_for_another_payload(
    data: st.DataObject, garbage: object
) -> None:
    case = data.draw(st.sampled_from(CASES))
    document: Any = json.loads(signature(case))
    before = opened(signature(case), case)
    place = document
    while True:
        step = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not (isinstance(place[step], dict | list) and place[step]) or data.draw(st.booleans()):
            break
        place = place[step]
    place[step] = deepcopy(garbage)
    with contextlib.suppress(ArtefactError):
        assert opened(json.dumps(document).encode(), case) == before


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 50_000))
def test_bytes_that_are_no_bundle_raise_only_our_error(raw: bytes) -> None:
    with pytest.raises(ArtefactError):
        parse_bundle(raw)


def test_a_bundle_that_is_too_large_is_refused_unparsed(tmp_path: Path) -> None:
    with pytest.raises(MalformedArtefact, match="over the limit"):
        parse_bundle(b" " * ((64 << 20) + 1))


def test_times_are_compared_in_utc() -> None:
    root = issue("root", is_authority=True)
    bundle = parse_bundle(sealed_under((issue("s", root, days=10),)))
    authorities = {certificate_id(root.certificate): root.certificate}
    with pytest.raises(VerificationError, match="expired"):
        open_with_certificate(bundle, authorities, NOW + timedelta(days=20))
