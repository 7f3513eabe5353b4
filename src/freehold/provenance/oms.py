"""OpenSSF Model Signing v1.0: what its statement says of a model, and back.

An in-toto Statement v1 (https://github.com/ossf/model-signing-spec). `predicate.serialization` says how files became digests: by
`method` "files" each as a whole, by "shards" cut at every `shard_size` bytes; `hash_type` is sha256, blake2b or blake3.
`predicate.resources` has one digest a file or shard; a shard is named "FILE:START:END" and its algorithm "sha256-sharded-SIZE".
The one subject is the model, with SHA-256 over the raw digests in the order in which they are listed.

- Names are not in that digest: the signature over the whole statement is what holds them. It is never used as an id here.
- An empty file has no shards, so by shards it is not signed at all.
- The shard size comes as a float from writers that pass it through protobuf's Struct.
- A model of one file calls it ".".
- Releases before 1.0 list files as subjects, under another predicate type. They are read and never written.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact, VerificationError
from freehold.provenance.contents import Contents, SignedFile
from freehold.provenance.envelope import canonical_json, parse_json
from freehold.provenance.manifest import FILES_LIMIT, check_name
from freehold.provenance.pieces import Recipe

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
OLD_PREDICATE_TYPE = "https://model_signing/Digests/v0.1"
HASHES = ("sha256", "blake2b", "blake3")
RESOURCES_LIMIT = 1_000_000
ONE_FILE = "."  # how a model of one file names it
_ALGORITHMS = {"sha256": "sha256", "blake2": "blake2b", "blake2b": "blake2b", "blake3": "blake3"}
_DIGEST_BYTES = {"sha256": 32, "blake2b": 64, "blake3": 32}
_OFFSET_CHARS = 19  # of a 64-bit number


class _Subject(msgspec.Struct):
    name: str
    digest: dict[str, str]


class _Document(msgspec.Struct):
    type_: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicateType: str  # noqa: N815 - in-toto's own name
    predicate: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))


class _Serialization(msgspec.Struct, omit_defaults=True):
    method: str
    hash_type: str
    allow_symlinks: bool | None = None
    ignore_paths: list[str] | None = None
    shard_size: int | float | None = None


class _Resource(msgspec.Struct):
    name: str
    algorithm: str
    digest: str


class _Predicate(msgspec.Struct):
    serialization: _Serialization
    resources: list[_Resource]


def encode(contents: Contents) -> bytes:
    """Files in the order of the parts of their names, as the reference lists them."""
    recipe = contents.recipe
    serialization = _Serialization(
        method="files" if recipe.piece_bytes is None else "shards",
        hash_type=recipe.algorithm,
        allow_symlinks=contents.follow_links,
        ignore_paths=list(contents.ignored) or None,
        shard_size=recipe.piece_bytes,
    )
    ordered = sorted(contents.files.items(), key=lambda item: PurePosixPath(item[0]).parts)
    resources = [resource for name, file in ordered for resource in _resources(name, file, recipe)]
    root = hashlib.sha256(b"".join(bytes.fromhex(resource.digest) for resource in resources)).hexdigest()
    predicate = _Predicate(serialization=serialization, resources=resources)
    return canonical_json(
        _Document(
            type_=STATEMENT_TYPE,
            subject=[_Subject(name=contents.name, digest={"sha256": root})],
            predicateType=PREDICATE_TYPE,
            predicate=msgspec.Raw(canonical_json(predicate)),
        )
    )


def _resources(name: str, file: SignedFile, recipe: Recipe) -> Iterable[_Resource]:
    size = recipe.piece_bytes
    if size is None:
        yield _Resource(name=name, algorithm=recipe.algorithm, digest=file.digests[0].hex())
        return
    assert file.size_bytes is not None
    for index, digest in enumerate(file.digests):
        shard = f"{name}:{index * size}:{min((index + 1) * size, file.size_bytes)}"
        yield _Resource(name=shard, algorithm=f"{recipe.algorithm}-sharded-{size}", digest=digest.hex())


def decode(payload: bytes) -> Contents:
    """Raises MalformedArtefact, UnsupportedArtefact for what this release does not know, or VerificationError for a statement
    whose digests do not add up to its subject's."""
    document = parse_json(payload, _Document, "model signature's statement")
    if document.type_ != STATEMENT_TYPE:
        raise MalformedArtefact(f"the signature is over {document.type_[:100]!r}, not over {STATEMENT_TYPE}")
    if document.predicateType == OLD_PREDICATE_TYPE:
        return _old(document.subject)
    if document.predicateType != PREDICATE_TYPE:
        raise UnsupportedArtefact(f"the signature is of the kind {document.predicateType[:100]!r}, not {PREDICATE_TYPE}")
    if len(document.subject) != 1:
        raise MalformedArtefact(f"the statement has {len(document.subject)} subjects, not one")
    predicate = parse_json(bytes(document.predicate), _Predicate, "model signature's predicate")
    (subject,) = document.subject
    recipe = _recipe(predicate.serialization)
    digests = _digests(predicate.resources, recipe)
    root = hashlib.sha256(b"".join(digests)).hexdigest()
    if subject.digest.get("sha256") != root:
        raise VerificationError(f"the statement does not agree with itself: its digests add up to {root}, not to its subject's")
    names = [resource.name for resource in predicate.resources]
    files = _whole_files(names, digests) if recipe.piece_bytes is None else _sharded_files(names, digests, recipe.piece_bytes)
    ignored = tuple(path for path in predicate.serialization.ignore_paths or () if _stays(path))
    follow_links = predicate.serialization.allow_symlinks is True
    return Contents(name=subject.name, recipe=recipe, files=files, ignored=ignored, follow_links=follow_links)


def _old(subjects: Sequence[_Subject]) -> Contents:
    recipe = Recipe(algorithm="sha256")
    resources = [_Resource(name=one.name, algorithm="sha256", digest=one.digest.get("sha256", "")) for one in subjects]
    files = _whole_files([one.name for one in subjects], _digests(resources, recipe))
    return Contents(name="", recipe=recipe, files=files)


def _recipe(serialization: _Serialization) -> Recipe:
    algorithm = _ALGORITHMS.get(serialization.hash_type)
    if algorithm is None:
        raise UnsupportedArtefact(f"files are hashed with {serialization.hash_type[:40]!r}; there are {', '.join(HASHES)}")
    if serialization.method == "files":
        return Recipe(algorithm=algorithm)
    if serialization.method != "shards":
        raise UnsupportedArtefact(f"files are serialised by {serialization.method[:40]!r}; there are 'files' and 'shards'")
    size = serialization.shard_size
    if size is None or not 1 <= size <= 1 << 53 or size != int(size):
        raise MalformedArtefact(f"a shard of {size} bytes is none")
    return Recipe(algorithm=algorithm, piece_bytes=int(size))


def _digests(resources: Sequence[_Resource], recipe: Recipe) -> list[bytes]:
    if not 1 <= len(resources) <= RESOURCES_LIMIT:
        raise MalformedArtefact(f"the statement lists {len(resources)} digests; 1 to {RESOURCES_LIMIT} are accepted")
    wanted = recipe.algorithm if recipe.piece_bytes is None else f"{recipe.algorithm}-sharded-{recipe.piece_bytes}"
    found = []
    for resource in resources:
        if resource.algorithm != wanted:
            raise MalformedArtefact(f"{resource.name[:100]!r} is hashed with {resource.algorithm[:60]!r}, not {wanted}")
        try:
            digest = bytes.fromhex(resource.digest)
        except ValueError as exc:
            raise MalformedArtefact(f"the digest of {resource.name[:100]!r} is not hex") from exc
        if len(digest) != _DIGEST_BYTES[recipe.algorithm]:
            raise MalformedArtefact(f"the digest of {resource.name[:100]!r} has {len(digest)} bytes")
        found.append(digest)
    return found


def _whole_files(names: Sequence[str], digests: Sequence[bytes]) -> dict[str, SignedFile]:
    files: dict[str, SignedFile] = {}
    for name, digest in zip(names, digests, strict=True):
        _check_file(name, files)
        files[name] = SignedFile(digests=(digest,))
    return files


def _sharded_files(names: Sequence[str], digests: Sequence[bytes], size: int) -> dict[str, SignedFile]:
    """The shards of a file must follow each other from its first byte on, all but the last of full size: a gap would be bytes
    that nobody signed."""
    shards: dict[str, dict[int, tuple[int, bytes]]] = {}
    for name, digest in zip(names, digests, strict=True):
        file, start, end = _shard_name(name)
        if start in shards.setdefault(file, {}):
            raise MalformedArtefact(f"the statement lists the shard {name[:100]!r} twice")
        shards[file][start] = end, digest
    files: dict[str, SignedFile] = {}
    for name, parts in shards.items():
        _check_file(name, files)
        end = 0
        ordered = sorted(parts.items())
        for index, (start, (after, _)) in enumerate(ordered):
            is_full = after - start == size
            if start != end or not start < after <= start + size or not (is_full or index == len(ordered) - 1):
                raise MalformedArtefact(f"the shards of {name[:100]!r} do not follow each other at byte {start}")
            end = after
        files[name] = SignedFile(digests=tuple(digest for _, (_, digest) in ordered), size_bytes=end)
    return files


def _shard_name(name: str) -> tuple[str, int, int]:
    parts = name.split(":")
    numbers = parts[1:]
    if len(parts) != 3 or not all(n.isascii() and n.isdigit() and len(n) <= _OFFSET_CHARS for n in numbers):
        raise MalformedArtefact(f"{name[:100]!r} is no shard: FILE:START:END is")
    return parts[0], int(numbers[0]), int(numbers[1])


def _check_file(name: str, files: Mapping[str, SignedFile]) -> None:
    if name != ONE_FILE:
        check_name(name)
    if name in files:
        raise MalformedArtefact(f"the statement lists {name[:100]!r} twice")
    if len(files) >= FILES_LIMIT:
        raise MalformedArtefact(f"the statement lists more than {FILES_LIMIT} files")


def _stays(path: str) -> bool:
    """Whether a path to be left out is one below the model: "." would leave out everything."""
    try:
        check_name(path)
    except MalformedArtefact:
        return False
    return True
