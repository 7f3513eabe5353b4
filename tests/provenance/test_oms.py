import base64
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, MalformedArtefact, UnsupportedArtefact, VerificationError
from freehold.provenance.contents import Contents, SignedFile
from freehold.provenance.oms import HASHES, OLD_PREDICATE_TYPE, decode, encode
from freehold.provenance.pieces import Recipe
from tests.provenance.oms_vectors import CASES, signature

names = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,3}", fullmatch=True), min_size=1, max_size=3).map("/".join)
DIGEST_BYTES = {"sha256": 32, "blake2b": 64, "blake3": 32}


@st.composite
def contents(draw: st.DrawFn) -> Contents:
    algorithm = draw(st.sampled_from(HASHES))
    piece_bytes = draw(st.none() | st.integers(1, 1000))
    recipe = Recipe(algorithm=algorithm, piece_bytes=piece_bytes)
    digest = st.binary(min_size=DIGEST_BYTES[algorithm], max_size=DIGEST_BYTES[algorithm])
    files = {}
    for name in draw(st.lists(names, min_size=1, max_size=5, unique=True)):
        size_bytes = draw(st.integers(1, 4000)) if piece_bytes else None
        count = recipe.count(size_bytes or 0)
        files[name] = SignedFile(digests=tuple(draw(digest) for _ in range(count)), size_bytes=size_bytes)
    return Contents(name="m", recipe=recipe, files=files, ignored=("model.sig", "logs"), follow_links=draw(st.booleans()))


@given(contents())
def test_a_statement_gives_back_what_was_written(written: Contents) -> None:
    read = decode(encode(written))
    assert read == written


def statement(case: str = "key.p256.files.sha256") -> dict[str, Any]:
    bundle = json.loads(signature(case))
    document = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert isinstance(document, dict)
    return document


def test_files_are_listed_in_the_order_of_the_reference() -> None:
    theirs = statement()
    read = decode(json.dumps(theirs).encode())
    ours = json.loads(encode(read))
    listed = [resource["name"] for resource in theirs["predicate"]["resources"]]
    assert listed == ["a/b.bin", "a-b.bin", "config.json"]
    assert [resource["name"] for resource in ours["predicate"]["resources"]] == listed
    assert ours["subject"] == theirs["subject"]


@pytest.mark.parametrize("case", CASES)
def test_statements_of_the_reference_are_read(case: str) -> None:
    read = decode(json.dumps(statement(case)).encode())
    _, _, method, algorithm = case.split(".")
    assert set(read.files) == {"a/b.bin", "a-b.bin", "config.json"}
    assert read.recipe == Recipe(algorithm=algorithm, piece_bytes=300_000 if method == "shards" else None)
    assert "model.sig" in read.ignored
    if method == "shards":
        assert (read.files["a/b.bin"].size_bytes, len(read.files["a/b.bin"].digests)) == (1_024_000, 4)


def test_a_shard_size_is_a_whole_number_also_when_it_is_written_with_a_point() -> None:
    assert '"shard_size": 300000.0' in json.dumps(statement("key.p256.shards.sha256"))
    document = statement("key.p256.shards.sha256")
    for size in (0, -1, 1.5, 1e30, None):
        document["predicate"]["serialization"]["shard_size"] = size
        with pytest.raises(MalformedArtefact, match="shard"):
            decode(json.dumps(document).encode())


def _set(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


def _drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return change


RESOURCE = ("predicate", "resources", 0)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (_set("_type", to="x"), MalformedArtefact, "is over 'x'"),
        (_set("predicateType", to="x"), UnsupportedArtefact, "of the kind 'x'"),
        (_set("subject", to=[]), MalformedArtefact, "0 subjects"),
        (_set("subject", 0, "digest", "sha256", to="00"), VerificationError, "does not agree with itself"),
        (_drop("subject", 0, "digest", "sha256"), VerificationError, "does not agree with itself"),
        (_drop("predicate"), MalformedArtefact, "serialization"),
        (_set("predicate", "serialization", "method", to="tensors"), UnsupportedArtefact, "'tensors'"),
        (_set("predicate", "serialization", "hash_type", to="md5"), UnsupportedArtefact, "'md5'"),
        (_set("predicate", "serialization", "hash_type", to="blake3"), MalformedArtefact, "'sha256', not blake3"),
        (_set("predicate", "resources", to=[]), MalformedArtefact, "0 digests"),
        (_set(*RESOURCE, "algorithm", to="sha1"), MalformedArtefact, "'sha1', not sha256"),
        (_set(*RESOURCE, "digest", to="zz"), MalformedArtefact, "not hex"),
        (_set(*RESOURCE, "digest", to="00"), MalformedArtefact, "has 1 bytes"),
        (_set(*RESOURCE, "digest", to="00" * 32), VerificationError, "does not agree with itself"),
        (_drop(*RESOURCE), VerificationError, "does not agree with itself"),
        (_set(*RESOURCE, "name", to="../x"), MalformedArtefact, "plain relative path"),
        (_set(*RESOURCE, "name", to="/x"), MalformedArtefact, "plain relative path"),
        (_set(*RESOURCE, "name", to="config.json"), MalformedArtefact, "'config.json' twice"),
        (_set(*RESOURCE, "name", to=7), MalformedArtefact, "name"),
    ],
)
def test_a_statement_that_does_not_hold_together_is_refused(
    change: Callable[[dict[str, Any]], None], error: type[ArtefactError], says: str
) -> None:
    document = deepcopy(statement())
    change(document)
    with pytest.raises(error, match=says):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a/b.bin:0:200000", "do not follow each other at byte 0"),  # a gap after it
        ("a/b.bin:1:300000", "at byte 1"),
        ("a/b.bin:0:0", "at byte 0"),
        ("a/b.bin:0:400000", "at byte 0"),
        ("a/b.bin:300000:600000", "twice"),
        ("a/b.bin:0", "is no shard"),
        ("a/b.bin:-1:5", "is no shard"),
        ("a/b.bin:0:99999999999999999999", "is no shard"),
        ("a/b.bin:٣:4", "is no shard"),
        ("../b.bin:0:300000", "plain relative path"),
    ],
)
def test_shards_that_leave_bytes_unsigned_are_refused(name: str, says: str) -> None:
    document = statement("key.p256.shards.sha256")
    place = next(r for r in document["predicate"]["resources"] if r["name"] == "a/b.bin:0:300000")
    place["name"] = name
    with pytest.raises(MalformedArtefact, match=says):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize("path", [".", "..", "/", "", "a/../.."])
def test_a_signed_rule_that_would_leave_everything_out_leaves_out_nothing(path: str) -> None:
    document = statement()
    document["predicate"]["serialization"]["ignore_paths"] = [path, "logs"]
    assert decode(json.dumps(document).encode()).ignored == ("logs",)


def test_statements_before_1_0_list_files_as_subjects() -> None:
    subjects = [{"name": "a", "digest": {"sha256": "11" * 32}}, {"name": "b/c", "digest": {"sha256": "22" * 32}}]
    document = {"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": OLD_PREDICATE_TYPE}
    for predicate in ({}, {"unused": "x"}, None):
        read = decode(json.dumps(document | {"predicate": predicate}).encode())
        assert {name: file.digests for name, file in read.files.items()} == {"a": (b"\x11" * 32,), "b/c": (b"\x22" * 32,)}
    subjects[0]["digest"] = {}
    with pytest.raises(MalformedArtefact, match="has 0 bytes"):
        decode(json.dumps(document).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data(), garbage=json_values)
def test_garbage_anywhere_in_a_statement_raises_only_our_error(data: st.DataObject, garbage: object) -> None:
    document: Any = statement(data.draw(st.sampled_from(CASES)))
    place = document
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        step = data.draw(st.sampled_from(steps))
        if not (isinstance(place[step], dict | list) and place[step]) or data.draw(st.booleans()):
            break
        place = place[step]
    before = deepcopy(place[step])
    place[step] = garbage
    try:
        decode(msgspec.json.encode(document))
    except ArtefactError:
        return
    # What still reads is a field that says nothing of the files, or the same value again.
    assert place[step] == before or step in ("name", "allow_symlinks", "ignore_paths", "serialization", 0, 1, 2, "unused")


@given(st.binary(max_size=100))
def test_bytes_that_are_no_statement_raise_only_our_error(raw: bytes) -> None:
    with pytest.raises(ArtefactError):
        decode(raw)
