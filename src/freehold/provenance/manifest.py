"""What a manifest says of a model, byte for byte, and how it is made from files.

H is BLAKE3 with 32 bytes of output. A file is cut into blocks of `BLOCK_BYTES`; its tree is RFC 6962's with H for SHA-256:
leaf = H(0x00 || block), node = H(0x01 || left || right), the left subtree the largest power of two below n; a file without bytes
has the root H(""). The model id is the same tree's root, hex, over one leaf a file, files sorted by the bytes of their names:

    leaf = H(0x00 || len(name) as 4 bytes || name in UTF-8 || size as 8 bytes || file root)      numbers big-endian

Names are in the tree: a root over contents alone lets two models with swapped file names share an id. SHA-256 of a whole file is
kept for other tools where it was taken: it is the slow part (one thread, 2 GB/s with SHA-NI), and runs beside the block hashing.

As JSON: `{"block_bytes", "files": [{"leaves": base64 of all digests, "name", "root": hex, "sha256": hex or null, "size_bytes"}],
"hash": "blake3", "licence", "model_id", "name", "origin", "version": 1}`, keys sorted, no white space.
"""

import base64
import binascii
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from mmap import mmap
from pathlib import Path, PurePosixPath

import msgspec
from blake3 import blake3

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact, VerificationError, os_errors
from freehold.core.exchange import ModelId
from freehold.core.models import BLOCK_BYTES, Manifest, ManifestFile
from freehold.provenance.envelope import canonical_json, parse_json
from freehold.provenance.pieces import FileDigests, page_buffer

MANIFEST_TYPE = "application/vnd.freehold.manifest.v1+json"
MANIFEST_NAME = "manifest.json"
DIGEST_BYTES = 32
FILES_LIMIT = 10_000
FILE_LIMIT_BYTES = 1 << 50
READERS = 4  # blocks read and hashed at once; more than a disk's queue needs only costs memory


def leaf_digest(block: bytes | bytearray | memoryview) -> bytes:
    digest = blake3(b"\x00")
    digest.update(block)
    return digest.digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The RFC 6962 root over leaf digests. Pairing neighbours level by level, an odd one carried up, gives the same tree."""
    if not leaves:
        return blake3(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        paired = [blake3(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(level) - len(level) % 2 :]
    return level[0]


def model_id(files: Iterable[ManifestFile]) -> ModelId:
    ordered = sorted(files, key=lambda f: f.name.encode())
    return ModelId(tree_root([_file_leaf(f) for f in ordered]).hex())


def _file_leaf(file: ManifestFile) -> bytes:
    name = file.name.encode()
    return blake3(b"\x00" + len(name).to_bytes(4) + name + file.size_bytes.to_bytes(8) + file.root).digest()


def block_count(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES)


def make_manifest(
    directory: Path,
    names: Sequence[str],
    *,
    name: str,
    origin: str,
    licence: str | None = None,
    advanced: Callable[[int], None] | None = None,
) -> Manifest:
    """Hash the files `names` of `directory`. Raises MalformedArtefact for a name or file that cannot be in a model."""
    for n in names:
        regular_size(directory, n)
    files = tuple(hash_file(directory / n, n, advanced) for n in sorted(names, key=str.encode))
    return checked(Manifest(model_id=model_id(files), name=name, files=files, origin=origin, licence=licence))


def manifest_of(hashed: Iterable[FileDigests], *, name: str, origin: str, licence: str | None = None) -> Manifest:
    """Of files whose blocks were hashed. Without SHA-256: as fast as the disk."""
    files = tuple(
        ManifestFile(name=one.name, size_bytes=one.size_bytes, root=tree_root(one.digests), sha256=None, leaves=one.digests)
        for one in sorted(hashed, key=lambda one: one.name.encode())
    )
    return checked(Manifest(model_id=model_id(files), name=name, files=files, origin=origin, licence=licence))


def regular_size(directory: Path, name: str) -> int:
    """The size of a file that may be in a model. Raises MalformedArtefact for one that may not."""
    check_name(name)
    path = directory / name
    with os_errors(f"cannot read {path}", MalformedArtefact):
        status = path.lstat()
    if not path.is_file() or path.is_symlink():
        raise MalformedArtefact(f"{path} is not a regular file; links and devices are not signed")
    return status.st_size


def hash_file(path: Path, name: str, advanced: Callable[[int], None] | None = None) -> ManifestFile:
    """Both digests of one file in one pass: blocks by several threads, SHA-256 in order on this one."""
    sha256 = hashlib.sha256()
    leaves: list[bytes] = []
    with os_errors(f"cannot read {path}"):
        size_bytes = path.stat().st_size
        for block, leaf in hashed_blocks(path, size_bytes):
            sha256.update(block)
            leaves.append(leaf)
            if advanced is not None:
                advanced(len(block))
    return ManifestFile(name=name, size_bytes=size_bytes, root=tree_root(leaves), sha256=sha256.hexdigest(), leaves=tuple(leaves))


def hashed_blocks(path: Path, size_bytes: int) -> Iterator[tuple[memoryview, bytes]]:
    """Each block and its leaf, in order; at most `READERS` + 2 blocks are in memory. A block is valid until the next one."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    spare = [page_buffer(min(BLOCK_BYTES, size_bytes)) for _ in range(min(READERS + 2, block_count(size_bytes)))]
    waiting: deque[Future[tuple[memoryview, bytes]]] = deque()

    def work(index: int, buffer: memoryview) -> tuple[memoryview, bytes]:
        offset = index * BLOCK_BYTES
        block = buffer[: min(BLOCK_BYTES, size_bytes - offset)]
        _read_fully(handle, block, offset, path)
        return block, leaf_digest(block)

    try:
        with ThreadPoolExecutor(READERS, thread_name_prefix="freehold-hash") as pool:
            for index in range(block_count(size_bytes)):
                if not spare:
                    block, leaf = waiting.popleft().result()
                    yield block, leaf
                    assert isinstance(block.obj, mmap)
                    spare.append(memoryview(block.obj))
                waiting.append(pool.submit(work, index, spare.pop()))
            while waiting:
                yield waiting.popleft().result()
    finally:
        os.close(handle)


def _read_fully(handle: int, block: memoryview, offset: int, path: Path) -> None:
    done = 0
    while done < len(block):
        count = os.preadv(handle, [block[done:]], offset + done)
        if count == 0:
            raise MalformedArtefact(f"{path} became shorter while it was hashed: it ends at byte {offset + done}")
        done += count


def check_name(name: str) -> None:
    """A file name that stays inside the model's directory on every system."""
    path = PurePosixPath(name)
    printable = name.isprintable() and "\\" not in name and ":" not in name  # also refuses what UTF-8 cannot hold
    stays = path.parts and not path.is_absolute() and str(path) == name and ".." not in path.parts
    if not printable or not stays or len(name) > 1024:
        raise MalformedArtefact(f"file name {name[:100]!r} is not a plain relative path")


class _FileJson(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size_bytes: int
    root: str
    sha256: str | None
    leaves: str


class _ManifestJson(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    name: str
    model_id: str
    origin: str
    licence: str | None
    hash: str
    block_bytes: int
    files: list[_FileJson]


def encode(manifest: Manifest) -> bytes:
    files = [
        _FileJson(
            name=f.name,
            size_bytes=f.size_bytes,
            root=f.root.hex(),
            sha256=f.sha256,
            leaves=base64.b64encode(b"".join(f.leaves)).decode(),
        )
        for f in manifest.files
    ]
    return canonical_json(
        _ManifestJson(
            version=1,
            name=manifest.name,
            model_id=manifest.model_id,
            origin=manifest.origin,
            licence=manifest.licence,
            hash="blake3",
            block_bytes=BLOCK_BYTES,
            files=files,
        )
    )


def decode(payload: bytes) -> Manifest:
    """A manifest whose parts agree with each other: leaves with roots, roots with the model id."""
    document = parse_json(payload, _ManifestJson, "manifest")
    if (document.version, document.hash, document.block_bytes) != (1, "blake3", BLOCK_BYTES):
        raise UnsupportedArtefact(
            f"manifest version {document.version} with {document.hash[:20]!r} blocks of {document.block_bytes} bytes; this "
            f"release reads version 1 with 'blake3' blocks of {BLOCK_BYTES}"
        )
    files = tuple(_decode_file(f) for f in document.files)
    return checked(
        Manifest(
            model_id=ModelId(document.model_id), name=document.name, files=files, origin=document.origin, licence=document.licence
        )
    )


def _decode_file(file: _FileJson) -> ManifestFile:
    try:
        joined = base64.b64decode(file.leaves, validate=True)
        root = bytes.fromhex(file.root)
        sha256_bytes = DIGEST_BYTES if file.sha256 is None else len(bytes.fromhex(file.sha256))
    except (binascii.Error, ValueError) as exc:
        raise MalformedArtefact(f"manifest: a digest of {file.name[:100]!r} is not base64 or hex") from exc
    if len(joined) % DIGEST_BYTES or len(root) != DIGEST_BYTES or sha256_bytes != DIGEST_BYTES:
        raise MalformedArtefact(f"manifest: a digest of {file.name[:100]!r} does not have {DIGEST_BYTES} bytes")
    leaves = tuple(joined[i : i + DIGEST_BYTES] for i in range(0, len(joined), DIGEST_BYTES))
    return ManifestFile(name=file.name, size_bytes=file.size_bytes, root=root, sha256=file.sha256, leaves=leaves)


def checked(manifest: Manifest) -> Manifest:
    """The manifest itself, or what does not fit in it."""
    names = [f.name for f in manifest.files]
    if not 1 <= len(names) <= FILES_LIMIT:
        raise MalformedArtefact(f"manifest lists {len(names)} files; 1 to {FILES_LIMIT} are accepted")
    if len({n.casefold() for n in names}) != len(names):
        raise MalformedArtefact("manifest lists a file name twice (upper and lower case count as one)")
    for file in manifest.files:
        check_name(file.name)
        if not 0 <= file.size_bytes <= FILE_LIMIT_BYTES:
            raise MalformedArtefact(f"manifest: {file.name} has {file.size_bytes} bytes")
        if len(file.leaves) != block_count(file.size_bytes):
            raise MalformedArtefact(
                f"manifest: {file.name} of {file.size_bytes} bytes has {len(file.leaves)} block digests, "
                f"not {block_count(file.size_bytes)}"
            )
        if tree_root(file.leaves) != file.root:
            raise VerificationError(f"manifest: the block digests of {file.name} do not add up to its root")
    if model_id(manifest.files) != manifest.model_id:
        raise VerificationError(f"manifest: the files do not add up to the model id {manifest.model_id[:64]}")
    return manifest
