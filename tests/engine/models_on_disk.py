"""Verified models for tests: any bytes as a model whose blocks are checked against what was written."""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from freehold.core.errors import VerificationError
from freehold.core.exchange import KeyId, ModelId
from freehold.core.models import BLOCK_BYTES, Manifest, ManifestFile, VerifiedModel


def verified_model(directory: Path, data: bytes, *, names: tuple[str, ...] = ("model.gguf",)) -> VerifiedModel:
    """Writes `data` under each of `names`. Its blocks are checked by digest, as provenance does it with its own."""
    for name in names:
        (directory / name).write_bytes(data)
    digests = {i: _digest(data[i * BLOCK_BYTES : (i + 1) * BLOCK_BYTES]) for i in range(-(-len(data) // BLOCK_BYTES))}

    def check(name: str, block: int, content: memoryview) -> None:
        if _digest(content) != digests[block]:
            raise VerificationError(f"{name}: block {block} is not the signed one")

    return model_of(directory, check, size_bytes=len(data), names=names)


def verified_directory(directory: Path) -> VerifiedModel:
    """All files that are there, as one model."""
    contents = {path.name: path.read_bytes() for path in directory.iterdir()}
    blocks = {
        name: [_digest(data[i : i + BLOCK_BYTES]) for i in range(0, len(data), BLOCK_BYTES)] for name, data in contents.items()
    }

    def check(name: str, block: int, content: memoryview) -> None:
        if _digest(content) != blocks[name][block]:
            raise VerificationError(f"{name}: block {block} is not the signed one")

    files = tuple(
        ManifestFile(name=name, size_bytes=len(data), root=b"", sha256="", leaves=()) for name, data in sorted(contents.items())
    )
    manifest = Manifest(model_id=ModelId("22" * 32), name="tiny", files=files, origin="a test")
    return VerifiedModel(manifest=manifest, directory=directory, signed_by=KeyId("test"), check_block=check)


def model_of(
    directory: Path, check: Callable[[str, int, memoryview], None], *, size_bytes: int, names: tuple[str, ...] = ("model.gguf",)
) -> VerifiedModel:
    files = tuple(ManifestFile(name=name, size_bytes=size_bytes, root=b"", sha256="", leaves=()) for name in names)
    manifest = Manifest(model_id=ModelId("11" * 32), name="tiny", files=files, origin="a test")
    return VerifiedModel(manifest=manifest, directory=directory, signed_by=KeyId("test"), check_block=check)


def _digest(data: bytes | memoryview) -> bytes:
    return blake2b(data).digest()
